package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"wordcount/bench/text"
	"wordcount/internal/kafkaio"
)

// Load is a topic of lines with times of their own: whoever counts it finds the same windows.
type Load struct {
	Topic      string
	Partitions int
	Text       text.Text
	Seed       uint64
	Bytes      int64         // of all lines together, without line ends
	Windows    int           // over which the lines are spread evenly
	Interval   time.Duration // of a window
}

// batchLines is how many lines stand in a record batch.
const batchLines = 1000

// loadStart is the time of the first line. It lies in the past everywhere: Kafka takes no times of the future.
var loadStart = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Write makes the topic, which must not be there yet, and fills it. It returns the number of lines.
func (l *Load) Write(ctx context.Context, brokers []string) (lines int64, err error) {
	client := kafkaio.NewClient(kafkaio.Config{Brokers: brokers, ClientID: clientID})
	defer client.Close()
	if _, err := client.EnsureTopic(ctx, kafkaio.TopicSpec{Name: l.Topic, Partitions: l.Partitions, ReplicationFactor: 1,
		Settings: map[string]string{"message.timestamp.type": "CreateTime", "retention.ms": "-1"}}); err != nil {
		return 0, err
	}
	producer, err := client.NewProducer(ctx, l.Topic)
	if err != nil {
		return 0, err
	}
	if producer.Partitions() != l.Partitions {
		return 0, fmt.Errorf("topic %s has %d partitions, not %s", l.Topic, producer.Partitions(), strconv.Itoa(l.Partitions))
	}
	var sum atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for p := range l.Partitions {
		filled, empty := make(chan *kafkaio.RecordBatch, 2), make(chan *kafkaio.RecordBatch, 3)
		for range cap(empty) {
			empty <- new(kafkaio.RecordBatch)
		}
		group.Go(func() error {
			defer close(filled)
			return l.fill(ctx, p, filled, empty)
		})
		group.Go(func() error {
			for b := range filled {
				if _, err := producer.SendOne(ctx, int32(p), b); err != nil {
					return err
				}
				sum.Add(int64(b.Len()))
				b.Reset()
				empty <- b
			}
			return nil
		})
	}
	err = group.Wait()
	return sum.Load(), err
}

// fill makes the batches of one partition.
func (l *Load) fill(ctx context.Context, partition int, filled chan<- *kafkaio.RecordBatch, empty <-chan *kafkaio.RecordBatch) error {
	lines := l.Text.Lines(l.Seed, uint64(partition))
	quota := l.Bytes / int64(l.Partitions)
	span := float64(l.Windows) * float64(l.Interval.Milliseconds())
	for written := int64(0); written < quota; {
		var b *kafkaio.RecordBatch
		select {
		case b = <-empty:
		case <-ctx.Done():
			return ctx.Err()
		}
		for b.Len() < batchLines && written < quota {
			line := lines.Next()
			b.Append(loadStart.UnixMilli()+int64(span*float64(written)/float64(quota)), nil, line)
			written += int64(len(line))
		}
		select {
		case filled <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
