package bench

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/internal/wire"
)

// Totals say what a topic of counts holds. Two topics with the same (window, word) → count have the same Rows, Words and Sum,
// in whatever order and partition the rows are; others, for all practical purposes, have not.
type Totals struct {
	Rows  int64 `json:"rows"`
	Words int64 `json:"words"` // the sum of the counts
	Sum   Sum   `json:"sum"`

	last time.Time
}

// Last is the broker's time of the last record, or of the marker that committed it.
func (t Totals) Last() time.Time { return t.last }

// Equal compares what was counted.
func (t Totals) Equal(o Totals) bool { return t.Rows == o.Rows && t.Words == o.Words && t.Sum == o.Sum }

// Sum is a sum of 128-bit hashes modulo 2¹²⁸.
type Sum struct{ high, low uint64 }

func (s *Sum) add(o Sum) {
	var carry uint64
	s.low, carry = bits.Add64(s.low, o.low, 0)
	s.high, _ = bits.Add64(s.high, o.high, carry)
}

// MarshalText writes 32 hexadecimal digits.
func (s Sum) MarshalText() ([]byte, error) {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], s.high)
	binary.BigEndian.PutUint64(b[8:], s.low)
	return hex.AppendEncode(nil, b[:]), nil
}

// totals adds rows up.
type totals struct {
	Totals
	buf []byte
}

func (t *totals) row(window int64, word []byte, count int64) {
	t.buf = binary.LittleEndian.AppendUint64(t.buf[:0], uint64(window))
	t.buf = binary.LittleEndian.AppendUint64(t.buf, uint64(count))
	t.buf = append(t.buf, word...)
	low := xxhash.Sum64(t.buf)
	t.buf = append(t.buf, 1) // another hash of the same row
	t.Sum.add(Sum{xxhash.Sum64(t.buf), low})
	t.Rows++
	t.Words += count
}

func (t *Totals) merge(o Totals) {
	t.Rows += o.Rows
	t.Words += o.Words
	t.Sum.add(o.Sum)
	if o.last.After(t.last) {
		t.last = o.last
	}
}

// ReadTotals reads a topic of counts as a consumer of committed data does, by another client than the services' own, from the
// first record to what is committed now.
func ReadTotals(ctx context.Context, brokers []string, topic string) (Totals, error) {
	var all Totals
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.FetchMaxBytes(64<<20), kgo.FetchMaxPartitionBytes(16<<20),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return all, err
	}
	defer client.Close()
	listed, err := kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return all, fmt.Errorf("list the committed offsets of %s: %w", topic, err)
	}
	ends := make(map[int32]int64)
	parts := make(map[int32]*totals)
	from := make(map[int32]kgo.Offset)
	listed.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			ends[o.Partition], parts[o.Partition], from[o.Partition] = o.Offset, new(totals), kgo.NewOffset().AtStart()
		}
	})
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	for len(ends) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return all, fmt.Errorf("fetch %s: %w", topic, err)
		}
		if err := addFetches(fetches, ends, parts); err != nil {
			return all, fmt.Errorf("topic %s: %w", topic, err)
		}
	}
	for _, t := range parts {
		all.merge(t.Totals)
	}
	return all, nil
}

// addFetches adds up what was fetched of each partition, and takes those out of ends that were read to their end.
func addFetches(fetches kgo.Fetches, ends map[int32]int64, parts map[int32]*totals) (err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		wg.Go(func() {
			last, failed := parts[f.Partition].records(f.Records)
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				err = failed
			}
			if last+1 >= ends[f.Partition] {
				delete(ends, f.Partition)
			}
		})
	})
	wg.Wait()
	return err
}

// records adds rows up and returns the offset of the last record.
func (t *totals) records(records []*kgo.Record) (last int64, err error) {
	last = -1
	var row wire.CountRow
	for _, r := range records {
		last = r.Offset
		if r.Timestamp.After(t.last) {
			t.last = r.Timestamp
		}
		if r.Attrs.IsControl() {
			continue
		}
		if err := wire.ParseCountRow(r.Value, &row); err != nil {
			return last, fmt.Errorf("offset %d: %w", r.Offset, err)
		}
		t.row(row.WindowStart, row.Word, row.Count)
	}
	return last, nil
}
