package producer

import (
	"bytes"
	"context"
	"errors"
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
		l := newLane(0, 1<<20, make(chan struct{}, 1))
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

// A line that is larger than laneBytes is a batch of its own.
func TestLaneTakesALargeLine(t *testing.T) {
	l := newLane(0, 1<<20, make(chan struct{}, 1))
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

// Who waits for room in a lane that nobody takes from any more hears of it.
func TestLaneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(0, 1<<20, make(chan struct{}, 1))
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
	l := newLane(0, 1<<20, make(chan struct{}, 1))
	l.put(t.Context(), [][]byte{[]byte("first")}, []*shown{{0, nil}}, 1, time.Now())
	b := l.take(&batch{})
	b.reset()
	if b.records.Len() != 0 || b.bytes != 0 || len(b.shown) != 0 {
		t.Errorf("not empty: %+v", b)
	}
}

func TestLaneKeepsToTheTopicsLimit(t *testing.T) {
	l := newLane(0, 1000, make(chan struct{}, 1))
	for l.add(0, [][]byte{make([]byte, 100)}, nil, 1, time.Now()) > 0 {
	}
	if b := l.take(&batch{}); b.records.Size() > 1000 || b.records.Len() < 7 {
		t.Errorf("%d lines of 100 bytes, %d bytes in all", b.records.Len(), b.records.Size())
	}
}
