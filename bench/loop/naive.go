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

// Naive reads, splits and counts in one goroutine with a map for each window, then writes the rows. It is kept this plain because its rows are what
// those of all others must equal.
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

	windows := make(map[int64]map[string]int64) // number → word → count
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
			counts := windows[window]
			if counts == nil {
				counts = make(map[string]int64)
				windows[window] = counts
			}
			for _, word := range strings.Split(string(r.Value), " ") {
				counts[word]++
			}
			if r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
	}

	var failed error // the first refusal; promises are called one after the other
	for window, counts := range windows {
		start := time.UnixMilli(window * cfg.Interval.Milliseconds()).UTC()
		for word, n := range counts {
			value, err := json.Marshal(Row{start, start.Add(cfg.Interval), word, n})
			if err != nil {
				return err
			}
			client.Produce(ctx, &kgo.Record{Key: []byte(word), Value: value}, func(_ *kgo.Record, err error) {
				if failed == nil {
					failed = err
				}
			})
		}
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return failed
}
