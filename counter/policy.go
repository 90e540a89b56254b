package counter

import (
	"context"
	"slices"
	"time"

	"wordcount/counter/window"
)

// When a combine task commits, and when it waits for the reduces: the policy, apart from the loop.
const (
	flushAge = 5 * time.Second // after the last transaction lines are committed, whatever the interval
	// But not so near to the moment in which a window should close: those lines come with the transaction that closes it, which would have to
	// wait for one that began just before.
	closing    = time.Second
	earlyFlush = 100 * time.Millisecond
	// So long before the broker's clock closes a window a combine's transaction is prepared: until then most windows are closed by lines of the next
	// one. A reduce's may be earlier (lead).
	prepareAhead = 100 * time.Millisecond
	// While more lines wait to be read, the windows that close in this time share a transaction.
	backlogFlush = 100 * time.Millisecond

	// How many windows a slot may be ahead of the reduces: of such as hold little there may be more, for what a window costs besides its
	// words is what two transactions cost, and the fewer windows share them the more.
	maxAheadWindows      = 12
	maxAheadSmallWindows = 240
)

// limits are sizes of counts in memory, in bytes: here, or where they are summed.
type limits struct {
	flush int // so much that is pending here is committed
	early int // so much that is pending is worth a transaction of its own just before a window's end
	small int // so much of a slot's counts may be committed in more than maxAheadWindows that are not closed yet
	ahead int // so much in any; the half of it that is pending is committed
}

// production are the limits that a counter has; a test has smaller ones.
var production = limits{flush: 16 << 20, early: 1 << 20, small: 16 << 20, ahead: 64 << 20}

// flushNow tells whether it is time to commit: a window has closed, enough is gathered, or it has waited long enough.
func (t *combineTask) flushNow() bool {
	c := t.combiner
	left := c.NextEnd() - t.clock.Now()
	soon := left <= closing.Milliseconds() && left >= -(t.cfg.Grace+closing).Milliseconds()
	switch age := time.Since(t.flushed); {
	case t.full(), t.overdue():
		return true
	case c.Closes():
		return !t.behind() || age >= backlogFlush
	case c.Pending().Lines == 0:
		return false
	case age >= flushAge && !soon:
		return true
	}
	return c.Size() >= t.limits.early && left >= 0 && left <= earlyFlush.Milliseconds()
}

// full tells whether what is pending takes too much memory, here or where it will be summed, to wait for more.
func (t *combineTask) full() bool {
	return t.combiner.Size() >= t.limits.flush || t.combiner.Load() >= t.limits.ahead/2
}

// behind tells whether the last fetches left lines to read.
func (t *combineTask) behind() bool {
	return slices.ContainsFunc(t.inputs, func(in input) bool { return in.position < in.end })
}

// skew is how far a slot is ahead of the reduces: what it has sent and they have not closed.
type skew struct {
	closed  int64 // the least closed time that they have committed, or where the slot started
	windows []sentBytes
	bytes   int
}

type sentBytes struct {
	until int64 // the end of the last window in it
	bytes int
}

func (s *skew) start(closed int64) { *s = skew{closed: closed} }

func (s *skew) sent(until int64, bytes int) {
	if bytes == 0 {
		return
	}
	if n := len(s.windows); n > 0 { // in order, for close
		until = max(until, s.windows[n-1].until)
	}
	s.windows = append(s.windows, sentBytes{until, bytes})
	s.bytes += bytes
}

func (s *skew) close(closed int64) {
	s.closed = max(s.closed, closed)
	for len(s.windows) > 0 && s.windows[0].until <= s.closed {
		s.bytes -= s.windows[0].bytes
		s.windows = s.windows[1:]
	}
}

// room returns how many windows ahead of the reduces a slot may be with the bytes that it has sent: always one, for what holds the next
// window back never has to wait.
func (s *skew) room(limits limits) int64 {
	switch {
	case s.bytes > limits.ahead:
		return 1
	case s.bytes > limits.small:
		return maxAheadWindows
	}
	return maxAheadSmallWindows
}

// tooFar tells whether lines that have reached a time must wait for the reduces.
func (s *skew) tooFar(reached int64, interval window.Interval, limits limits) bool {
	return reached-s.closed > s.room(limits)*int64(interval)
}

// ahead holds back the inputs that are too far ahead of the reduces, also while another input of the slot lags or has no
// leader, and tells whether all are; then it waits until the least of them has risen, checkAhead at most. What was counted is committed
// before, for the reduces may wait for it.
func (t *combineTask) ahead(ctx context.Context) (bool, error) {
	news := t.reduces.news() // before anything is looked at
	furthest := t.combiner.Watermark()
	for i := range t.inputs {
		furthest = max(furthest, t.combiner.Reached(i))
	}
	if _, err := t.tooFar(ctx, furthest); err != nil {
		return false, err
	}
	all := t.skew.tooFar(t.combiner.Watermark(), t.interval, t.limits)
	for i := range t.inputs {
		in := &t.inputs[i]
		if held := t.skew.tooFar(t.combiner.Reached(i), t.interval, t.limits); held != in.held {
			in.held = held
			t.reader.Pause(t.cfg.LinesTopic, in.partition, held)
		}
	}
	if !all {
		return false, nil
	}
	// A watermark that stays where it was is said again from time to time: the reduces' safe offsets wait for it.
	if t.combiner.Pending().Lines > 0 || t.combiner.Closes() || time.Since(t.flushed) >= flushAge {
		if err := t.flush(ctx); err != nil {
			return false, err
		}
	}
	return true, pauseUntil(ctx, checkAhead, news)
}

// tooFar tells whether lines that have reached a time must wait for the reduces, as far as this counter knows. It asks Kafka when it has to, but
// not too often.
func (t *combineTask) tooFar(ctx context.Context, reached int64) (bool, error) {
	far := func() bool { return t.skew.tooFar(reached, t.interval, t.limits) }
	if far() {
		t.skew.close(t.reduces.least())
	}
	if !far() || !t.reduces.ask() {
		return far(), nil
	}
	if _, err := t.reduceStates(ctx); err != nil {
		return false, err
	}
	t.skew.close(t.reduces.least())
	return far(), nil
}

// pause waits for d or until ctx ends, and then returns its error.
func pause(ctx context.Context, d time.Duration) error { return pauseUntil(ctx, d, nil) }

// pauseUntil is pause that ends when news is closed, too.
func pauseUntil(ctx context.Context, d time.Duration, news <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-news:
		return nil
	case <-time.After(d):
		return nil
	}
}
