package counter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wordcount/internal/kafkaio"
)

// memoryClient is somebody's way to memoryKafka. It implements broker.
type memoryClient struct {
	kafka *memoryKafka
	owner host
}

// host is who a client belongs to: it decides what becomes of each request, and how time passes meanwhile.
type host interface {
	fmt.Stringer
	// travel lets a request or an answer take its time, at a place where faults may strike.
	travel(ctx context.Context, operation string) error
	// sleep waits for something that the broker has still to do.
	sleep(ctx context.Context, d time.Duration) error
	// await waits until something became visible, for d at most.
	await(ctx context.Context, changed <-chan struct{}, d time.Duration) error
}

var (
	errKilled  = errors.New("the process was killed")
	errNetwork = errors.New("connection reset by peer")
)

// request is travel for what kafkaio tries again by itself.
func (c *memoryClient) request(ctx context.Context, operation string) error {
	for {
		if err := c.owner.travel(ctx, operation); !errors.Is(err, errNetwork) {
			return err
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
		case at == kafkaio.HighWatermark:
			offset = l.end()
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
	if err := c.owner.travel(ctx, fmt.Sprintf("delete %s/%d", topic, partition)); err != nil {
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
