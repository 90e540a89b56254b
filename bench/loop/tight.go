package loop

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// Tight counts in as many goroutines as there are processors, each with partitions of its own, with large fetches, records from a pool and no allocation for a line or a word
// seen before; then it adds up what they have, window by window, and writes
// rows that are appended by hand.
func Tight(ctx context.Context, cfg Config) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.DefaultProduceTopic(cfg.Counts),
		kgo.FetchMaxBytes(64<<20),
		kgo.FetchMaxPartitionBytes(16<<20),
		kgo.BrokerMaxReadBytes(256<<20),
		kgo.WithPools(new(recordPool)),
		kgo.ProducerBatchMaxBytes(1<<20),
		kgo.MaxBufferedRecords(200_000),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	until, err := ends(ctx, client, cfg.Lines)
	if err != nil {
		return err
	}
	workers, err := consume(ctx, client, cfg, until)
	if err != nil {
		return err
	}
	return write(ctx, client, cfg, workers)
}

// counted is one goroutine's: the tables of its windows by number.
type counted struct {
	windows map[int64]*table
	current int64
	table   *table // of current
}

// consume counts what is there before the offsets of until.
func consume(ctx context.Context, client *kgo.Client, cfg Config, until map[int32]int64) ([]*counted, error) {
	from := make(map[int32]kgo.Offset)
	for p := range until {
		from[p] = kgo.NewOffset().AtStart()
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{cfg.Lines: from})
	defer client.RemoveConsumePartitions(map[string][]int32{cfg.Lines: slices.Collect(maps.Keys(until))})

	interval := cfg.Interval.Milliseconds()
	workers := make([]*counted, min(runtime.GOMAXPROCS(0), max(len(until), 1)))
	queues := make([]chan []*kgo.Record, len(workers))
	var wg sync.WaitGroup
	for i := range workers {
		c := &counted{windows: make(map[int64]*table)}
		queue := make(chan []*kgo.Record, 4)
		workers[i], queues[i] = c, queue
		wg.Go(func() {
			for records := range queue {
				for _, r := range records {
					if r.Offset < until[r.Partition] {
						c.line(r.Timestamp.UnixMilli()/interval, r.Value)
					}
					r.Recycle()
				}
			}
		})
	}
	var failed error
	left := maps.Clone(until)
	for len(left) > 0 && failed == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			failed = fmt.Errorf("fetch %s: %w", cfg.Lines, err)
			break
		}
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if len(f.Records) == 0 {
				return
			}
			next := f.Records[len(f.Records)-1].Offset + 1 // before a goroutine recycles it
			queues[int(f.Partition)%len(queues)] <- f.Records
			if next >= until[f.Partition] {
				delete(left, f.Partition)
			}
		})
	}
	for _, queue := range queues {
		close(queue)
	}
	wg.Wait()
	return workers, failed
}

func (c *counted) line(window int64, line []byte) {
	if c.table == nil || window != c.current {
		like := 0 // the window before
		if c.table != nil {
			like = len(c.table.words)
		}
		c.current, c.table = window, c.windows[window]
		if c.table == nil {
			c.table = newTable(like)
			c.windows[window] = c.table
		}
	}
	c.table.addLine(line)
}

// write sends the rows of all windows.
func write(ctx context.Context, client *kgo.Client, cfg Config, workers []*counted) error {
	numbers := make(map[int64]bool)
	for _, c := range workers {
		for n := range c.windows {
			numbers[n] = true
		}
	}
	var once sync.Once
	var refused error
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			once.Do(func() { refused = err })
		}
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		var parts []*table
		for _, c := range workers {
			if t := c.windows[n]; t != nil {
				parts = append(parts, t)
				delete(c.windows, n)
			}
		}
		group.Go(func() error {
			start := time.UnixMilli(n * cfg.Interval.Milliseconds()).UTC()
			head := fmt.Sprintf(`{"window_start":"%s","window_end":"%s","word":"`, start.Format(time.RFC3339Nano), start.Add(cfg.Interval).Format(time.RFC3339Nano))
			writeWindow(ctx, client, head, merge(parts), promise)
			return nil
		})
	}
	_ = group.Wait()
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return refused
}

// merge adds all tables to the largest one.
func merge(parts []*table) *table {
	all := slices.MaxFunc(parts, func(a, b *table) int { return len(a.words) - len(b.words) })
	for _, t := range parts {
		if t == all {
			continue
		}
		for i, word := range t.words {
			all.addString(word, t.counts[i])
		}
	}
	return all
}

func writeWindow(ctx context.Context, client *kgo.Client, head string, t *table, promise func(*kgo.Record, error)) {
	const chunk = 1000
	for from := 0; from < len(t.words); from += chunk {
		words := t.words[from:min(from+chunk, len(t.words))]
		size := 0
		for _, word := range words {
			size += len(head) + 2*len(word) + 32
		}
		values := make([]byte, 0, size)
		records := make([]kgo.Record, len(words))
		for i, word := range words {
			begin := len(values)
			values = append(values, head...)
			values = appendEscaped(values, word)
			values = append(values, `","count":`...)
			values = strconv.AppendInt(values, t.counts[from+i], 10)
			values = append(values, '}')
			records[i].Key = unsafe.Slice(unsafe.StringData(word), len(word))
			records[i].Value = values[begin:len(values):len(values)]
			client.Produce(ctx, &records[i], promise)
		}
	}
}

// appendEscaped writes what stands between the quotes of a JSON string.
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// view is b as a string, without a copy: b must not change any more.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// recordPool keeps the records of fetches for the next ones.
type recordPool struct{ pool sync.Pool }

// GetRecords implements kgo.PoolRecords.
func (p *recordPool) GetRecords(n int) []kgo.Record {
	if kept, ok := p.pool.Get().(*[]kgo.Record); ok && cap(*kept) >= n {
		return (*kept)[:0]
	}
	return make([]kgo.Record, 0, n)
}

// PutRecords implements kgo.PoolRecords.
func (p *recordPool) PutRecords(records []kgo.Record) { p.pool.Put(&records) }
