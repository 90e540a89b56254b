package kafkaio

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// The requests of the classic group protocol, of the versions before the flexible ones (KIP-482), and what members tell each
// other in them, in the format of Java's consumers (ConsumerProtocolSubscription and ConsumerProtocolAssignment), which Kafka's
// tools show. kafka-go's SyncGroup is wrong in the version that it chooses.

const protocolType = "consumer"

// memberBytes is what a member says or is told.
type memberBytes struct {
	id    string
	bytes []byte
}

// joined is an answer to JoinGroup.
type joined struct {
	generation int32
	leader     string
	members    []memberBytes // if this member leads
}

// joinGroup enters the group under the member's id. A new member is given its id first (KIP-394), so one whose answer is lost is
// not waited for as somebody else.
func (m *Member) joinGroup(ctx context.Context, owned map[string][]int32) (j joined, err error) {
	for {
		body := appendString(nil, m.group)
		body = appendInt32(body, int32(sessionTimeout.Milliseconds()))
		body = appendInt32(body, int32(rebalanceTimeout.Milliseconds()))
		body = appendString(body, m.id)
		body = appendString(body, protocolType)
		body = appendInt32(body, 1) // protocol
		body = appendString(body, m.balancer.Protocol())
		body = appendBytes(body, appendSubscription(nil, m.topics, Claim{Owned: owned, Generation: m.last}))
		r, err := m.client.askCoordinator(ctx, m.key, protocol.JoinGroup, 4, body, rebalanceTimeout+requestTimeout)
		if r == nil {
			return j, err
		}
		j.generation = r.int32()
		r.string() // the protocol
		j.leader = r.string()
		id := r.string()
		for range r.count() {
			j.members = append(j.members, memberBytes{r.string(), r.bytes()})
		}
		if r.short {
			return j, errShort
		}
		if errors.Is(err, memberIDRequired) {
			m.id = id
			continue
		}
		return j, err
	}
}

const memberIDRequired kafka.Error = 79

// syncGroup waits for the leader's assignments, or hands them out.
func (m *Member) syncGroup(ctx context.Context, generation int32, assignments []memberBytes) (map[string][]int32, error) {
	body := appendString(nil, m.group)
	body = appendInt32(body, generation)
	body = appendString(body, m.id)
	body = appendInt32(body, int32(len(assignments)))
	for _, a := range assignments {
		body = appendString(body, a.id)
		body = appendBytes(body, a.bytes)
	}
	r, err := m.client.askCoordinator(ctx, m.key, protocol.SyncGroup, 2, body, rebalanceTimeout+requestTimeout)
	if err != nil {
		return nil, err
	}
	assignment := r.bytes()
	if r.short {
		return nil, errShort
	}
	return parseAssignment(assignment)
}

func (m *Member) leaveGroup(ctx context.Context) error {
	body := appendString(nil, m.group)
	body = appendString(body, m.id)
	return retry(ctx, m.client.log, "leave group "+m.group, func() error {
		_, err := m.client.askCoordinator(ctx, m.key, protocol.LeaveGroup, 2, body, requestTimeout)
		return err
	})
}

// askCoordinator exchanges a request whose answer begins with the throttle time and an error code. With an error code the answer
// is not nil.
func (c *Client) askCoordinator(ctx context.Context, key coordinatorKey, api protocol.ApiKey, version int16, body []byte, timeout time.Duration) (*cursor, error) {
	x := &exchange{key: api, version: version, request: [][]byte{body}}
	if _, err := c.toCoordinatorWithin(ctx, key, x, timeout); err != nil {
		return nil, err
	}
	r := &cursor{b: x.response}
	r.int32() // throttle time
	code := r.int16()
	if r.short {
		return nil, errShort
	}
	return r, c.coordinated(key, code)
}

var errShort = finalError{errors.New("the answer ends early")}

// appendSubscription appends what a member tells the leader: version 2, with the partitions that it owns and in which
// generation (KIP-429, KIP-792).
func appendSubscription(b []byte, topics []string, c Claim) []byte {
	b = appendInt16(b, 2)
	b = appendInt32(b, int32(len(topics)))
	for _, topic := range topics {
		b = appendString(b, topic)
	}
	b = appendInt32(b, -1) // no user data
	b = appendPartitions(b, c.Owned)
	return appendInt32(b, c.Generation)
}

func parseSubscription(b []byte) (Claim, error) {
	r := cursor{b: b}
	version := r.int16()
	for range r.count() {
		r.string()
	}
	r.bytes()
	c := Claim{Generation: -1}
	if version >= 1 {
		c.Owned = r.partitions()
	}
	if version >= 2 {
		c.Generation = r.int32()
	}
	if r.short {
		return c, errShort
	}
	return c, nil
}

func appendAssignment(b []byte, partitions map[string][]int32) []byte {
	b = appendInt16(b, 0)
	b = appendPartitions(b, partitions)
	return appendInt32(b, -1) // no user data
}

// parseAssignment reads what the leader gave; nothing is nothing.
func parseAssignment(b []byte) (map[string][]int32, error) {
	if len(b) == 0 {
		return nil, nil
	}
	r := cursor{b: b}
	r.int16() // version
	partitions := r.partitions()
	if r.short {
		return nil, errShort
	}
	return partitions, nil
}

func appendPartitions(b []byte, partitions map[string][]int32) []byte {
	b = appendInt32(b, int32(len(partitions)))
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		b = appendString(b, topic)
		b = appendInt32(b, int32(len(partitions[topic])))
		for _, p := range partitions[topic] {
			b = appendInt32(b, p)
		}
	}
	return b
}

func (c *cursor) partitions() map[string][]int32 {
	partitions := make(map[string][]int32)
	for range c.count() {
		topic := c.string()
		for range c.count() {
			partitions[topic] = append(partitions[topic], c.int32())
		}
		slices.Sort(partitions[topic])
	}
	return partitions
}

func appendBytes(b, v []byte) []byte { return append(appendInt32(b, int32(len(v))), v...) }
