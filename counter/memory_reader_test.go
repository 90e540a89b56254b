package counter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wordcount/internal/kafkaio"
)

// memoryReader is a read_committed reader.
type memoryReader struct {
	client    *memoryClient
	positions []kafkaio.Position
	paused    map[topicPartition]bool
	returned  []*kafkaio.Fetched
	name      string
}

func (c *memoryClient) NewReader(positions []kafkaio.Position) reader {
	name := "fetch"
	if len(positions) > 0 {
		name = fmt.Sprintf("fetch %s/%d", positions[0].Topic, positions[0].Partition)
	}
	return &memoryReader{client: c, positions: append([]kafkaio.Position(nil), positions...), paused: make(map[topicPartition]bool), name: name}
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

func (r *memoryReader) Pause(topic string, partition int32, paused bool) {
	r.paused[topicPartition{topic, partition}] = paused
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
		switch err := r.client.owner.travel(ctx, r.name); {
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
			if err := r.client.owner.travel(ctx, "answer to "+r.name); err != nil && !errors.Is(err, errNetwork) {
				return nil, err
			}
			r.returned = append([]*kafkaio.Fetched(nil), fetched...)
			return fetched, nil
		}
		if err := r.client.owner.await(ctx, changed, left); err != nil {
			return nil, err
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
		if err != nil || l.leaderless || r.paused[l.name] {
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
		if l, err := k.log(topicPartition{p.Topic, p.Partition}); err == nil && !l.leaderless && !r.paused[l.name] {
			f, _ := k.fetch(l, p.Offset, sentAt, 1)
			fetched = append(fetched, f)
		}
	}
	return fetched
}
