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

func (c *memoryClient) Partitions(ctx context.Context, name string) (int, error) {
	if err := c.request(ctx, "partitions of "+name); err != nil {
		return 0, err
	}
	c.kafka.mu.Lock()
	defer c.kafka.mu.Unlock()
	return len(c.kafka.topics[name]), nil
}

func (c *memoryClient) TopicID(ctx context.Context, name string) (kafkaio.TopicID, error) {
	return kafkaio.TopicID{1}, c.request(ctx, "id of "+name)
}

func (c *memoryClient) Offset(ctx context.Context, topic string, partition int32, at int64) (int64, error) {
	for {
		if err := c.request(ctx, fmt.Sprintf("offset of %s/%d at %d", topic, partition, at)); err != nil {
			return 0, err
		}
		c.kafka.mu.Lock()
		l, err := c.kafka.log(topicPartition{topic, partition})
		var offset int64
		switch {
		case err != nil || l.leaderless: // asked again
			c.kafka.mu.Unlock()
			continue
		case at == kafkaio.Earliest:
			offset = l.start
		case at == kafkaio.Latest:
			offset = l.lastStable()
		default:
			offset = l.firstAt(at)
		}
		c.kafka.mu.Unlock()
		return offset, nil
	}
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
