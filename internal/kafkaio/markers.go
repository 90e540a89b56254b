package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"golang.org/x/sync/errgroup"
)

// Requests that kafka-go does not know, or not in these versions: KIP-664 (Kafka 2.8 and 3.0), KIP-447 (2.5).
const (
	writeTxnMarkers      protocol.ApiKey = 27
	describeProducers    protocol.ApiKey = 61
	describeTransactions protocol.ApiKey = 65

	flexibleMarkers = 1
	requireStable   = 7 // of OffsetFetch
)

const offsetsTopic = "__consumer_offsets"

// unended is where a transaction has written and has not ended: a partition, or the offsets of a group.
type unended struct {
	group            string // empty: the partition
	topic            string
	partition        int32
	leader           int32
	coordinatorEpoch int32
}

func (p unended) String() string {
	at := fmt.Sprintf("%s/%d", p.topic, p.partition)
	if p.group != "" {
		return fmt.Sprintf("the offset of group %s for %s", p.group, at)
	}
	return at
}

// open returns where something is open of the producer, of whichever transaction.
func (t *Transactional) open(ctx context.Context) (open []unended, err error) {
	if t.trusting || t.producer < 0 {
		return nil, nil
	}
	byLeader := make(map[int32]map[string][]int32)
	for topic, partitions := range t.footprint.Writes {
		for _, p := range partitions {
			leader, err := t.client.leader(ctx, topic, p)
			if err != nil {
				return nil, fmt.Errorf("%s/%d: %w", topic, p, err)
			}
			if byLeader[leader] == nil {
				byLeader[leader] = make(map[string][]int32)
			}
			byLeader[leader][topic] = append(byLeader[leader][topic], p)
		}
	}
	var mu sync.Mutex
	found := func(p unended) {
		mu.Lock()
		defer mu.Unlock()
		open = append(open, p)
	}
	var work errgroup.Group
	for leader, partitions := range byLeader {
		work.Go(func() error { return t.openRecords(ctx, leader, partitions, found) })
	}
	if len(t.footprint.Offsets) > 0 {
		work.Go(func() error { return t.openOffsets(ctx, found) })
	}
	err = work.Wait()
	return open, err
}

// openRecords asks the leader of partitions for open transactions of the producer.
func (t *Transactional) openRecords(ctx context.Context, leader int32, partitions map[string][]int32, found func(unended)) error {
	x := &exchange{key: describeProducers, broker: leader, request: [][]byte{append(appendCompactPartitions([]byte{noTags}, partitions), noTags)}}
	if err := t.client.send(ctx, x, requestTimeout); err != nil {
		return err
	}
	r := flexible(x.response)
	r.int32() // throttle time
	for range r.compactCount() {
		at := unended{topic: r.compactString(), leader: leader}
		for range r.compactCount() {
			at.partition = r.int32()
			code, message := r.int16(), r.compactString()
			if code != 0 {
				return fmt.Errorf("describe the producers of %s: %w %s", at, kafka.Error(code), message)
			}
			for range r.compactCount() {
				producer := r.int64()
				r.take(4 + 4 + 8) // epoch, last sequence, last timestamp
				at.coordinatorEpoch = r.int32()
				if start := r.int64(); producer == t.producer && start >= 0 {
					found(at)
				}
				r.tags()
			}
			r.tags()
		}
		r.tags()
	}
	return r.whole(x)
}

// openOffsets asks the group's coordinator for offsets that a transaction holds.
func (t *Transactional) openOffsets(ctx context.Context, found func(unended)) error {
	key := groupKey(t.footprint.Group)
	body := appendCompactPartitions(appendCompactString([]byte{noTags}, t.footprint.Group), t.footprint.Offsets)
	body = append(body, 1, noTags) // require_stable
	x := &exchange{key: protocol.OffsetFetch, version: requireStable, newer: true, request: [][]byte{body}}
	if _, err := t.client.toCoordinator(ctx, key, x); err != nil {
		return err
	}
	open := false
	r := flexible(x.response)
	r.int32() // throttle time
	for range r.compactCount() {
		at := unended{group: t.footprint.Group, topic: r.compactString()}
		for range r.compactCount() {
			at.partition = r.int32()
			r.take(8 + 4) // offset, leader epoch
			r.compactString()
			switch code := r.int16(); kafka.Error(code) {
			case 0, kafka.UnknownTopicOrPartition:
			case kafka.UnstableOffsetCommit:
				if !open { // one marker is for all of them
					found(at)
				}
				open = true
			default:
				return t.client.coordinated(key, code)
			}
			r.tags()
		}
		r.tags()
	}
	if err := t.client.coordinated(key, r.int16()); err != nil && !errors.Is(err, kafka.GroupIdNotFound) {
		return err
	}
	return r.whole(x)
}

// describe asks the coordinator for the id's last transaction.
func (t *Transactional) describe(ctx context.Context) (last lastTransaction, err error) {
	nothing := lastTransaction{producer: -1, epoch: -1, note: noNote}
	body := append(appendCompactString([]byte{noTags, 2}, t.id), noTags) // an array of one
	x := &exchange{key: describeTransactions, request: [][]byte{body}}
	if _, err := t.client.toCoordinator(ctx, t.key, x); errors.Is(err, errNotSpoken) {
		t.trusting = true
		return nothing, nil
	} else if err != nil {
		return nothing, err
	}
	r := flexible(x.response)
	r.int32() // throttle time
	r.compactCount()
	code := r.int16()
	r.compactString() // the id
	last.state = r.compactString()
	last.note = noteOf(time.Duration(r.int32()) * time.Millisecond)
	r.int64() // start
	last.producer, last.epoch = r.int64(), r.int16()
	if kafka.Error(code) == transactionalIDNotFound {
		return nothing, nil
	}
	if err := t.client.coordinated(t.key, code); err != nil {
		return nothing, err
	}
	if last.epoch < 0 { // the id has none yet
		return nothing, r.whole(x)
	}
	return last, r.whole(x)
}

const transactionalIDNotFound kafka.Error = 105

// mark writes the end of a transaction to where it is missing, with the own epoch: it is refused where another one has gone on since. Where
// nothing of the producer is missing any more it writes nothing.
func (t *Transactional) mark(ctx context.Context, at unended, how decision) error {
	where := at.String()
	if at.group != "" {
		in, ours, err := t.offsets(ctx, at.group)
		if err != nil || !ours {
			return err
		}
		at = in
	}
	t.client.log.Warn("Kafka has left out the end of a transaction (KAFKA-20734), it is written again",
		"transactional_id", t.id, "at", where, "decision", how.String())
	body := appendInt16(appendInt64([]byte{noTags, 2}, t.producer), t.epoch) // an array of one
	body = append(body, 0)
	if how == committed {
		body[len(body)-1] = 1
	}
	body = appendCompactPartitions(body, map[string][]int32{at.topic: {at.partition}})
	body = append(appendInt32(body, max(at.coordinatorEpoch, 0)), noTags, noTags)
	x := &exchange{key: writeTxnMarkers, version: flexibleMarkers, newer: true, broker: at.leader, request: [][]byte{body}}
	if err := t.client.send(ctx, x, requestTimeout); err != nil {
		return err
	}
	r := flexible(x.response)
	r.compactCount()
	r.int64() // the producer
	r.compactCount()
	r.compactString()
	r.compactCount()
	r.int32()
	code := r.int16()
	if err := r.whole(x); err != nil {
		return err
	}
	switch err := kafka.Error(code); err {
	case 0:
		return nil
	case kafka.InvalidProducerEpoch, transactionCoordinatorFenced: // another one has taken over, or the coordinator has written here since
		return finalError{errOvertaken}
	case kafka.ClusterAuthorizationFailed:
		return fmt.Errorf("write the missing end (%s) of a transaction of %s to %s: %w: allow the counter's user Alter on the cluster", how, t.id, at, err)
	default:
		return fmt.Errorf("write the end of a transaction to %s: %w", at, err)
	}
}

const transactionCoordinatorFenced kafka.Error = 52

// offsets returns the partition in which a group's offsets are, and whether the producer has a transaction open in it.
func (t *Transactional) offsets(ctx context.Context, group string) (in unended, ours bool, err error) {
	leaders, err := t.client.askLeaders(ctx, offsetsTopic)
	if err != nil {
		return in, false, err
	}
	if len(leaders) == 0 {
		return in, false, kafka.UnknownTopicOrPartition
	}
	p := partitionOfGroup(group, len(leaders))
	if leaders[p] == noLeader {
		return in, false, kafka.LeaderNotAvailable
	}
	err = t.openRecords(ctx, leaders[p], map[string][]int32{offsetsTopic: {p}}, func(found unended) { in, ours = found, true })
	if errors.Is(err, kafka.TopicAuthorizationFailed) {
		err = fmt.Errorf("%w: allow the counter's user Read on it, to write the missing end of a transaction there", err)
	}
	return in, ours, err
}

// partitionOfGroup is partitionFor of Kafka's GroupCoordinatorService: Java's String.hashCode, and Utils.abs of it.
func partitionOfGroup(group string, partitions int) int32 {
	var hash int32
	for _, unit := range utf16.Encode([]rune(group)) {
		hash = 31*hash + int32(unit)
	}
	switch {
	case hash == math.MinInt32:
		hash = 0
	case hash < 0:
		hash = -hash
	}
	return hash % int32(partitions)
}

// whole returns an error when x's response was shorter than it says.
func (c *cursor) whole(x *exchange) error {
	if c.short {
		return finalError{fmt.Errorf("%s response of %d bytes ends early", x.key, len(x.response))}
	}
	return nil
}
