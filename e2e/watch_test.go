package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/e2e/oracle"
)

// The watch must see what a wrong counter does. Here the test is the counter: it writes what the oracle says in a transaction,
// aborts one with nonsense, and then writes a row a second time.
func TestWatchKafka(t *testing.T)    { testWatch(t, realKafka(t).Address) }
func TestWatchEmbedded(t *testing.T) { testWatch(t, embeddedBroker(t)) }

func testWatch(t *testing.T, broker string) {
	p := NewPipeline(t, programs, broker, time.Second, "space")
	p.CreateLines(4)
	client := p.client(kgo.TransactionalID(p.Group), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := kadm.NewClient(client).CreateTopics(ctx, 4, 1, nil, p.Counts, p.Batches); err != nil {
		t.Fatal(err)
	}
	transaction := func(commit kgo.TransactionEndTry, records []*kgo.Record) {
		t.Helper()
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(ctx, commit); err != nil {
			t.Fatal(err)
		}
	}

	p.Publish("spark hello spark", "", "a b c")
	lines := p.Watch.Lines(3)
	records := p.output(lines)
	transaction(kgo.TryAbort, p.output(append(lines[:3:3], lines[0])))
	transaction(kgo.TryCommit, records)
	p.Watch.Counted(10 * time.Second)
	p.Watch.Check()

	transaction(kgo.TryCommit, records[:1])
	for late := time.After(10 * time.Second); ; {
		p.Watch.mu.Lock()
		problems, changed := fmt.Sprint(p.Watch.problems), p.Watch.changed
		p.Watch.mu.Unlock()
		if strings.Contains(problems, "counted TWICE") {
			break
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("a row was written twice, and the watch knows of %s", problems)
		}
	}
}

// output is what a counter must write of lines, rows first.
func (p *Pipeline) output(lines []oracle.Line) (records []*kgo.Record) {
	windows := oracle.Windows(lines, p.Interval, p.tokenize())
	first, last := time.Time{}, time.Time{}
	for _, w := range windows {
		if first.IsZero() || w.End.Before(first) {
			first = w.End
		}
		if w.End.After(last) {
			last = w.End
		}
	}
	var batches []*kgo.Record
	for end := first; !end.After(last); end = end.Add(p.Interval) {
		w := windows[end.UnixMilli()]
		if w == nil {
			w = &oracle.Window{}
		}
		words, distinct := make([]int64, p.Partitions), make([]int64, p.Partitions)
		for word, n := range w.Counts {
			q := oracle.Partition(word, p.Partitions)
			words[q] += n
			distinct[q]++
			records = append(records, &kgo.Record{Topic: p.Counts, Partition: q, Key: []byte(word), Value: []byte(oracle.CountRecord(end, p.Interval, word, n))})
		}
		for q := range p.Partitions {
			value := fmt.Sprintf(`{"window_start":"%s","window_end":"%s","partition":%d,"partitions":%d,"lines":%d,"words":%d,"distinct_words":%d,"late_lines":0,"closed_at":"%s"}`,
				oracle.Stamp(end.Add(-p.Interval)), oracle.Stamp(end), q, p.Partitions, w.Lines, words[q], distinct[q], oracle.Stamp(end))
			batches = append(batches, &kgo.Record{Topic: p.Batches, Partition: int32(q), Key: []byte(oracle.Stamp(end)), Value: []byte(value)})
		}
	}
	return append(records, batches...)
}
