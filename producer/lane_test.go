package producer

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func putOne(ctx context.Context, l *lane, line []byte) error {
	return l.put(ctx, [][]byte{line}, nil, 1, time.Now())
}

// While a batch is under way the next one fills up to laneBytes; then the chooser waits.
func TestLaneIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(0, 1<<20)
		line := bytes.Repeat([]byte("x"), 1000)
		var put int
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			for {
				if err := putOne(ctx, l, line); err != nil {
					ended <- err
					return
				}
				put++
			}
		}()
		synctest.Wait() // the chooser waits for room
		first := put
		if bytes := first * 1000; bytes > laneBytes || bytes < laneBytes*9/10 {
			t.Errorf("%d bytes fit, want nearly %d", bytes, laneBytes)
		}
		b := l.take(&batch{})
		if b.records.Len() != first || b.records.Size() > laneBytes || b.bytes != first*1000 {
			t.Errorf("took %d lines of %d bytes, %d with overhead", b.records.Len(), b.bytes, b.records.Size())
		}
		synctest.Wait()
		if put != 2*first {
			t.Errorf("after the first batch was taken %d lines fit, want %d", put-first, first)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("put: %v", err)
		}
	})
}

// Lines that come one by one go at once; of many, those of a linger go together, unless they fill a batch or are the last.
func TestLaneLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(0, 1<<20)
		began := time.Now()
		type taken struct {
			after time.Duration
			lines int
		}
		var got []taken
		over := make(chan struct{})
		go func() {
			defer close(over)
			for b := l.take(&batch{}); b != nil; b = l.take(&batch{}) {
				got = append(got, taken{time.Since(began), b.records.Len()})
			}
		}()
		put := func(line []byte) {
			if err := putOne(t.Context(), l, line); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		at := func(after time.Duration) { time.Sleep(after - time.Since(began)) }

		put([]byte("first"))
		at(linger)
		put([]byte("one by one"))
		for i := range 3 {
			at(linger + time.Duration(i+1)*linger/4)
			put([]byte("together"))
		}
		at(3*linger - 1)
		put(make([]byte, laneBytes*2/3))
		put(make([]byte, laneBytes*2/3)) // has no room beside the one before, which therefore goes
		at(3 * linger)
		put([]byte("last"))
		l.close()
		<-over
		want := []taken{{0, 1}, {linger, 1}, {2 * linger, 3}, {3*linger - 1, 1}, {3 * linger, 2}}
		if !slices.Equal(got, want) || time.Since(began) > 3*linger {
			t.Errorf("%v, over after %v; want %v", got, time.Since(began), want)
		}
	})
}

// A batch that was full while the one before it was under way is no reason for the next one to hurry.
func TestLaneLingersBehindAFullBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(0, 1<<20)
		put := func(bytes int) {
			if err := putOne(t.Context(), l, make([]byte, bytes)); err != nil {
				t.Error(err)
			}
		}
		put(1)
		l.take(&batch{})
		put(laneBytes * 2 / 3)
		go put(laneBytes * 2 / 3) // waits
		time.Sleep(2 * linger)
		l.take(&batch{})
		took := time.Now()
		synctest.Wait()
		if b := l.take(&batch{}); b.records.Len() != 1 || time.Since(took) != linger {
			t.Errorf("%d lines after %v", b.records.Len(), time.Since(took))
		}
	})
}

// A line that is larger than laneBytes is a batch of its own.
func TestLaneTakesALargeLine(t *testing.T) {
	l := newLane(0, 1<<20)
	if err := putOne(t.Context(), l, make([]byte, 2*laneBytes)); err != nil {
		t.Fatal(err)
	}
	if l.add(0, [][]byte{[]byte("x")}, nil, 1, time.Now()) > 0 {
		t.Error("another line beside it")
	}
	if b := l.take(&batch{}); b.records.Len() != 1 {
		t.Errorf("%d lines", b.records.Len())
	}
}

func TestLaneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(0, 1<<20)
		taken := make(chan *batch)
		go func() {
			for {
				b := l.take(new(batch))
				taken <- b
				if b == nil {
					return
				}
			}
		}()
		synctest.Wait()
		l.put(t.Context(), [][]byte{[]byte("last")}, []*shown{{0, []byte("last")}}, 1, time.Now())
		l.close()
		if b := <-taken; b == nil || b.records.Len() != 1 || len(b.shown) != 1 {
			t.Errorf("before the end: %+v", b)
		}
		if b := <-taken; b != nil {
			t.Errorf("after the end: %+v", b)
		}

		l = newLane(0, 1<<20)
		go func() {
			synctest.Wait() // put waits for room
			l.abandon()
		}()
		putOne(t.Context(), l, make([]byte, laneBytes))
		if err := putOne(t.Context(), l, []byte("x")); !errors.Is(err, errEnded) {
			t.Errorf("put into an abandoned lane: %v", err)
		}
	})
}

func TestBatchIsReused(t *testing.T) {
	l := newLane(0, 1<<20)
	l.put(t.Context(), [][]byte{[]byte("first")}, []*shown{{0, nil}}, 1, time.Now())
	b := l.take(&batch{})
	b.reset()
	if b.records.Len() != 0 || b.bytes != 0 || len(b.shown) != 0 {
		t.Errorf("not empty: %+v", b)
	}
}

func TestLaneKeepsToTheTopicsLimit(t *testing.T) {
	l := newLane(0, 1000)
	for l.add(0, [][]byte{make([]byte, 100)}, nil, 1, time.Now()) > 0 {
	}
	if b := l.take(&batch{}); b.records.Size() > 1000 || b.records.Len() < 7 {
		t.Errorf("%d lines of 100 bytes, %d bytes in all", b.records.Len(), b.records.Size())
	}
}
