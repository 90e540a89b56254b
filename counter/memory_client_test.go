package counter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wordcount/internal/kafkaio"
)

// memoryClient is a process's way to memoryKafka: every request takes its time and may fail, the process may die in it or
// be frozen. It implements broker.
type memoryClient struct {
	kafka *memoryKafka
	owner *process
}

var (
	errKilled  = errors.New("the process was killed")
	errNetwork = errors.New("connection reset by peer")
)

// travel lets a request take its time, at a place where faults may strike.
func (c *memoryClient) travel(ctx context.Context, operation string) error {
	s := c.kafka.schedule
	r := s.rand(operation, c.owner.name)
	delay := time.Duration(r.Int64N(int64(2 * time.Millisecond)))
	if r.IntN(20) == 0 {
		delay *= 20
	}
	if err := c.sleep(ctx, delay); err != nil {
		return err
	}
	if s.calm.Load() {
		return nil
	}
	f, x := s.faults, r.Float64()
	switch {
	case x < f.kill:
		s.trace("%s dies in %s", c.owner.name, operation)
		c.owner.kill()
		return errKilled
	case x < f.kill+f.freeze:
		d := time.Duration(r.Int64N(int64(2 * s.session)))
		s.trace("%s freezes in %s for %v", c.owner.name, operation, d)
		c.owner.freeze(d)
		return c.sleep(ctx, 0)
	case x < f.kill+f.freeze+f.network:
		s.trace("%s fails in %s", c.owner.name, operation)
		return errNetwork
	}
	return nil
}

// request is travel for what kafkaio tries again by itself.
func (c *memoryClient) request(ctx context.Context, operation string) error {
	for {
		if err := c.travel(ctx, operation); !errors.Is(err, errNetwork) {
			return err
		}
	}
}

// sleep waits, also until a frozen process wakes.
func (c *memoryClient) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		if c.owner.wakes().IsZero() {
			return ctx.Err()
		}
	case <-c.owner.dead:
		return errKilled
	}
	for {
		wake := c.owner.wakes()
		left := time.Until(wake)
		if wake.IsZero() || left <= 0 {
			return nil
		}
		select {
		case <-time.After(left):
		case <-c.owner.dead:
			return errKilled
		}
	}
}

func (c *memoryClient) WaitTopic(ctx context.Context, name string) (int, error) {
	if err := c.request(ctx, "wait topic"); err != nil {
		return 0, err
	}
	c.kafka.mu.Lock()
	defer c.kafka.mu.Unlock()
	return len(c.kafka.topics[name]), nil
}

func (c *memoryClient) Offsets(ctx context.Context, topic string, at int64) ([]int64, error) {
	if err := c.request(ctx, fmt.Sprintf("offsets %s %d", topic, at)); err != nil {
		return nil, err
	}
	c.kafka.mu.Lock()
	defer c.kafka.mu.Unlock()
	var offsets []int64
	for _, l := range c.kafka.topics[topic] {
		switch at {
		case kafkaio.Earliest:
			offsets = append(offsets, l.start)
		case kafkaio.Latest:
			offsets = append(offsets, l.lastStable())
		default:
			offsets = append(offsets, l.firstAt(at))
		}
	}
	return offsets, nil
}

// firstAt returns the offset of the first record at or after a time, the last stable offset where there is none.
func (l *memoryLog) firstAt(at int64) int64 {
	stable := l.lastStable()
	for _, b := range l.batches {
		f := newFetched(l.name, b.base, l.start, stable, l.end(), time.Time{}, b.data, nil, nil)
		var rec kafkaio.Record
		for f.Next(&rec) {
			if rec.Time >= at && rec.Offset >= l.start && rec.Offset < stable {
				return rec.Offset
			}
		}
	}
	return stable
}

func (c *memoryClient) Committed(ctx context.Context, group, topic string, partitions []int32) ([]kafkaio.Offset, error) {
	if err := c.request(ctx, fmt.Sprintf("committed %s %v", topic, partitions)); err != nil {
		return nil, err
	}
	c.kafka.mu.Lock()
	defer c.kafka.mu.Unlock()
	var offsets []kafkaio.Offset
	for _, p := range partitions {
		o, ok := c.kafka.offsets[topicPartition{topic, p}]
		if !ok {
			o = kafkaio.Offset{Topic: topic, Partition: p, Offset: -1}
		}
		offsets = append(offsets, o)
	}
	return offsets, nil
}

func (c *memoryClient) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	if err := c.travel(ctx, fmt.Sprintf("delete %s/%d", topic, partition)); err != nil {
		return err
	}
	c.kafka.mu.Lock()
	defer c.kafka.mu.Unlock()
	l, err := c.kafka.log(topicPartition{topic, partition})
	if err == nil {
		l.start = max(l.start, before)
	}
	return err
}

func (c *memoryClient) NewTransactional(ctx context.Context, id string) (transactional, error) {
	if err := c.request(ctx, "init "+id); err != nil {
		return nil, err
	}
	c.kafka.mu.Lock()
	p, epoch, unsettled := c.kafka.begin(id)
	c.kafka.mu.Unlock()
	c.kafka.schedule.trace("%s begins %s epoch %d", c.owner.name, id, epoch)
	for unsettled != nil { // error 51 until the markers are written
		if err := c.sleep(ctx, 3*time.Millisecond); err != nil {
			return nil, err
		}
		c.kafka.mu.Lock()
		if p.current != unsettled {
			unsettled = nil
		}
		c.kafka.mu.Unlock()
	}
	return &memoryTransactional{client: c, id: id, producer: p, epoch: epoch}, nil
}

type memoryTransactional struct {
	client   *memoryClient
	id       string
	producer *memoryProducer
	epoch    int
}

// Settle has nothing to mend: this broker does not make that mistake.
func (t *memoryTransactional) Settle(ctx context.Context, _ string, _ map[string][]int32) error {
	return t.client.request(ctx, "settle "+t.id)
}

// Commit goes through the steps of (*kafkaio.Transactional).Commit.
func (t *memoryTransactional) Commit(ctx context.Context, gen kafkaio.Generation, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, error) {
	acks, err := t.write(ctx, gen, outputs, offsets)
	t.client.kafka.schedule.trace("%s writes %s epoch %d: %d outputs, offsets %v: %v", t.client.owner.name, t.id, t.epoch, len(outputs), offsets, err)
	if err == nil {
		if err = t.end(ctx, true); err == nil {
			return acks, nil
		}
	} else if !errors.Is(err, kafkaio.ErrFenced) {
		err = errors.Join(err, t.end(ctx, false))
	}
	return nil, fmt.Errorf("transaction of %s: %w", t.id, err)
}

func (t *memoryTransactional) write(ctx context.Context, gen kafkaio.Generation, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, error) {
	k := t.client.kafka
	err := t.step(ctx, "add partitions", func(txn *memoryTransaction) error {
		for _, o := range outputs {
			l, err := k.log(topicPartition{o.Topic, o.Partition})
			if err != nil {
				return err
			}
			txn.logs[l] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	acks := make([]kafkaio.Ack, len(outputs))
	for i, o := range outputs {
		for _, b := range o.Batches {
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
	if len(offsets) == 0 {
		return acks, nil
	}
	return acks, t.step(ctx, "commit offsets", func(txn *memoryTransaction) error {
		if gen.ID != k.generation || !k.members[gen.MemberID] {
			return kafkaio.ErrNotMember
		}
		txn.offsets = append(txn.offsets, offsets...)
		return nil
	})
}

func (t *memoryTransactional) end(ctx context.Context, commit bool) error {
	k := t.client.kafka
	if err := t.step(ctx, fmt.Sprintf("end %t", commit), func(txn *memoryTransaction) error {
		k.decide(txn, commit)
		return nil
	}); err != nil {
		return err
	}
	return t.client.travel(ctx, "end answered "+t.id)
}

// step is one request of a transaction: it is refused when the producer was fenced.
func (t *memoryTransactional) step(ctx context.Context, operation string, do func(*memoryTransaction) error) error {
	if err := t.client.travel(ctx, operation+" "+t.id); err != nil {
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
			if err := t.client.sleep(ctx, time.Millisecond); err != nil {
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

// memoryReader is a process's read_committed reader.
type memoryReader struct {
	client    *memoryClient
	positions []kafkaio.Position
	returned  []*kafkaio.Fetched
	name      string
}

func (c *memoryClient) NewReader(positions []kafkaio.Position) reader {
	return &memoryReader{client: c, positions: append([]kafkaio.Position(nil), positions...), name: fmt.Sprintf("fetch %v", positions)}
}

func (r *memoryReader) Close() {}

func (r *memoryReader) Seek(topic string, partition int32, offset int64) {
	for i, p := range r.positions {
		if p.Topic == topic && p.Partition == partition {
			r.positions[i].Offset = offset
		}
	}
	for i, f := range r.returned {
		if f != nil && f.Topic == topic && f.Partition == partition {
			r.returned[i] = nil
		}
	}
}

func (r *memoryReader) Poll(ctx context.Context, maxWait time.Duration) ([]*kafkaio.Fetched, error) {
	for _, f := range r.returned {
		if f != nil {
			r.Seek(f.Topic, f.Partition, f.Position())
		}
	}
	r.returned = nil
	sentAt, deadline := time.Now(), time.Now().Add(maxWait)
	s := r.client.kafka.schedule
	for {
		switch err := r.client.travel(ctx, r.name); {
		case errors.Is(err, errNetwork): // the reader tries again by itself
			return nil, nil
		case err != nil:
			return nil, err
		}
		fetched, changed := r.look(s, sentAt)
		left := time.Until(deadline)
		if fetched != nil || left <= 0 {
			if fetched == nil {
				fetched = r.empty(sentAt)
			}
			if err := r.client.travel(ctx, "answer to "+r.name); err != nil && !errors.Is(err, errNetwork) {
				return nil, err
			}
			r.returned = append([]*kafkaio.Fetched(nil), fetched...)
			return fetched, nil
		}
		select {
		case <-changed:
		case <-time.After(left):
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.client.owner.dead:
			return nil, errKilled
		}
	}
}

// look fetches what is there; nil when there is nothing in any partition.
func (r *memoryReader) look(s *schedule, sentAt time.Time) (fetched []*kafkaio.Fetched, changed chan struct{}) {
	k := r.client.kafka
	k.mu.Lock()
	defer k.mu.Unlock()
	found := false
	for _, p := range r.positions {
		l, err := k.log(topicPartition{p.Topic, p.Partition})
		if err != nil || l.leaderless {
			continue
		}
		f, empty := k.fetch(l, p.Offset, sentAt, 1+s.rand(r.name).IntN(6))
		fetched = append(fetched, f)
		found = found || !empty
	}
	if !found {
		fetched = nil
	}
	return fetched, k.changed
}

// empty is the answer of a fetch whose time is over: each partition as it is now.
func (r *memoryReader) empty(sentAt time.Time) (fetched []*kafkaio.Fetched) {
	k := r.client.kafka
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range r.positions {
		if l, err := k.log(topicPartition{p.Topic, p.Partition}); err == nil && !l.leaderless {
			f, _ := k.fetch(l, p.Offset, sentAt, 1)
			fetched = append(fetched, f)
		}
	}
	return fetched
}
