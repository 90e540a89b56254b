package kafkaio

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLeadersOfANewTopic: a topic is found as soon as it is there, although the transport has not heard of it. Who knows a topic does not ask for it.
func TestLeadersOfANewTopic(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "known"))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	var asked atomic.Int64
	broker.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		if len(r.(*kmsg.MetadataRequest).Topics) == 1 { // the transport asks for all
			asked.Add(1)
		}
		return nil, nil, false
	})
	connect := func() *Client {
		c := NewClient(Config{Brokers: broker.ListenAddrs()})
		t.Cleanup(c.Close)
		return c
	}
	c, other := connect(), connect()
	for range 3 {
		if leaders, err := c.leaders(t.Context(), "known"); err != nil || len(leaders) != 3 || leaders[2] != 0 {
			t.Fatalf("leaders %v, %v", leaders, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times for a topic that is known", n)
	}
	for i := range 5 {
		topic := fmt.Sprintf("new-%d", i)
		if _, err := c.leaders(t.Context(), topic); !errors.Is(err, kafka.UnknownTopicOrPartition) {
			t.Fatalf("before it is there: %v", err)
		}
		if err := other.createTopics(t.Context(), []TopicSpec{{Name: topic, Partitions: 2, ReplicationFactor: 1}}); err != nil {
			t.Fatal(err)
		}
		before := asked.Load()
		for range 3 {
			if leaders, err := c.leaders(t.Context(), topic); err != nil || len(leaders) != 2 {
				t.Errorf("leaders %v, %v", leaders, err)
			}
		}
		if n := asked.Load() - before; n > 1 {
			t.Errorf("asked %d times within %v", n, metadataTTL)
		}
	}
}
