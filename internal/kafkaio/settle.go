package kafkaio

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
)

// Settle writes the end of the id's last transaction, committed or aborted as its coordinator decided, once more to all
// partitions that the id ever writes and to the group's offsets. Call it before the committed offsets are read.
//
// It mends what Kafka 4.1 to 4.3.1 breaks when a partition has no leader at the moment of a commit, as all have around the
// restart of a single broker: the coordinator takes such a partition for deleted ("Couldn't find leader endpoint …"), does
// not tell it the decision, and goes on as if it had. The records stay open there, and the offsets are not moved; the next
// transaction of the producer would decide for both, in a start-over after it has done the same work again. Where nothing
// is open, one more control record changes nothing. The first user of an id has nothing to settle.
//
// Nobody knows the decision any more when the producer ends, or is fenced, between NewTransactional and the end of Settle, or a fenced one began
// another transaction meanwhile; nor is settled what a restart leaves open behind a producer that goes on (docs/delivery.md, What is not promised).
func (t *Transactional) Settle(ctx context.Context, group string, partitions map[string][]int32) error {
	if t.last == undecided {
		return nil
	}
	if err := t.decideAgain(ctx, group, partitions); err != nil {
		return fmt.Errorf("settle the last transaction of %s: %w", t.id, err)
	}
	return nil
}

func (t *Transactional) decideAgain(ctx context.Context, group string, partitions map[string][]int32) (err error) {
	req := &addpartitionstotxn.Request{TransactionalID: t.id, ProducerID: t.producer, ProducerEpoch: t.epoch}
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		req.Topics = append(req.Topics, addpartitionstotxn.RequestTopic{Name: topic, Partitions: partitions[topic]})
	}
	if err := t.add(ctx, req); err != nil {
		return err
	}
	if err := t.addGroup(ctx, group); err != nil {
		return err
	}
	if err := t.end(ctx, t.last == committed); err != nil {
		return err
	}
	t.last = undecided
	t.producer, t.epoch, err = t.client.initProducerID(ctx, t.id) // waits until it is done everywhere
	return err
}

type decision int8

const (
	undecided decision = iota // there was no transaction, or the broker cannot tell
	committed
	aborted // or still open: NewTransactional aborts it
)

// describeTransactions is in no version of kafka-go (KIP-664, Kafka 3.0).
const describeTransactions protocol.ApiKey = 65

// lastDecision asks the coordinator how the id's last transaction ended.
func (t *Transactional) lastDecision(ctx context.Context) (last decision, err error) {
	body := []byte{0, 2} // no tagged fields in the header; an array of one
	body = append(binary.AppendUvarint(body, uint64(len(t.id)+1)), t.id...)
	body = append(body, 0) // no tagged fields
	err = retry(ctx, t.client.log, "describe the last transaction of "+t.id, func() error {
		x := &exchange{key: describeTransactions, request: [][]byte{body}}
		if _, err := t.client.toCoordinator(ctx, t.key, x); x.refused != nil {
			return nil // Kafka before 3.0, and before the mistake
		} else if err != nil {
			return err
		}
		r := cursor{b: x.response}
		r.take(1 + 4 + 1) // tagged fields, throttle time, array of one
		code := r.int16()
		r.compactString() // the id
		switch r.compactString() {
		case "PrepareCommit", "CompleteCommit":
			last = committed
		case "Ongoing", "PrepareAbort", "CompleteAbort", "PrepareEpochFence":
			last = aborted
		}
		switch {
		case kafka.Error(code) == transactionalIDNotFound:
			return nil
		case r.short:
			return finalError{fmt.Errorf("response of %d bytes ends early", len(x.response))}
		}
		return t.client.coordinated(t.key, code)
	})
	return last, err
}

const transactionalIDNotFound kafka.Error = 105

// compactString reads a string of the flexible versions (KIP-482); null is empty.
func (c *cursor) compactString() string { return string(c.take(max(int(c.uvarint())-1, 0))) }
