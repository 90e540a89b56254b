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

// foundLeaders are the brokers that lead a topic's partitions, as a broker said when it was asked.
type foundLeaders struct {
	leaders []int32
	at      time.Time // when it was asked
}

// leaders returns the broker that leads each partition of a topic, index = partition, noLeader where there is none. It is what the cluster said
// at most metadataTTL ago; a broker is asked for a topic of which nothing was known then. The slice must not be changed.
func (c *Client) leaders(ctx context.Context, topic string) ([]int32, error) {
	if len(c.cfg.Topics) > 0 && !slices.Contains(c.cfg.Topics, topic) {
		return nil, finalError{fmt.Errorf("topic %s is not among the client's topics %q", topic, c.cfg.Topics)}
	}
	c.mu.Lock()
	found := c.found[topic]
	c.mu.Unlock()
	if time.Since(found.at) < metadataTTL { // the transport may not know of it yet
		return found.leaders, nil
	}
	m, err := c.roundTrip(ctx, &metadata.Request{TopicNames: []string{topic}}, requestTimeout)
	if err != nil {
		return nil, err
	}
	known := m.(*metadata.Response)
	if known.Topics[0].ErrorCode == 0 {
		return leadersOf(known)
	}
	found.at = time.Now()
	if found.leaders, err = c.askLeaders(ctx, topic); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found.at.After(c.found[topic].at) {
		c.found[topic] = found
	}
	return found.leaders, nil
}

// askLeaders asks a broker for the leaders of a topic, which need not be among the client's.
func (c *Client) askLeaders(ctx context.Context, topic string) ([]int32, error) {
	x := &metadataExchange{direct: direct{Message: &metadata.Request{TopicNames: []string{topic}}, broker: anyBroker, clientID: c.cfg.ClientID}}
	if _, err := c.roundTrip(ctx, x, requestTimeout); err != nil {
		return nil, err
	}
	return leadersOf(x.response)
}

// metadataExchange asks a broker for metadata. kafka-go's transport answers its own request from what it asked for up to metadataTTL ago,
// and takes every response of its own for the answer to such a request.
type metadataExchange struct {
	direct
	response *metadata.Response
}

func (x *metadataExchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	m, err := x.direct.RawExchange(rw)
	if err != nil {
		return nil, err
	}
	x.response = m.(*metadata.Response)
	return x, nil
}

// leadersOf reads an answer for one topic.
func leadersOf(m *metadata.Response) ([]int32, error) {
	if len(m.Topics) != 1 {
		return nil, fmt.Errorf("metadata of %d topics, asked for one", len(m.Topics))
	}
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
	return leaderOf(leaders, err, partition)
}

// leaderOf is leader, given what leaders returned.
func leaderOf(leaders []int32, err error, partition int32) (int32, error) {
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
