package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/e2e/oracle"
)

// Watch reads the topics of a pipeline from their beginning while the pipeline runs, committed data only, and checks every
// record of word-counts and batches as it comes. The topics may appear later. It is written with franz-go, so that it shares
// no client with what it checks.
type Watch struct {
	t      testing.TB
	p      *Pipeline
	client *kgo.Client
	done   chan struct{} // closed when reading has ended

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when something came
	lines    []oracle.Line
	output   *oracle.Output
	position map[string]map[int32]int64 // topic → partition → the offset to be read next
	problems []error
	trouble  error // the last that reading met
}

func newWatch(t testing.TB, p *Pipeline) *Watch {
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Broker), kgo.ConsumeTopics(p.Lines, p.Counts, p.Batches),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // else the position would stay behind a transaction's end
		kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(time.Second), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		t.Fatalf("watch the topics: %v", err)
	}
	w := &Watch{t: t, p: p, client: client, done: make(chan struct{}), changed: make(chan struct{}), output: oracle.NewOutput(p.Interval, p.Partitions),
		position: make(map[string]map[int32]int64)}
	go func() {
		defer close(w.done)
		w.read()
	}()
	t.Cleanup(w.Stop)
	return w
}

// Stop ends the reading.
func (w *Watch) Stop() {
	w.client.Close()
	<-w.done
}

func (w *Watch) read() {
	for {
		fetches := w.client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		w.mu.Lock()
		fetches.EachError(func(topic string, partition int32, err error) {
			// Topics that are not there yet and brokers that are away are the tests' daily bread, and tried again.
			w.trouble = fmt.Errorf("read %s/%d: %w", topic, partition, err)
			var lost *kgo.ErrDataLoss
			if errors.As(err, &lost) {
				w.problems = append(w.problems, w.trouble)
			}
		})
		fetches.EachRecord(w.take)
		close(w.changed)
		w.changed = make(chan struct{})
		w.mu.Unlock()
	}
}

func (w *Watch) take(r *kgo.Record) {
	if w.position[r.Topic] == nil {
		w.position[r.Topic] = make(map[int32]int64)
	}
	if next := w.position[r.Topic][r.Partition]; r.Topic == w.p.Lines && r.Offset != next {
		w.problems = append(w.problems, fmt.Errorf("%s/%d goes on at offset %d, after %d", r.Topic, r.Partition, r.Offset, next-1))
	}
	w.position[r.Topic][r.Partition] = r.Offset + 1
	if r.Attrs.IsControl() {
		return
	}
	if r.Topic == w.p.Lines {
		w.lines = append(w.lines, oracle.Line{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Value: r.Value})
		return
	}
	check := w.output.Count
	if r.Topic == w.p.Batches {
		check = w.output.Batch
	}
	if err := check(r.Partition, r.Key, r.Value); err != nil {
		w.problems = append(w.problems, fmt.Errorf("%s/%d at offset %d: %w", r.Topic, r.Partition, r.Offset, err))
	}
}

// wait waits until ok, which is called with the state locked, says yes. It fails the test at once when a record was wrong.
func (w *Watch) wait(within time.Duration, what string, ok func() bool) {
	w.t.Helper()
	late := time.After(within)
	for {
		w.mu.Lock()
		yes, changed, problems := ok(), w.changed, w.problems
		state := fmt.Sprintf("%d lines, batches complete to %v, last trouble in reading: %v", len(w.lines), w.output.Complete(), w.trouble)
		w.mu.Unlock()
		if len(problems) > 0 {
			w.t.Fatalf("wrong on the topics (%d):\n%v", len(problems), errors.Join(problems[:min(len(problems), 20)]...))
		}
		if yes {
			return
		}
		select {
		case <-changed:
		case <-late:
			w.t.Fatalf("not seen in %v: %s (%s)", within, what, state)
		}
	}
}

// Lines waits until at least n lines are on the topic, and returns them.
func (w *Watch) Lines(n int) []oracle.Line {
	w.t.Helper()
	w.wait(time.Minute, fmt.Sprintf("%d lines", n), func() bool { return len(w.lines) >= n })
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines
}

// Counted waits until every line that is on the topic now is in a complete batch.
func (w *Watch) Counted(within time.Duration) {
	w.t.Helper()
	w.CatchUp()
	w.mu.Lock()
	var last time.Time
	for _, line := range w.lines {
		if line.Time.After(last) {
			last = line.Time
		}
	}
	w.mu.Unlock()
	end := oracle.WindowEnd(last, w.p.Interval)
	w.wait(within, "the batch that ends "+end.String(), func() bool { return !w.output.Complete().Before(end) })
}

// Batches waits for n more complete windows than there are now.
func (w *Watch) Batches(n int) {
	w.t.Helper()
	w.mu.Lock()
	until := w.output.Complete()
	w.mu.Unlock()
	if until.IsZero() {
		w.wait(30*time.Second, "a first batch", func() bool { until = w.output.Complete(); return !until.IsZero() })
		n--
	}
	until = until.Add(time.Duration(n) * w.p.Interval)
	w.wait(time.Duration(n)*w.p.Interval+30*time.Second, "the batch that ends "+until.String(), func() bool {
		return !w.output.Complete().Before(until)
	})
}

// CatchUp waits until everything that is committed now has been read.
func (w *Watch) CatchUp() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(w.client).ListCommittedOffsets(ctx, w.p.Lines, w.p.Counts, w.p.Batches)
	if err == nil {
		err = ends.Error()
	}
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		w.t.Fatalf("find the ends of the topics: %v", err)
	}
	w.wait(30*time.Second, "the topics' ends", func() (all bool) {
		all = true
		ends.Each(func(end kadm.ListedOffset) {
			if w.position[end.Topic][end.Partition] < end.Offset {
				all = false
			}
		})
		return all
	})
}

// Check compares everything that is committed now with what the oracle says of the lines, and returns that.
func (w *Watch) Check() map[int64]*oracle.Window {
	w.t.Helper()
	w.CatchUp()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.compare(w.lines)
}

// CheckOnly is Check where only some of the lines can be counted.
func (w *Watch) CheckOnly(countable func(oracle.Line) bool) map[int64]*oracle.Window {
	w.t.Helper()
	w.CatchUp()
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []oracle.Line
	for _, line := range w.lines {
		if countable(line) {
			lines = append(lines, line)
		}
	}
	return w.compare(lines)
}

// CheckTotals demands that every word is counted as often as it is on the topic, in whatever window: where lines are late. It
// returns how many were.
func (w *Watch) CheckTotals() (late int64) {
	w.t.Helper()
	w.CatchUp()
	w.mu.Lock()
	defer w.mu.Unlock()
	want := make(map[string]int64)
	for _, window := range oracle.Windows(w.lines, w.p.Interval, w.p.tokenize()) {
		for word, n := range window.Counts {
			want[word] += n
		}
	}
	got, lines, late, err := w.output.Totals()
	if err != nil {
		w.t.Fatal(err)
	}
	if lines != int64(len(w.lines)) || !maps.Equal(got, want) {
		w.t.Fatalf("counted %d lines, %v; there are %d, %v", lines, got, len(w.lines), want)
	}
	return late
}

func (w *Watch) compare(lines []oracle.Line) map[int64]*oracle.Window {
	w.t.Helper()
	want := oracle.Windows(lines, w.p.Interval, w.p.tokenize())
	if err := w.output.Compare(want); err != nil {
		w.t.Fatalf("not what the oracle says:\n%v", err)
	}
	var words int64
	for _, window := range want {
		words += window.Words()
	}
	w.t.Logf("%d lines and %d words in %d windows, %d more empty: as the oracle says", len(lines), words, len(want), w.output.Empty())
	return want
}

// Reported returns the ends of the windows that have been reported, by partition 0.
func (w *Watch) Reported() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output.Reported()
}

// Empty is how many of them had no lines.
func (w *Watch) Empty() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output.Empty()
}
