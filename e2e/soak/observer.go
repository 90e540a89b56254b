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
// shares no client with what it checks, and connects past all proxies.
type Observer struct {
	topics Topics
	client *kgo.Client
	done   chan struct{} // closed when reading has ended

	mu       sync.Mutex
	ledger   *Ledger
	position map[string]map[int32]int64 // topic → partition → the offset to be read next
	trouble  error                      // the last that reading met; brokers that are away are no problem
}

// Observe begins to read. The topics may appear later.
func Observe(brokers []string, topics Topics, ledger *Ledger) (*Observer, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topics.Lines, topics.Counts, topics.Batches),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // else the position would stay behind a transaction's end
		kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(time.Second), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("observe the topics: %w", err)
	}
	o := &Observer{topics: topics, client: client, done: make(chan struct{}), ledger: ledger, position: make(map[string]map[int32]int64)}
	go func() {
		defer close(o.done)
		o.read()
	}()
	return o, nil
}

// Close ends the reading.
func (o *Observer) Close() {
	o.client.Close()
	<-o.done
}

func (o *Observer) read() {
	for {
		fetches := o.client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		o.mu.Lock()
		fetches.EachError(func(topic string, partition int32, err error) {
			o.trouble = fmt.Errorf("read %s/%d: %w", topic, partition, err)
			var lost *kgo.ErrDataLoss
			if errors.As(err, &lost) {
				o.ledger.problem(&o.ledger.Lost, 1, "%w", o.trouble)
			}
		})
		var lines []oracle.Line
		fetches.EachRecord(func(r *kgo.Record) {
			if o.position[r.Topic] == nil {
				o.position[r.Topic] = make(map[int32]int64)
			}
			if next := o.position[r.Topic][r.Partition]; r.Topic == o.topics.Lines && r.Offset != next {
				o.ledger.problem(&o.ledger.Lost, 1, "%s/%d goes on at offset %d, after %d", r.Topic, r.Partition, r.Offset, next-1)
			}
			o.position[r.Topic][r.Partition] = r.Offset + 1
			switch {
			case r.Attrs.IsControl():
			case r.Topic == o.topics.Lines:
				lines = append(lines, oracle.Line{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Value: r.Value})
			case r.Topic == o.topics.Counts:
				o.ledger.Count(r.Partition, r.Key, r.Value)
			default:
				o.ledger.Batch(r.Partition, r.Key, r.Value)
			}
		})
		o.ledger.Take(lines)
		o.ledger.Compare(false)
		o.mu.Unlock()
	}
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
	ends, err := kadm.NewClient(o.client).ListCommittedOffsets(ctx, o.topics.Lines, o.topics.Counts, o.topics.Batches)
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
	admin := kadm.NewClient(o.client)
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
