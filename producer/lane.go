package producer

import (
	"context"
	"errors"
	"sync"
	"time"

	"wordcount/internal/kafkaio"
)

// laneBytes is how large a batch gets at most while the one before it is under way, unless a single line needs more. A
// lane holds two, which bounds the memory.
const laneBytes = 256 << 10

// lane is the way to one partition: lines gather in a batch while the batch before it is under way. Two goroutines meet
// here: the chooser puts, the partition's sender takes.
type lane struct {
	partition int32
	limit     int  // bytes of a batch of several lines
	text      bool // batches keep the text of their lines

	mu      sync.Mutex
	filling *batch
	closed  bool

	changed chan struct{} // capacity 1: there are lines, or closed
	emptied chan struct{} // capacity 1: the batch that was filling is taken
	ended   chan struct{} // closed when nobody takes any more
}

var errEnded = errors.New("nobody sends the lines of this partition any more")

// batch is lines of one partition, in the order chosen.
type batch struct {
	records     kafkaio.RecordBatch
	bytes       int // of the lines
	first, last time.Time
	shown       []shown // those that will be shown
	text        []byte  // all of them, each with \n, when the lane keeps it
}

// shown is a line that will be shown, as the n-th.
type shown struct {
	n    int64
	text []byte
}

// newLane returns the lane to a partition that takes batches of up to maxBatch bytes.
func newLane(partition, maxBatch int) *lane {
	return &lane{
		partition: int32(partition),
		limit:     min(laneBytes, maxBatch),
		filling:   &batch{},
		changed:   make(chan struct{}, 1),
		emptied:   make(chan struct{}, 1),
		ended:     make(chan struct{}),
	}
}

// put adds a line that was chosen at the given time; it waits while the batch is full, and tells whether it did. The line is
// copied. The error is ctx's, or errEnded.
func (l *lane) put(ctx context.Context, line []byte, chosen time.Time, show *shown) (waited bool, err error) {
	for !l.add(line, chosen, show) {
		waited = true
		select {
		case <-l.emptied:
		case <-l.ended:
			return true, errEnded
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	return waited, nil
}

func (l *lane) add(line []byte, chosen time.Time, show *shown) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.filling
	lines := b.records.Len()
	if lines > 0 && b.records.Size()+len(line)+kafkaio.RecordOverhead > l.limit {
		return false
	}
	if lines == 0 {
		b.first = chosen
		signal(l.changed)
	}
	b.last = chosen
	b.bytes += len(line)
	b.records.Append(chosen.UnixMilli(), nil, line)
	if show != nil {
		b.shown = append(b.shown, *show)
	}
	if l.text {
		b.text = append(append(b.text, line...), '\n')
	}
	return true
}

// take waits for lines and returns them all, or nil when the lane is closed and empty. The empty batch takes the next lines.
func (l *lane) take(empty *batch) *batch {
	for range l.changed {
		l.mu.Lock()
		full := l.filling
		if full.records.Len() > 0 {
			l.filling = empty
			signal(l.emptied)
			if l.closed {
				signal(l.changed) // to find it empty
			}
			l.mu.Unlock()
			return full
		}
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return nil
		}
	}
	return nil
}

// close tells the sender that no more lines come.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	signal(l.changed)
}

// abandon tells the chooser that nobody takes any more.
func (l *lane) abandon() { close(l.ended) }

func (b *batch) reset() {
	b.records.Reset()
	b.bytes = 0
	b.shown = b.shown[:0]
	b.text = b.text[:0]
}

// signal leaves one signal in a channel of capacity 1.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
