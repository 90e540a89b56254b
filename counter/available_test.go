package counter

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// TestAvailable: where the backlog ends and when its newest line is, whatever the order of times.
func TestAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 2)
		if there, err := p.job.available(t.Context()); there != nil || err != nil {
			t.Errorf("an empty topic has %+v, %v", there, err)
		}
		s.lines(0, 2)
		s.kafka.topics["lines"][0].start = 2
		if there, err := p.job.available(t.Context()); there != nil || err != nil {
			t.Errorf("a topic whose lines are gone has %+v, %v", there, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 2)
		s.lines(0, 2)
		s.kafka.topics["lines"][0].start = 2
		s.commit("lines", 0, 2, aWatermark) // they are counted, but their window may be open
		if there, err := p.job.available(t.Context()); err != nil || there == nil || there.newest != aTime || there.ends[0] != 2 {
			t.Errorf("%+v, %v; want to wait for the window of %d", there, err, aTime)
		}
	})
	r := rand.New(rand.NewPCG(5, 5))
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			s, p := quiet(t, 0, 2)
			s.kafka.grow("lines", 3, true)
			newest := int64(0)
			var ends []int64
			for _, l := range s.kafka.topics["lines"] {
				for range r.IntN(20) {
					var b kafkaio.RecordBatch
					at := aTime - r.Int64N(1<<r.IntN(40))
					if r.IntN(50) == 0 {
						at = []int64{0, -1, aTime + 1<<40}[r.IntN(3)]
					}
					b.Append(at, nil, []byte("line"))
					s.kafka.append(l, &b, nil, false)
					newest = max(newest, at)
				}
				ends = append(ends, l.end())
			}
			there, err := p.job.available(t.Context())
			switch {
			case err != nil:
				t.Error(err)
			case there == nil:
				if fmt.Sprint(ends) != "[0 0 0]" {
					t.Errorf("nothing is there, but ends are %v", ends)
				}
			case there.newest != newest || fmt.Sprint(there.ends) != fmt.Sprint(ends):
				t.Errorf("%+v, want the newest line at %d and ends %v", there, newest, ends)
			}
		})
	}
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 1, 1)
		now := time.Now().UnixMilli()
		offsets := []kafkaio.Offset{{Metadata: wire.CombineState{Watermark: now + 7000}.Encode()}, {Metadata: "?"}}
		end := func(at int64) int64 { return p.job.interval.End(p.job.interval.Of(at)) }
		if got := p.job.until(now-60_000, offsets); got != end(now-60_000) {
			t.Errorf("LogAppendTime: %d", got)
		}
		p.job.createTime = true
		if got := p.job.until(now-60_000, offsets); got != end(now+7000) {
			t.Errorf("CreateTime, late lines are in the watermark's window: %d", got)
		}
		if got := p.job.until(math.MaxInt64, nil); got != end(now+60_000) {
			t.Errorf("CreateTime, a line far ahead counts as now: %d", got)
		}
	})
}
