package kafkaio

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// TopicID is what tells a topic from one of the same name that was made after it was deleted (KIP-516).
type TopicID [16]byte

// metadataWithIDs is the first version whose answers have them: Kafka 2.8.
const metadataWithIDs = 10

// TopicID asks any broker for a topic's id, once. The error wraps kafka.UnknownTopicOrPartition where there is no such topic now;
// a broker that is older than ids hangs up.
func (c *Client) TopicID(ctx context.Context, topic string) (TopicID, error) {
	id, err := c.topicID(ctx, topic)
	if err != nil {
		return TopicID{}, fmt.Errorf("find the id of topic %s: %w", topic, err)
	}
	return id, nil
}

func (c *Client) topicID(ctx context.Context, topic string) (id TopicID, err error) {
	m, err := c.roundTrip(ctx, &metadata.Request{TopicNames: []string{}}, requestTimeout)
	if err != nil {
		return id, err
	}
	body := append([]byte{noTags, 2}, id[:]...) // an array of one topic
	body = append(appendCompactString(body, topic), noTags)
	body = append(body, 0, 0, 0, noTags) // don't create it; no operations of cluster and topics
	// (include_cluster_authorized_operations is of versions 8 to 10.)
	for _, broker := range m.(*metadata.Response).Brokers {
		x := &exchange{key: protocol.Metadata, version: metadataWithIDs, newer: true, request: [][]byte{body}}
		if _, err = c.roundTrip(ctx, c.route(x, broker.NodeID), requestTimeout); err == nil {
			return parseTopicID(x.response)
		}
	}
	if err == nil {
		err = kafka.BrokerNotAvailable // there was none to ask
	}
	return id, err
}

// parseTopicID reads the answer as far as the first topic's id.
func parseTopicID(response []byte) (id TopicID, err error) {
	r := flexible(response)
	r.int32() // throttle time
	for range r.compactCount() {
		r.int32() // node id
		r.compactString()
		r.int32() // port
		r.compactString()
		r.tags()
	}
	r.compactString() // cluster id
	r.int32()         // controller
	topics := r.compactCount()
	code := r.int16()
	r.compactString()
	copy(id[:], r.take(len(id)))
	switch {
	case r.short || topics != 1:
		return TopicID{}, finalError{fmt.Errorf("response of %d bytes with %d topics ends early", len(response), topics)}
	case code != 0:
		return TopicID{}, kafka.Error(code)
	}
	return id, nil
}
