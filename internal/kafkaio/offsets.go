package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"
)

// Times of Offsets that are no times (ListOffsets API).
const (
	Latest   int64 = -1 // the last stable offset
	Earliest int64 = -2 // the first offset that retention has left

	HighWatermark int64 = math.MinInt64 // also behind transactions that are open or have no marker yet
)

const readUncommitted, readCommitted = 0, 1

// Offsets returns for each partition of a topic (index = partition) the offset at a time: Earliest, Latest, HighWatermark, or the
// first whose record time is at or after at, in ms since the epoch (the last stable offset where there is none).
func (c *Client) Offsets(ctx context.Context, topic string, at int64) ([]int64, error) {
	n, err := c.WaitTopic(ctx, topic)
	if err != nil {
		return nil, err
	}
	offsets := make([]int64, n)
	for p := range offsets {
		if offsets[p], err = c.Offset(ctx, topic, int32(p), at); err != nil {
			return nil, err
		}
	}
	return offsets, nil
}

// Offset is Offsets for one partition; it waits for no other one. No record that is committed meanwhile lies before what it returns for a time, unless
// it is older than that.
func (c *Client) Offset(ctx context.Context, topic string, partition int32, at int64) (offset int64, err error) {
	operation := fmt.Sprintf("look up an offset of %s/%d", topic, partition)
	isolation := int8(readCommitted)
	if at == HighWatermark {
		at, isolation = Latest, readUncommitted
	}
	end := int64(-1)
	if at >= 0 { // before the look-up, which does not see what is committed between the two
		if end, err = c.Offset(ctx, topic, partition, Latest); err != nil {
			return 0, err
		}
	}
	err = retry(ctx, c.log, operation, func() error {
		leader, err := c.leader(ctx, topic, partition)
		if err != nil {
			return err
		}
		m, err := c.roundTrip(ctx, c.route(&listoffsets.Request{
			ReplicaID:      -1,
			IsolationLevel: isolation,
			Topics: []listoffsets.RequestTopic{{Topic: topic, Partitions: []listoffsets.RequestPartition{{
				Partition: partition, CurrentLeaderEpoch: -1, Timestamp: at}}}},
		}, leader), requestTimeout)
		if err != nil {
			return err
		}
		answer := m.(*listoffsets.Response).Topics[0].Partitions[0]
		if answer.ErrorCode != 0 {
			return kafka.Error(answer.ErrorCode)
		}
		offset = answer.Offset
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", operation, err)
	}
	if offset < 0 && at >= 0 { // no record is that late
		return end, nil
	}
	return offset, nil
}

// Offset is a group's committed offset of a partition, and what was noted with it.
type Offset struct {
	Topic     string
	Partition int32
	Offset    int64  // of the next record to be read; −1: none is committed
	Metadata  string // at most 4096 characters
}

// Committed returns the offsets that a group has committed for all given partitions of a topic, in their order. It does
// not see a transaction that is still being completed: a task reads its own after NewTransactional, which waits for that.
func (c *Client) Committed(ctx context.Context, group, topic string, partitions []int32) ([]Offset, error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	key := groupKey(group)
	offsets := make([]Offset, 0, len(partitions))
	operation := fmt.Sprintf("read the committed offsets of group %s for %s", group, topic)
	err := retry(ctx, c.log, operation, func() error {
		m, err := c.toCoordinator(ctx, key, &offsetfetch.Request{
			GroupID: group,
			Topics:  []offsetfetch.RequestTopic{{Name: topic, PartitionIndexes: partitions}},
		})
		if err != nil {
			return err
		}
		answer := m.(*offsetfetch.Response)
		if err := c.coordinated(key, answer.ErrorCode); err != nil && !errors.Is(err, kafka.GroupIdNotFound) {
			return err
		}
		found := make(map[int32]Offset)
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				switch err := c.coordinated(key, p.ErrorCode); {
				case errors.Is(err, kafka.UnknownTopicOrPartition): // nothing is committed for it
				case err != nil:
					return err
				default:
					found[p.PartitionIndex] = Offset{topic, p.PartitionIndex, p.CommittedOffset, p.Metadata}
				}
			}
		}
		offsets = offsets[:0]
		for _, p := range partitions {
			o, ok := found[p]
			if !ok {
				o = Offset{topic, p, -1, ""}
			}
			offsets = append(offsets, o)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	return offsets, nil
}

// DeleteRecords removes a partition's records below an offset (KIP-107) where its leader is; the other replicas follow, and are not waited for: one that
// does not keep up would hold up the caller. It is one try: what is not deleted now is with the next call.
func (c *Client) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	fail := func(err error) error {
		return fmt.Errorf("delete the records of %s/%d below offset %d: %w", topic, partition, before, err)
	}
	leader, err := c.leader(ctx, topic, partition)
	if err != nil {
		return fail(err)
	}
	body := appendInt32(nil, 1)
	body = appendString(body, topic)
	body = appendInt32(body, 1)
	body = appendInt32(body, partition)
	body = appendInt64(body, before)
	body = appendInt32(body, 0) // ms that the other replicas are waited for
	x := &exchange{key: protocol.DeleteRecords, version: 1, newer: true, broker: leader, request: [][]byte{body}}
	if err := c.send(ctx, x, requestTimeout); err != nil {
		return fail(err)
	}
	r := cursor{b: x.response}
	r.int32() // throttle time
	for range r.count() {
		r.string()
		for range r.count() {
			r.int32() // partition
			r.int64() // low watermark
			switch code := kafka.Error(r.int16()); code {
			case 0, kafka.RequestTimedOut: // all have done it, or the leader has
			default:
				return fail(code)
			}
		}
	}
	if r.short {
		return fail(errors.New("response ends early"))
	}
	return nil
}
