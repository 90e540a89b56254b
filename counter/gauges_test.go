package counter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"wordcount/internal/kafkaio"
)

// gauges returns the values of all gauges of a collector.
func gauges(t *testing.T, c prometheus.Collector) (values []float64) {
	t.Helper()
	metrics := make(chan prometheus.Metric, 100)
	c.Collect(metrics)
	close(metrics)
	for metric := range metrics {
		var m dto.Metric
		if err := metric.Write(&m); err != nil {
			t.Fatal(err)
		}
		values = append(values, m.GetGauge().GetValue())
	}
	return values
}

// A counter that gives up one of its slots is as far behind as it was; one that has none is not.
func TestBehindOfSlotsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 2, 2)
		work := make(map[int32]*slotWork)
		take := func(slots ...int32) {
			if _, err := p.job.take(t.Context(), work, p.alone(map[string][]int32{"lines": slots, "g-shuffle": slots})); err != nil {
				t.Fatal(err)
			}
		}
		take(0, 1)
		time.Sleep(10 * time.Second)
		p.job.metrics.behind.Set(3600)
		take(0)
		if got := gauges(t, p.job.metrics.behind); got[0] == 0 {
			t.Error("not behind with a slot left")
		}
		take()
		if got := gauges(t, p.job.metrics.behind); got[0] != 0 {
			t.Errorf("%v s behind without a slot", got[0])
		}
	})
}

// A slot that is given up while it waits for a partition's leader, to see where it starts, leaves no lag behind.
func TestLagOfASlotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		p.job.broker = tapped{p.job.broker.(*memoryClient), func(_ string, outputs []kafkaio.Output, _ []kafkaio.Offset) {
			s.kafka.mu.Lock()
			defer s.kafka.mu.Unlock()
			s.kafka.topics["lines"][0].leaderless = len(outputs) > 0 // once it has begun to commit
		}}
		ctx, stop := context.WithCancel(t.Context())
		combine := &combineTask{task: p.task(0, 1, 0)}
		combine.stage = stageCombine
		over := make(chan error)
		go func() { over <- combine.run(ctx) }()
		time.Sleep(10 * time.Second)
		if n := len(gauges(t, p.job.metrics.lag)); n != 1 {
			t.Errorf("%d partitions have a lag", n)
		}
		stop()
		<-over
		if n := len(gauges(t, p.job.metrics.lag)); n != 0 {
			t.Errorf("%d partitions have a lag without a slot", n)
		}
	})
}
