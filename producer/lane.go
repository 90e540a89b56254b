package producer

import (
	"context"
	"errors"
	"sync"
	"time"

	"wordcount/internal/kafkaio"
)

// laneBytes is how large a batch gets at most while the one before it is under way, or lingers, unless a single line needs more. A
// lane holds two, which bounds the memory. Two fit what Kafka's consumer fetches of a partition, four what the counter does.
const laneBytes = 512 << 10

// linger is how long after a batch the next one is sent at the earliest, unless it is full. Lines that come one by one don't wait; of many a
// second, each batch would hold a few, and Kafka and whoever reads them would do little else than to take and give batches. Kafka's own
// producer waits as long since 4.0 (linger.ms, KIP-1030), but for each batch.
const linger = 5 * time.Millisecond

// lane is the way to one partition: lines gather in a batch while the batch before it is under way, and until its linger is over. Two goroutines meet
// here: the chooser puts, the partition's sender takes.
type lane struct {
	partition int32
	limit     int  // bytes of a batch of several lines
	text      bool // batches keep the text of their lines

	mu      sync.Mutex
	filling *batch
	closed  bool

	changed chan struct{} // capacity 1: there are lines, or closed
	hurry   chan struct{} // capacity 1: the batch is full, or the lane is closed
	emptied chan struct{} // capacity 1: the batch that was filling is taken
	ended   chan struct{} // closed when nobody takes any more
	taken   time.Time     // when the last batch was; the sender's
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
		hurry:     make(chan struct{}, 1),
		emptied:   make(chan struct{}, 1),
		ended:     make(chan struct{}),
	}
}

// put adds the first of the lines and each step-th behind it, which were chosen at the given time; it waits while the batch is full. The
// lines are copied. Of as many as shows has, it has how the line will be shown, nil if it won't. The error is ctx's, or errEnded.
func (l *lane) put(ctx context.Context, lines [][]byte, shows []*shown, step int, chosen time.Time) error {
	for i := l.add(0, lines, shows, step, chosen); i < len(lines); i = l.add(i, lines, shows, step, chosen) {
		select {
		case <-l.emptied:
		case <-l.ended:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// add adds as many lines as the batch has room for, from the i-th on, and returns the place of the next one.
func (l *lane) add(i int, lines [][]byte, shows []*shown, step int, chosen time.Time) (next int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ms := l.filling, chosen.UnixMilli()
	for ; i < len(lines); i += step {
		line := lines[i]
		switch n := b.records.Len(); {
		case n == 0:
			b.first = chosen
			signal(l.changed)
		case b.records.Size()+len(line)+kafkaio.RecordOverhead > l.limit:
			signal(l.hurry)
			return i
		}
		if line == nil {
			line = []byte{} // to Kafka, nil is null
		}
		b.last = chosen
		b.bytes += len(line)
		b.records.Append(ms, nil, line)
		if i < len(shows) && shows[i] != nil {
			b.shown = append(b.shown, *shows[i])
		}
		if l.text {
			b.text = append(append(b.text, line...), '\n')
		}
	}
	return i
}

// take waits for lines, and for as many as come until the linger is over, and returns them all; or nil when the lane is closed and empty. The
// empty batch takes the next lines.
func (l *lane) take(empty *batch) *batch {
	for range l.changed {
		l.gather()
		l.mu.Lock()
		full := l.filling
		if full.records.Len() > 0 {
			l.filling, l.taken = empty, time.Now()
			signal(l.emptied)
			if l.closed {
				signal(l.changed) // to find it empty
				signal(l.hurry)
			} else {
				unsignal(l.hurry) // it was for this batch
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

// gather waits until the linger of the last batch is over, or the batch is full, or closed.
func (l *lane) gather() {
	left := linger - time.Since(l.taken)
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.hurry:
	}
}

// close tells the sender that no more lines come.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	signal(l.changed)
	signal(l.hurry)
}

// abandon tells the chooser that nobody takes any more.
func (l *lane) abandon() { close(l.ended) }

func (b *batch) reset() {
	b.records.Reset()
	b.bytes = 0
	b.shown = b.shown[:0]
	b.text = b.text[:0]
}

// unsignal takes back a signal that nobody has taken.
func unsignal(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// signal leaves one signal in a channel of capacity 1.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
