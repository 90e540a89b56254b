package soak

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/e2e/oracle"
)

// Topics are those of one run.
type Topics struct{ Lines, Shuffle, Counts, Batches string }

// Observer reads the topics while everything runs, committed data only, into a ledger. It is written with franz-go, so that it
// shares no client with what it checks, and connects past all proxies. Lines have a reader of their own: a burst of them does not
// hold up what is seen of the batches.
type Observer struct {
	topics        Topics
	lines, output *kgo.Client
	reading       sync.WaitGroup

	mu       sync.Mutex
	ledger   *Ledger
	position map[string]map[int32]int64 // topic → partition → the offset to be read next
	trouble  error                      // the last that reading met; brokers that are away are no problem
}

// Observe begins to read. The topics may appear later.
func Observe(brokers []string, topics Topics, ledger *Ledger) (o *Observer, err error) {
	o = &Observer{topics: topics, ledger: ledger, position: map[string]map[int32]int64{topics.Lines: {}, topics.Counts: {}, topics.Batches: {}}}
	reader := func(topics ...string) (*kgo.Client, error) {
		return kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topics...),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.KeepControlRecords(), // else the position would stay behind a transaction's end
			kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(time.Second), kgo.FetchMaxWait(200*time.Millisecond))
	}
	if o.lines, err = reader(topics.Lines); err != nil {
		return nil, fmt.Errorf("observe the lines: %w", err)
	}
	if o.output, err = reader(topics.Counts, topics.Batches); err != nil {
		o.lines.Close()
		return nil, fmt.Errorf("observe the batches: %w", err)
	}
	o.reading.Go(func() { o.read(o.lines, o.takeLines) })
	o.reading.Go(func() { o.read(o.output, o.takeOutput) })
	return o, nil
}

// Close ends the reading.
func (o *Observer) Close() {
	o.lines.Close()
	o.output.Close()
	o.reading.Wait()
}

func (o *Observer) read(client *kgo.Client, take func(kgo.Fetches)) {
	for {
		fetches := client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.trouble = fmt.Errorf("read %s/%d: %w", topic, partition, err)
			var lost *kgo.ErrDataLoss
			if errors.As(err, &lost) {
				o.ledger.problem(&o.ledger.Lost, 1, "%w", o.trouble)
			}
		})
		take(fetches)
	}
}

func (o *Observer) takeLines(fetches kgo.Fetches) {
	var lines []oracle.Line
	fetches.EachRecord(func(r *kgo.Record) {
		if !r.Attrs.IsControl() {
			lines = append(lines, oracle.Line{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Value: r.Value})
		}
	})
	counted := CountLines(lines, o.ledger.interval)
	o.mu.Lock()
	defer o.mu.Unlock()
	fetches.EachRecord(func(r *kgo.Record) {
		if next := o.position[r.Topic][r.Partition]; r.Offset != next {
			o.ledger.problem(&o.ledger.Lost, 1, "%s/%d goes on at offset %d, after %d", r.Topic, r.Partition, r.Offset, next-1)
		}
		o.position[r.Topic][r.Partition] = r.Offset + 1
	})
	o.ledger.Take(counted)
	o.ledger.Compare(false)
}

func (o *Observer) takeOutput(fetches kgo.Fetches) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fetches.EachRecord(func(r *kgo.Record) {
		o.position[r.Topic][r.Partition] = r.Offset + 1
		switch {
		case r.Attrs.IsControl():
		case r.Topic == o.topics.Counts:
			o.ledger.Count(r.Partition, r.Key, r.Value)
		default:
			o.ledger.Batch(r.Partition, r.Key, r.Value)
		}
	})
	o.ledger.Compare(false)
}

// Complete is the end of the newest window that readers can see whole. The error is what was wrong so far.
func (o *Observer) Complete() (time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ledger.Complete(), o.ledger.Problems()
}

// Trouble is the last that reading met.
func (o *Observer) Trouble() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.trouble
}

// Ledger calls f with the ledger while nothing is read.
func (o *Observer) Ledger(f func(*Ledger)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(o.ledger)
}

// CatchUp waits until everything that is committed now has been read.
func (o *Observer) CatchUp(ctx context.Context) error {
	ends, err := kadm.NewClient(o.output).ListCommittedOffsets(ctx, o.topics.Lines, o.topics.Counts, o.topics.Batches)
	if err == nil {
		err = ends.Error()
	}
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("find the ends of the topics: %w", err)
	}
	for {
		var behind error
		o.mu.Lock()
		ends.Each(func(end kadm.ListedOffset) {
			if at := o.position[end.Topic][end.Partition]; at < end.Offset {
				behind = fmt.Errorf("%s/%d has been read to offset %d of %d, last trouble: %w", end.Topic, end.Partition, at, end.Offset, o.trouble)
			}
		})
		o.mu.Unlock()
		if behind == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return behind
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Open returns the transactions that are neither committed nor aborted, and what consumers may not read because of one.
func (o *Observer) Open(ctx context.Context) (open []string, err error) {
	admin := kadm.NewClient(o.output)
	transactions, err := admin.ListTransactions(ctx, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	for _, t := range transactions.Sorted() {
		switch t.State {
		case "Empty", "CompleteCommit", "CompleteAbort", "Dead":
		default:
			open = append(open, fmt.Sprintf("%s is %s", t.TxnID, t.State))
		}
	}
	topics := []string{o.topics.Lines, o.topics.Shuffle, o.topics.Counts, o.topics.Batches}
	stable, err := admin.ListCommittedOffsets(ctx, topics...)
	if err == nil {
		err = stable.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list last stable offsets: %w", err)
	}
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		if at, _ := stable.Lookup(end.Topic, end.Partition); at.Offset < end.Offset {
			open = append(open, fmt.Sprintf("%s/%d ends at %d, and consumers may read up to %d", end.Topic, end.Partition, end.Offset, at.Offset))
		}
	})
	return open, nil
}
