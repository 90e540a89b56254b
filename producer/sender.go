package producer

import "time"

// linger is how long after batches were sent the next ones are, at the earliest, unless they are full. Lines that come one by one don't wait; of many a
// second, each batch would hold a few, and Kafka and whoever reads them would do little else than to take and give batches. Kafka's own
// producer waits as long since 4.0 (linger.ms, KIP-1030), but for each batch.
const linger = 5 * time.Millisecond

// early is how much less than the linger is enough: at a steady rate lines come as often as that, and a timer for the rest would be late.
const early = linger / 4

// togetherBytes is what the batches of one request have at most, unless it has one only. What is more goes in several: Kafka takes one while the next ones come.
const togetherBytes = laneBytes

// sender takes what gathers in the lanes to Kafka, one batch of a lane at a time. Those that are ready together go in one request, up to
// togetherBytes: of lines at a steady rate a request costs far more than a batch does.
type sender struct {
	lanes   []*lane
	news    chan struct{}                 // the lanes'
	send    func([]taken, func([]answer)) // blocks, and calls back until all have their answers
	refused func(*lane, error)            // Kafka does not take a lane's batch; the lane is abandoned

	lingered time.Time // when batches were sent that were not full
}

// taken is a lane's batch.
type taken struct {
	*lane
	batch *batch
}

// answer tells how it went.
type answer struct {
	taken
	err error
}

// run sends until closed is, which says that no more lines come, and all that could be sent is.
func (s *sender) run(closed <-chan struct{}) {
	answers := make(chan []answer, len(s.lanes)) // nobody waits to give one: a lane has one batch under way
	underWay, last := 0, false
	for {
		batches, wait := s.ready(time.Now(), last)
		underWay += len(batches)
		for _, together := range divided(batches) {
			go s.send(together, func(some []answer) { answers <- some })
		}
		if last && underWay == 0 {
			return
		}
		var over <-chan time.Time
		if wait > 0 {
			over = time.After(wait)
		}
		select {
		case <-s.news:
		case <-over:
		case <-closed:
			closed, last = nil, true
		case some := <-answers: // of one request, whose lanes then go on together
			underWay -= len(some)
			for _, a := range some {
				s.answered(a)
			}
		}
	}
}

// ready takes the batches whose time has come, or, of the last lines, all; and returns how long it is until that of others, 0 without any.
func (s *sender) ready(now time.Time, last bool) (batches []taken, wait time.Duration) {
	left := linger - now.Sub(s.lingered)
	over := last || left <= early
	for _, l := range s.lanes {
		if l.busy || l.dead {
			continue
		}
		switch lines, full := l.waiting(); {
		case !lines:
		case full || over:
			l.busy = true
			batches = append(batches, taken{l, l.take(l.spare)})
			if !full {
				s.lingered = now
			}
		default:
			wait = left
		}
	}
	return batches, wait
}

// divided returns batches by the requests that they go in.
func divided(batches []taken) (requests [][]taken) {
	bytes := 0
	for i, b := range batches {
		bytes += b.batch.records.Size()
		if i == 0 || bytes > togetherBytes {
			requests = append(requests, nil)
			bytes = b.batch.records.Size()
		}
		requests[len(requests)-1] = append(requests[len(requests)-1], b)
	}
	return requests
}

func (s *sender) answered(a answer) {
	l := a.lane
	l.busy = false
	if a.err != nil {
		l.dead = true
		l.abandon()
		s.refused(l, a.err)
		return
	}
	a.batch.reset()
	l.spare = a.batch
}
