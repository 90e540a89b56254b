package kafkaio

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestSendToLeaders: each broker gets one request with the batches of the partitions that it leads; what one of them refuses concerns no other.
func TestSendToLeaders(t *testing.T) {
	const brokers, partitions = 3, 7
	broker, err := kfake.NewCluster(kfake.NumBrokers(brokers), kfake.SeedTopics(partitions, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	var requests atomic.Int64
	broker.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	c := NewClient(Config{Brokers: broker.ListenAddrs()})
	defer c.Close()
	p, err := c.NewProducer(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	leaders, err := c.leaders(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	leading := make(map[int32]bool)
	for _, l := range leaders {
		leading[l] = true
	}
	if len(leading) < 2 {
		t.Fatalf("leaders %v", leaders)
	}
	send := func(values string) (errs [partitions]error) {
		var batches []Outgoing
		for i := range partitions {
			b := new(RecordBatch)
			b.Append(0, nil, fmt.Appendf(nil, "%s%d", values, i))
			batches = append(batches, Outgoing{int32(i), b})
		}
		var mu sync.Mutex
		p.Send(t.Context(), batches, func(some []Delivery) {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range some {
				errs[d.Index] = d.Err
			}
		})
		return errs
	}
	for i, err := range send("a") {
		if err != nil {
			t.Errorf("partition %d: %v", i, err)
		}
	}
	if n := int(requests.Load()); n != len(leading) {
		t.Errorf("%d requests to %d leaders", n, len(leading))
	}
	broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "t", Partitions: []int32{4}, Err: kerr.InvalidRecord, Count: 1})
	broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "t", Partitions: []int32{5}, Err: kerr.NotLeaderForPartition, Count: 1})
	for i, err := range send("b") {
		if refused := errors.Is(err, kafka.Error(87)); refused != (i == 4) || err != nil && !refused { // INVALID_RECORD
			t.Errorf("partition %d: %v", i, err)
		}
	}
	for i := range partitions {
		want := fmt.Sprintf("[a%d b%d]", i, i)
		if i == 4 {
			want = "[a4]"
		}
		if got := fmt.Sprint(valuesOf(t, c, "t", int32(i))); got != want {
			t.Errorf("partition %d has %s, want %s", i, got, want)
		}
	}
}

// valuesOf reads a partition to its end.
func valuesOf(t *testing.T, c *Client, topic string, partition int32) (values []string) {
	t.Helper()
	r := c.NewReader([]Position{{Topic: topic, Partition: partition}})
	defer r.Close()
	for {
		fetched, err := r.Poll(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fetched {
			var rec Record
			for f.Next(&rec) {
				values = append(values, string(rec.Value))
			}
			if f.Err() != nil {
				t.Fatal(f.Err())
			}
			if f.CaughtUp() {
				return values
			}
		}
	}
}
