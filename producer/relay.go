package producer

import (
	"bytes"
	"sync"
)

// relay hands on the lines that Kafka has, in the order chosen: line n is in lane n mod P, and of a lane the lines are
// acknowledged in order. What waits for lines of other lanes is bounded, for the chooser waits for those lanes, too.
type relay struct {
	send func(lines []byte) // called with whole lines, each with \n, valid during the call; not concurrently

	mu      sync.Mutex
	waiting []bytes.Buffer // by lane
	next    int            // the lane of the next line
	out     []byte
}

func newRelay(lanes int, send func(lines []byte)) *relay {
	return &relay{send: send, waiting: make([]bytes.Buffer, lanes)}
}

// acknowledged takes whole lines of a lane. It may be called concurrently.
func (r *relay) acknowledged(lane int32, lines []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[lane].Write(lines)
	r.out = r.out[:0]
	for {
		w := &r.waiting[r.next]
		end := bytes.IndexByte(w.Bytes(), '\n')
		if end < 0 {
			break
		}
		r.out = append(r.out, w.Next(end+1)...)
		r.next = (r.next + 1) % len(r.waiting)
	}
	if len(r.out) > 0 {
		r.send(r.out)
	}
}
