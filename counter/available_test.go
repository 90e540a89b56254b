package counter

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// TestAvailable: where the backlog ends. Lines that retention has removed may have been counted in a window that is open.
func TestAvailable(t *testing.T) {
	for _, c := range []struct {
		lines, removed int
		want           string
	}{{0, 0, "[]"}, {5, 0, "[0 5]"}, {5, 5, "[0 5]"}} {
		synctest.Test(t, func(t *testing.T) {
			s, p := quiet(t, 2, 2)
			s.lines(1, c.lines)
			s.kafka.topics["lines"][1].start = int64(c.removed)
			if ends, err := p.job.available(t.Context()); fmt.Sprint(ends) != c.want || err != nil {
				t.Errorf("%d lines of which %d are removed: %v, %v; want %s", c.lines, c.removed, ends, err, c.want)
			}
		})
	}
}

// TestWatch: the end is when the lines are counted and the newest window with lines is closed, whatever the watermarks are.
func TestWatch(t *testing.T) {
	const end = aTime + anInterval
	combined := wire.CombineState{Watermark: end + 1_000_000, Lines: end, Partitions: 2}.Encode()
	earlier := wire.CombineState{Watermark: end + 1_000_000, Lines: aTime, Partitions: 2}.Encode()
	closed := func(until int64) string {
		return wire.ReduceState{Closed: until, Interval: anInterval, Partitions: 2, LinesPartitions: 2}.Encode()
	}
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 2, 2)
		done := make(chan error, 1)
		go func() { done <- p.job.watch(t.Context(), []int64{3, 7}) }()
		goesOn := func(why string) {
			t.Helper()
			select {
			case err := <-done:
				t.Fatalf("ended (%v) although %s", err, why)
			case <-time.After(time.Second):
			}
		}
		goesOn("nothing is counted")
		s.commit("lines", 0, 3, combined)
		s.commit("g-shuffle", 0, 1, closed(end))
		s.commit("g-shuffle", 1, 1, closed(end))
		goesOn("lines/1 is not counted")
		s.commit("lines", 1, 6, earlier)
		goesOn("a line of lines/1 is not counted")
		s.commit("g-shuffle", 1, 1, closed(end-1))
		s.commit("lines", 1, 7, earlier)
		goesOn("one reduce has not closed the window")
		k := s.kafka
		k.mu.Lock()
		reduce := k.transaction(&memoryProducer{id: 7})
		rows := k.topics["counts"][1]
		reduce.add(rows)
		var b kafkaio.RecordBatch
		b.Append(0, []byte("word"), []byte("row"))
		k.append(rows, &b, reduce, false)
		k.mu.Unlock()
		s.commit("g-shuffle", 1, 1, closed(end))
		goesOn("a row is not visible")
		k.mu.Lock()
		k.decide(reduce, true)
		k.mu.Unlock()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 2)
		s.commit("lines", 0, 9, "")
		if err := p.job.watch(t.Context(), []int64{9}); !final(err) {
			t.Errorf("an offset without metadata: %v", err)
		}
	})
}

// A slot knows the newest window in which it has counted lines, also after a restart.
func TestLinesUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		s.lines(0, 1)
		at := p.job.interval.End(p.job.interval.Of(s.kafka.now()))
		for range 2 {
			task := p.reads(t)
			if err := task.flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // the watermark rises
			committed, _, _ := s.committed("lines", 0)
			if until, err := linesUntil([]kafkaio.Offset{committed}); until != at || err != nil {
				t.Errorf("lines until %d, %v; want %d", until, err, at)
			}
		}
	})
}
