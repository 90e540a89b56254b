package bench

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/bench/text"
)

// readAll returns n records of a topic, by partition.
func readAll(t *testing.T, b *Broker, topic string, n int64) map[int32][]*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addresses...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	records := make(map[int32][]*kgo.Record)
	for n > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("with %d records to come: %v", n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records[r.Partition] = append(records[r.Partition], r)
			n--
		})
	}
	return records
}

func TestLoad(t *testing.T) {
	broker := startBroker(t)
	load := Load{Topic: "lines", Partitions: 3, Text: text.NewZipf(1.05, 100), Seed: 1, Bytes: 300_000, Windows: 10, Interval: 5 * time.Second}
	lines, err := load.Write(t.Context(), broker.Addresses)
	if err != nil {
		t.Fatal(err)
	}
	var count, bytes int64
	windows := make(map[int64]int)
	for p, records := range readAll(t, broker, "lines", lines) {
		stream := load.Text.Lines(1, uint64(p))
		before := loadStart
		for _, r := range records {
			if want := string(stream.Next()); string(r.Value) != want {
				t.Fatalf("partition %d, offset %d: %q, want %q", p, r.Offset, r.Value, want)
			}
			if r.Timestamp.Before(before) {
				t.Fatalf("partition %d, offset %d: time %v after %v", p, r.Offset, r.Timestamp, before)
			}
			before = r.Timestamp
			windows[int64(r.Timestamp.Sub(loadStart)/load.Interval)]++
			bytes += int64(len(r.Value))
			count++
		}
	}
	if count != lines || bytes < load.Bytes || bytes > load.Bytes+1000 {
		t.Errorf("%d lines of %d, %d bytes", count, lines, bytes)
	}
	for w := range int64(load.Windows) {
		if n, fair := windows[w], int(lines)/load.Windows; n < fair*9/10 || n > fair*11/10 {
			t.Errorf("window %d has %d lines of %d", w, n, lines)
		}
	}
	if len(windows) != load.Windows {
		t.Errorf("%d windows", len(windows))
	}
}
