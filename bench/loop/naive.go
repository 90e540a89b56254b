package loop

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Row is the value of a record of counts.
type Row struct {
	WindowStart time.Time `json:"window_start"`
	WindowEnd   time.Time `json:"window_end"`
	Word        string    `json:"word"`
	Count       int64     `json:"count"`
}

// Naive reads, splits and counts in one goroutine with one map, then writes the rows.
func Naive(ctx context.Context, cfg Config) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ConsumeTopics(cfg.Lines),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DefaultProduceTopic(cfg.Counts),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	left, err := ends(ctx, client, cfg.Lines)
	if err != nil {
		return err
	}

	type key struct {
		window int64
		word   string
	}
	counts := make(map[key]int64)
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("fetch %s: %w", cfg.Lines, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, ok := left[r.Partition]
			if !ok {
				return // written after the start
			}
			window := r.Timestamp.UnixMilli() / cfg.Interval.Milliseconds()
			for _, word := range strings.Split(string(r.Value), " ") {
				counts[key{window, word}]++
			}
			if r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
	}

	var failed error // the first refusal; promises are called one after the other
	for k, n := range counts {
		start := time.UnixMilli(k.window * cfg.Interval.Milliseconds()).UTC()
		value, err := json.Marshal(Row{start, start.Add(cfg.Interval), k.word, n})
		if err != nil {
			return err
		}
		client.Produce(ctx, &kgo.Record{Key: []byte(k.word), Value: value}, func(_ *kgo.Record, err error) {
			if failed == nil {
				failed = err
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return failed
}
