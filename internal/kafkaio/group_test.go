package kafkaio

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestYoungGeneration: that a generation is over is noticed sooner when it has just begun.
func TestYoungGeneration(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	c := NewClient(Config{Brokers: broker.ListenAddrs()})
	defer c.Close()
	m := c.Join("g", noOne{}, "t")
	defer m.Close()
	var beats []time.Time
	var mu sync.Mutex
	broker.ControlKey(int16(kmsg.Heartbeat), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		beats = append(beats, time.Now())
		return nil, nil, false
	})
	if _, err := m.Next(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	time.Sleep(youngGeneration + 4*heartbeatInterval)
	mu.Lock()
	defer mu.Unlock()
	young, old := 0, 0
	for _, at := range beats {
		if at.Sub(began) < youngGeneration {
			young++
		} else {
			old++
		}
	}
	// Of 40 and 4; a slow machine has fewer.
	if young <= int(youngGeneration/heartbeatInterval) || old < 1 || old > 5 {
		t.Errorf("%d heartbeats in the first %v, %d in %v after that", young, youngGeneration, old, 4*heartbeatInterval)
	}
}

// noOne gives nobody anything.
type noOne struct{}

func (noOne) Protocol() string { return "nothing" }

func (noOne) Assign([]Claim, map[string]int) map[string]map[string][]int32 { return nil }
