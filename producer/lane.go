package producer

import (
	"context"
	"errors"
	"sync"
	"time"

	"wordcount/internal/kafkaio"
)

// laneBytes is how large a batch gets at most while the one before it is under way, or lingers, unless a single line needs more, or the
// topic takes less. A lane holds two, which bounds the memory. Two fit what Kafka's consumer fetches of a partition, four what the counter does.
const laneBytes = 512 << 10

// lane is the way to one partition: lines gather in a batch while the batch before it is under way, and until the linger is over. The chooser puts, the
// sender takes.
type lane struct {
	partition int32
	limit     int             // bytes of a batch of several lines
	text      bool            // batches keep the text of their lines
	news      chan<- struct{} // capacity 1, of all lanes: one has its first line, or is full

	mu      sync.Mutex
	filling *batch
	full    bool // the chooser waits for room

	emptied chan struct{} // capacity 1: the batch that was full is taken
	ended   chan struct{} // closed when nobody takes any more

	// The sender's.
	busy  bool // a batch is under way
	dead  bool // one was not taken by Kafka
	spare *batch
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
func newLane(partition, maxBatch int, news chan<- struct{}) *lane {
	return &lane{
		partition: int32(partition),
		limit:     min(laneBytes, maxBatch),
		news:      news,
		filling:   &batch{},
		emptied:   make(chan struct{}, 1),
		ended:     make(chan struct{}),
		spare:     &batch{},
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
			signal(l.news)
		case b.records.Size()+len(line)+kafkaio.RecordOverhead > l.limit:
			l.full = true
			signal(l.news)
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

// waiting tells whether lines wait to be taken, and the chooser for that.
func (l *lane) waiting() (lines, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.filling.records.Len() > 0, l.full
}

// take returns the lines that wait. The empty batch takes the next ones.
func (l *lane) take(empty *batch) *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.filling
	l.filling = empty
	if l.full {
		l.full = false
		signal(l.emptied)
	}
	return b
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
