package kafkaio

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// noLeader is the leader of a partition that has none.
const noLeader int32 = -1

// topicLeaders are the brokers that lead a topic's partitions, as a broker said when it was asked for them.
type topicLeaders struct {
	leaders []int32
	at      time.Time
}

// leaders returns the broker that leads each partition of a topic, index = partition, noLeader where there is none. They are at most
// metadataTTL old; a broker is asked where they were not known, or a partition had none.
func (c *Client) leaders(ctx context.Context, topic string) ([]int32, error) {
	if len(c.cfg.Topics) > 0 && !slices.Contains(c.cfg.Topics, topic) {
		return nil, finalError{fmt.Errorf("topic %s is not among the client's topics %q", topic, c.cfg.Topics)}
	}
	c.mu.Lock()
	asked := c.asked[topic]
	c.mu.Unlock()
	if time.Since(asked.at) < metadataTTL { // the transport may not know yet
		return asked.leaders, nil
	}
	req := &metadata.Request{TopicNames: []string{topic}}
	m, err := c.roundTrip(ctx, req, requestTimeout)
	if err != nil {
		return nil, err
	}
	leaders, err := leadersOf(m.(*metadata.Response))
	if err == nil && !slices.Contains(leaders, noLeader) {
		return leaders, nil
	}
	x := &metadataExchange{request: req, clientID: c.cfg.ClientID}
	if _, err := c.roundTrip(ctx, x, requestTimeout); err != nil {
		return nil, err
	}
	leaders, err = leadersOf(x.response)
	if err == nil && !slices.Contains(leaders, noLeader) {
		c.mu.Lock()
		c.asked[topic] = topicLeaders{leaders, time.Now()}
		c.mu.Unlock()
	}
	return leaders, err
}

// metadataExchange asks any broker for metadata. kafka-go answers a request of its own from what it asked for up to metadataTTL ago, and
// takes a response of its own for the answer to one.
type metadataExchange struct {
	request  *metadata.Request
	clientID string
	version  int16
	response *metadata.Response
}

func (x *metadataExchange) ApiKey() protocol.ApiKey { return protocol.Metadata }

func (x *metadataExchange) Required(versions map[protocol.ApiKey]int16) bool {
	x.version = versions[protocol.Metadata]
	return true
}

func (x *metadataExchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	m, err := protocol.RoundTrip(rw, x.version, 0, x.clientID, x.request)
	if err != nil {
		return nil, err
	}
	x.response = m.(*metadata.Response)
	return x, nil
}

// leadersOf reads an answer for one topic.
func leadersOf(m *metadata.Response) ([]int32, error) {
	t := m.Topics[0]
	if t.ErrorCode != 0 {
		return nil, kafka.Error(t.ErrorCode)
	}
	leaders := make([]int32, len(t.Partitions))
	for i := range leaders {
		leaders[i] = noLeader
	}
	for _, p := range t.Partitions {
		if int(p.PartitionIndex) >= len(leaders) {
			return nil, fmt.Errorf("partition %d of the %d partitions of topic %s", p.PartitionIndex, len(leaders), t.Name)
		}
		if p.ErrorCode == 0 || p.ErrorCode == int16(kafka.ReplicaNotAvailable) {
			leaders[p.PartitionIndex] = p.LeaderID
		}
	}
	return leaders, nil
}

// leader returns the broker that leads a partition.
func (c *Client) leader(ctx context.Context, topic string, partition int32) (int32, error) {
	leaders, err := c.leaders(ctx, topic)
	switch {
	case err != nil:
		return noLeader, err
	case int(partition) >= len(leaders):
		return noLeader, kafka.UnknownTopicOrPartition
	case leaders[partition] == noLeader:
		return noLeader, kafka.LeaderNotAvailable
	}
	return leaders[partition], nil
}
