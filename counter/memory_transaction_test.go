package counter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wordcount/internal/kafkaio"
)

func (c *memoryClient) NewTransactional(ctx context.Context, id string, f kafkaio.Footprint) (transactional, error) {
	if err := c.request(ctx, "init "+id); err != nil {
		return nil, err
	}
	c.kafka.mu.Lock()
	p, epoch, unsettled := c.kafka.begin(id)
	c.kafka.mu.Unlock()
	c.kafka.schedule.trace("%s begins %s epoch %d", c.owner, id, epoch)
	for unsettled != nil { // error 51 until the markers are written
		if err := c.owner.sleep(ctx, 3*time.Millisecond); err != nil {
			return nil, err
		}
		c.kafka.mu.Lock()
		if p.current != unsettled {
			unsettled = nil
		}
		c.kafka.mu.Unlock()
	}
	return &memoryTransactional{client: c, id: id, footprint: f, producer: p, epoch: epoch}, nil
}

type memoryTransactional struct {
	client    *memoryClient
	id        string
	footprint kafkaio.Footprint
	producer  *memoryProducer
	epoch     int
	prepared  bool
	promised  []kafkaio.Offset
}

// Settled asks nothing: this broker leaves no marker out.
func (t *memoryTransactional) Settled(context.Context) error { return nil }

// Prepare goes through the steps of (*kafkaio.Transactional).Prepare.
func (t *memoryTransactional) Prepare(ctx context.Context, in kafkaio.Place, outputs []kafkaio.Output, offsets []kafkaio.Offset) (acks []kafkaio.Ack, prepared bool, err error) {
	var all []topicPartition
	for topic, partitions := range t.footprint.Writes {
		for _, p := range partitions {
			all = append(all, topicPartition{topic, p})
		}
	}
	err = t.addPartitions(ctx, all)
	if err == nil {
		err = t.commitOffsets(ctx, in, offsets)
	}
	if err == nil {
		acks, err = t.produce(ctx, outputs)
	}
	t.client.kafka.schedule.trace("%s prepares %s epoch %d: %d outputs, offsets %v: %v", t.client.owner, t.id, t.epoch, len(outputs), offsets, err)
	if err != nil {
		return nil, false, t.failed(ctx, err)
	}
	t.prepared, t.promised = true, slices.Clone(offsets)
	return acks, true, nil
}

// Commit goes through the steps of (*kafkaio.Transactional).Commit.
func (t *memoryTransactional) Commit(ctx context.Context, in kafkaio.Place, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, error) {
	acks, err := t.write(ctx, in, outputs, offsets)
	t.client.kafka.schedule.trace("%s writes %s epoch %d: %d outputs, offsets %v, prepared %t: %v",
		t.client.owner, t.id, t.epoch, len(outputs), offsets, t.prepared, err)
	t.prepared, t.promised = false, nil
	if err != nil {
		return nil, t.failed(ctx, err)
	}
	if err := t.end(ctx, true); err != nil {
		return nil, fmt.Errorf("transaction of %s: %w", t.id, err)
	}
	return acks, nil
}

func (t *memoryTransactional) failed(ctx context.Context, err error) error {
	if !errors.Is(err, kafkaio.ErrFenced) {
		err = errors.Join(err, t.end(ctx, false))
	}
	return fmt.Errorf("transaction of %s: %w", t.id, err)
}

func (t *memoryTransactional) addPartitions(ctx context.Context, added []topicPartition) error {
	k := t.client.kafka
	return t.step(ctx, "add partitions", func(txn *memoryTransaction) error {
		for _, at := range added {
			l, err := k.log(at)
			if err != nil {
				return err
			}
			txn.add(l)
		}
		return nil
	})
}

func (t *memoryTransactional) write(ctx context.Context, in kafkaio.Place, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, error) {
	if !t.prepared {
		var written []topicPartition
		for _, o := range outputs {
			written = append(written, topicPartition{o.Topic, o.Partition})
		}
		if err := t.addPartitions(ctx, written); err != nil {
			return nil, err
		}
	}
	acks, err := t.produce(ctx, outputs)
	if err != nil || slices.Equal(offsets, t.promised) {
		return acks, err
	}
	return acks, t.commitOffsets(ctx, in, offsets)
}

func (t *memoryTransactional) produce(ctx context.Context, outputs []kafkaio.Output) ([]kafkaio.Ack, error) {
	k := t.client.kafka
	acks := make([]kafkaio.Ack, len(outputs))
	for i, o := range outputs {
		acks[i] = kafkaio.Ack{BaseOffset: -1, AppendTime: -1}
		for _, b := range o.Batches {
			acks[i].Sent = time.Now()
			err := t.step(ctx, fmt.Sprintf("produce %s/%d", o.Topic, o.Partition), func(txn *memoryTransaction) error {
				l, err := k.log(topicPartition{o.Topic, o.Partition})
				if err == nil {
					acks[i].BaseOffset, acks[i].AppendTime = k.append(l, b, txn, false)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			acks[i].Received = time.Now()
		}
	}
	return acks, nil
}

func (t *memoryTransactional) commitOffsets(ctx context.Context, in kafkaio.Place, offsets []kafkaio.Offset) error {
	if len(offsets) == 0 {
		return nil
	}
	k := t.client.kafka
	patience, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for gen := in.Now(); ; {
		over := false
		err := t.step(ctx, "commit offsets", func(txn *memoryTransaction) error {
			if over = gen.ID != k.generation; over || !k.members[gen.MemberID] {
				return kafkaio.ErrNotMember
			}
			txn.offsets = append(txn.offsets, offsets...)
			return nil
		})
		if !over {
			return err
		}
		next, none := in.Next(patience, gen.ID)
		if none != nil {
			return err
		}
		gen = next
	}
}

func (t *memoryTransactional) end(ctx context.Context, commit bool) error {
	k := t.client.kafka
	if err := t.step(ctx, fmt.Sprintf("end %t", commit), func(txn *memoryTransaction) error {
		k.decide(txn, commit)
		return nil
	}); err != nil {
		return err
	}
	return t.client.owner.travel(ctx, "end answered "+t.id)
}

// step is one request of a transaction: it is refused when the producer was fenced.
func (t *memoryTransactional) step(ctx context.Context, operation string, do func(*memoryTransaction) error) error {
	if err := t.client.owner.travel(ctx, operation+" "+t.id); err != nil {
		return err
	}
	k := t.client.kafka
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.producer.epoch != t.epoch {
		return fmt.Errorf("%s: %w", operation, kafkaio.ErrFenced)
	}
	if c := t.producer.current; c != nil && c.decided { // error 51: the transaction before is still being completed
		k.mu.Unlock()
		for {
			if err := t.client.owner.sleep(ctx, time.Millisecond); err != nil {
				k.mu.Lock()
				return err
			}
			k.mu.Lock()
			if t.producer.current != c || t.producer.epoch != t.epoch {
				break
			}
			k.mu.Unlock()
		}
		if t.producer.epoch != t.epoch {
			return fmt.Errorf("%s: %w", operation, kafkaio.ErrFenced)
		}
	}
	return do(k.transaction(t.producer))
}
