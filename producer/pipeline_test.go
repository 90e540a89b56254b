package producer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"wordcount/internal/kafkaio"
)

// counting is a source of the lines 0, 1, 2, … n−1.
type counting struct {
	next, n  int
	together int            // up to so many lines, if not one by one
	before   func(line int) // may be nil
	block    bool           // after the last line Next waits for the context's end
	failure  error          // or returns this; io.EOF if nil
}

func (c *counting) Limit(int) error { return nil }
func (c *counting) Close() error    { return nil }
func (c *counting) Next(ctx context.Context, n int) (lines [][]byte, err error) {
	if c.before != nil {
		c.before(c.next)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case c.next < c.n:
		for range min(n, max(c.together, 1), c.n-c.next) {
			lines = append(lines, fmt.Append(nil, c.next))
			c.next++
		}
		return lines, nil
	case c.block:
		<-ctx.Done()
		return nil, ctx.Err()
	case c.failure != nil:
		return nil, c.failure
	}
	return nil, io.EOF
}

// whenWaiting is a log handler that calls do when the log says that something waits for Kafka.
type whenWaiting struct{ do func() }

func (whenWaiting) Enabled(context.Context, slog.Level) bool { return true }
func (w whenWaiting) Handle(_ context.Context, r slog.Record) error {
	if strings.HasSuffix(r.Message, ": waiting") {
		w.do()
	}
	return nil
}
func (w whenWaiting) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w whenWaiting) WithGroup(string) slog.Handler      { return w }

// newPipeline is one on a new topic, as fast as it can. When it has to wait for Kafka, waiting is called, which may be nil.
func newPipeline(t *testing.T, b *broker, source Source, waiting func()) *pipeline {
	t.Helper()
	cfg, _, registry := config(t, b, "")
	if waiting != nil {
		cfg.Runtime.Log = slog.New(whenWaiting{waiting})
	}
	clientConfig, err := cfg.Kafka.ClientConfig("test", cfg.Runtime.Log)
	if err != nil {
		t.Fatal(err)
	}
	client := kafkaio.NewClient(clientConfig)
	t.Cleanup(client.Close)
	kafka, err := connect(t.Context(), client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &pipeline{source: source, kafka: kafka, metrics: newMetrics(registry), log: cfg.Runtime.Log, flushTime: 10 * time.Second}
}

// checkOrder fails unless the topic has the lines 0 … n−1 once each, line i in partition i mod P, in order.
func checkOrder(t *testing.T, b *broker, n int) {
	t.Helper()
	for p, records := range published(t, b) {
		var got, want []string
		for _, r := range records {
			got = append(got, string(r.Value))
		}
		for i := p; i < n; i += partitions {
			want = append(want, fmt.Sprint(i))
		}
		if !slices.Equal(got, want) {
			t.Errorf("partition %d has %d lines %.100q…, want %d %.100q…", p, len(got), got, len(want), want)
		}
	}
}

func TestOrderAndSpread(t *testing.T) {
	for _, together := range []int{1, 3, 100} {
		b := startBroker(t)
		if err := newPipeline(t, b, &counting{n: 100_000, together: together}, nil).run(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkOrder(t, b, 100_000)
	}
}

// The broker goes away while lines are under way, until the producer notices; nothing is lost, doubled or out of order.
func TestBrokerAwayForAWhile(t *testing.T) {
	b := startBroker(t)
	const lines = 20_000
	away := 0
	source := &counting{n: lines, before: func(line int) {
		if line%5000 == 1000 {
			b.SetReachable(false)
			away++
		}
	}}
	p := newPipeline(t, b, source, func() { b.SetReachable(true) })
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkOrder(t, b, lines)
	if away != 4 {
		t.Errorf("the broker was away %d times", away)
	}
}

// The answer to a batch that was appended is lost: it is sent again, and is there once.
func TestLostAnswers(t *testing.T) {
	b := startBroker(t)
	p := newPipeline(t, b, &counting{n: 1000}, nil)
	faults := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: 3})
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if faults.Hits() < 3 {
		t.Errorf("%d answers lost", faults.Hits())
	}
	checkOrder(t, b, 1000)
}

// full is a source of lines of which a lane holds two: one under way, one that waits.
type full struct{ counting }

func (f *full) Next(ctx context.Context, _ int) ([][]byte, error) {
	if _, err := f.counting.Next(ctx, 1); err != nil {
		return nil, err
	}
	return [][]byte{bytes.Repeat([]byte("x"), laneBytes*3/4)}, nil
}

// What the broker refuses for good ends the producer at once, even while the chooser waits for room in that lane.
func TestRefusal(t *testing.T) {
	b := startBroker(t)
	p := newPipeline(t, b, &full{counting{n: 100}}, func() { b.SetReachable(true) })
	b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "lines", Partitions: []int32{0}, Err: kerr.InvalidRecord, Count: -1})
	b.SetReachable(false)
	start := time.Now()
	err := p.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "lines/0") || !strings.Contains(err.Error(), "were not acknowledged") {
		t.Errorf("error %v", err)
	}
	if d := time.Since(start); d > p.flushTime/2 {
		t.Errorf("took %v", d)
	}
}

// A line that was chosen but waits for room when the context ends is sent, too.
func TestStopFlushesTheLineThatWaits(t *testing.T) {
	b := startBroker(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := newPipeline(t, b, &full{counting{n: 100}}, func() {
		cancel()
		b.SetReachable(true)
	})
	b.SetReachable(false)
	if err := p.run(ctx); err != nil {
		t.Error(err)
	}
	if p.chosen != 2*partitions+1 {
		t.Errorf("%d lines were chosen, want two for each partition and one that waits", p.chosen)
	}
}

// After the context's end, what was chosen is sent, and nothing more is chosen.
func TestStopFlushes(t *testing.T) {
	b := startBroker(t)
	ctx, cancel := context.WithCancel(t.Context())
	source := &counting{n: 50_000, together: 10, before: func(line int) {
		if line >= 25_000 {
			cancel()
		}
	}}
	if err := newPipeline(t, b, source, nil).run(ctx); err != nil {
		t.Fatal(err)
	}
	if source.next < 25_000 || source.next >= 25_000+source.together {
		t.Errorf("%d lines were chosen, the stop was at 25000", source.next)
	}
	checkOrder(t, b, source.next)
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", syscall.EPIPE) }

// Who does not read on, such as head, wants no more lines: it is a stop, no failure, and what was chosen is there.
func TestStopWhenNobodyReads(t *testing.T) {
	b := startBroker(t)
	p := newPipeline(t, b, &counting{n: 3, block: true}, nil)
	p.echo = newEcho(closedPipe{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.run(ctx); err != nil || ctx.Err() != nil || p.chosen == 0 || p.lines.Load() != p.chosen {
		t.Errorf("error %v, %d of %d lines; %v", err, p.lines.Load(), p.chosen, ctx.Err())
	}
}

// A stop while Kafka is away takes flushTime, and the error says how many lines are missing.
func TestStopWhileKafkaIsAway(t *testing.T) {
	b := startBroker(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := newPipeline(t, b, &counting{n: 5, block: true}, cancel)
	p.flushTime = 100 * time.Millisecond
	b.SetReachable(false)
	start := time.Now()
	err := p.run(ctx)
	if err == nil || !strings.Contains(err.Error(), "5 of 5 lines were not acknowledged by Kafka within 100ms") {
		t.Errorf("error %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(p.metrics.errors)
	if n := values(t, registry)["wordcount_producer_errors_total"]; n != 5 {
		t.Errorf("%v errors counted", n)
	}
}

// With --count the producer waits for Kafka as long as nobody stops it.
func TestCountOutlastsTheFlushTime(t *testing.T) {
	b := startBroker(t)
	p := newPipeline(t, b, &counting{n: 100, block: true}, func() { b.SetReachable(true) })
	p.count, p.flushTime = 8, time.Nanosecond
	b.SetReachable(false)
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkOrder(t, b, 8)
}

func TestSourceFails(t *testing.T) {
	b := startBroker(t)
	failure := errors.New("read messages.txt: input/output error")
	err := newPipeline(t, b, &counting{n: 100, failure: failure}, nil).run(t.Context())
	if !errors.Is(err, failure) || strings.Contains(err.Error(), "acknowledged") {
		t.Errorf("error %v", err)
	}
	checkOrder(t, b, 100) // what it gave before is there
}

// slow has a line each second.
type slow struct{ counting }

func (s *slow) Next(context.Context, int) ([][]byte, error) {
	time.Sleep(time.Second)
	return [][]byte{[]byte("line")}, nil
}

// Lines have the time at which they came or were chosen, however long they wait for room in the lane.
func TestTimesOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{source: &slow{}, count: 3, lanes: []*lane{newLane(0, 1<<20, nil)}}
		if err := p.choose(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		if b := p.lanes[0].filling; b.last.Sub(b.first) != 2*time.Second {
			t.Errorf("from the first to the last of three: %v", b.last.Sub(b.first))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newTestSender(1, 100)
		p := &pipeline{source: &counting{n: 6}, count: 6, lanes: s.lanes}
		var last []time.Duration
		began := time.Now()
		s.send = func(batches []taken, answered func([]answer)) {
			last = append(last, batches[0].batch.last.Sub(began))
			time.Sleep(time.Second)
			answered([]answer{{batches[0], nil}})
		}
		s.start()
		if err := p.choose(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
		s.end()
		if n := len(last); n < 3 || last[n-1] < time.Duration(n-3)*time.Second {
			t.Errorf("the last lines of the batches were chosen at %v", last)
		}
	})
}
