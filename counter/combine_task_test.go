package counter

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/kafkaio"
)

// A position beyond the end of the log is another log's, or one that has lost its end: no guessing.
func TestOutOfRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		s.lines(0, 5)
		task := &combineTask{task: p.task(0, 1, 0), inputs: []input{{partition: 0, position: 1}}}
		task.reader = p.job.broker.NewReader([]kafkaio.Position{{Topic: "lines", Offset: 1}})
		err := task.outOfRange(&task.inputs[0], &kafkaio.OffsetOutOfRangeError{Topic: "lines", Offset: 1, LogStart: 3, LogEnd: 5})
		if err != nil || task.inputs[0].position != 3 {
			t.Errorf("retention: position %d, %v; want 3", task.inputs[0].position, err)
		}
		err = task.outOfRange(&task.inputs[0], &kafkaio.OffsetOutOfRangeError{Topic: "lines", Offset: 9, LogStart: 3, LogEnd: 5})
		if !final(err) || !strings.Contains(err.Error(), "truncated or made anew") {
			t.Errorf("a log that ends before: %v", err)
		}
		other := errors.New("corrupt record batch")
		if err = task.outOfRange(&task.inputs[0], other); err != other {
			t.Errorf("another error: %v", err)
		}
	})
}

// The first start of a slot is the window of its first line; a partition without a leader is waited for, without haste.
func TestFirstTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 3, 1)
		s.lines(1, 3)
		first := s.kafka.now()
		time.Sleep(time.Minute)
		s.lines(0, 2)
		s.kafka.topics["lines"][2].leaderless = true
		time.AfterFunc(10*time.Second, func() { s.heal() })
		task := &combineTask{task: p.task(0, 3, 0, 1, 2)}
		for partition := range int32(3) {
			task.inputs = append(task.inputs, input{partition: partition})
		}
		var polls atomic.Int64
		task.reader = countingReader{p.job.broker.NewReader([]kafkaio.Position{{Topic: "lines"}, {Topic: "lines", Partition: 1}, {Topic: "lines", Partition: 2}}), &polls}
		began := time.Now()
		got, err := task.firstTime(t.Context())
		if err != nil || got != first {
			t.Errorf("%d, %v; want %d", got, err, first)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("took %v", took)
		}
		if polls.Load() > 1000 {
			t.Errorf("%d fetches in 10 s", polls.Load())
		}
		// Nothing of what was looked at is lost.
		seen := make(map[int32]int)
		for range 10 {
			fetched, err := task.reader.Poll(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fetched {
				var rec kafkaio.Record
				for f.Next(&rec) {
					seen[f.Partition]++
				}
			}
		}
		if seen[0] != 2 || seen[1] != 3 {
			t.Errorf("lines %v are left, want 2 and 3", seen)
		}
	})
}

type countingReader struct {
	reader
	polls *atomic.Int64
}

func (r countingReader) Poll(ctx context.Context, wait time.Duration) ([]*kafkaio.Fetched, error) {
	r.polls.Add(1)
	return r.reader.Poll(ctx, wait)
}
