package standalone

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	printer "wordcount/consumer-printer"
	"wordcount/counter"
	"wordcount/internal/service"
	"wordcount/producer"
	"wordcount/standalone/embedded"
)

func asUsage(err error, usage **service.UsageError) bool { return errors.As(err, usage) }

// text is a Stdout that tests may read while the services write.
type text struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written func(all string) // may be nil
}

func (o *text) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if o.written != nil {
		o.written(o.b.String())
	}
	return len(p), nil
}

func (o *text) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// testConfig has the defaults, but a free port, short batches, and lines of four words as fast as can be.
func testConfig(t *testing.T) Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lines.txt")
	if err := os.WriteFile(file, []byte("a b c d\nb a d e\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{
		BrokerAddr: "127.0.0.1:0",
		Producer:   producer.Settings{Source: "file", File: &file, Rate: new(float64)},
		Counter: counter.Settings{
			BatchInterval: 200 * time.Millisecond, Grace: 50 * time.Millisecond, Group: "counter", ShufflePartitions: 4,
			Tokenizer: "space", ReportEmpty: time.Hour,
		},
		Printer:    printer.Settings{Format: "pprint", Sort: "count", TimeZone: "UTC"},
		LinesTopic: "lines", CountsTopic: "word-counts", BatchesTopic: "batches", Partitions: 4,
		Runtime: service.Runtime{
			Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
			Metrics: prometheus.NewRegistry(),
			Health:  &service.Health{},
			Stdout:  &text{},
		},
	}
}

var counted = regexp.MustCompile(`(?m)^\('\w', (\d+)\)$`)

// words adds up the counts of the batches that were printed.
func words(t *testing.T, output string) (sum int) {
	t.Helper()
	for _, match := range counted.FindAllStringSubmatch(output, -1) {
		n, err := strconv.Atoi(match[1])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// With --count it ends by itself, when every word was shown.
func TestCountedAndShown(t *testing.T) {
	cfg := testConfig(t)
	cfg.Producer.Count = 20_000
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if n := words(t, cfg.Runtime.Stdout.(*text).String()); n != 4*20_000 {
		t.Errorf("%d words shown, want %d", n, 4*20_000)
	}
}

// The end of standard input is the end, when every word was shown.
func TestStdinCountedAndShown(t *testing.T) {
	cfg := testConfig(t)
	cfg.Producer = producer.Settings{Source: "stdin"}
	cfg.Runtime.Stdin = strings.NewReader(strings.Repeat("a b c d\r\n", 20_000) + "a b")
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if n := words(t, cfg.Runtime.Stdout.(*text).String()); n != 4*20_000+2 {
		t.Errorf("%d words shown, want %d", n, 4*20_000+2)
	}
}

// Asked to stop while nobody types, it shows what was typed. The read that waits for more does not hold it up.
func TestStdinStopDrains(t *testing.T) {
	cfg := testConfig(t)
	cfg.Producer = producer.Settings{Source: "stdin"}
	terminal, keyboard := io.Pipe()
	defer terminal.Close()
	cfg.Runtime.Stdin = terminal
	ctx, cancel := context.WithCancel(t.Context())
	out := cfg.Runtime.Stdout.(*text)
	out.written = func(all string) {
		if strings.Contains(all, "[producer] sent -> c d e\n") {
			cancel()
		}
	}
	go io.WriteString(keyboard, "a b\nc d e\nnot typed to its en")
	if err := Run(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if n := words(t, out.String()); n != 5 {
		t.Errorf("%d words shown:\n%s", n, out)
	}
}

// Asked to stop, it shows what was published first. Sent lines and batches do not get mixed up.
func TestStopDrains(t *testing.T) {
	cfg := testConfig(t)
	*cfg.Producer.Rate = 10
	ctx, cancel := context.WithCancel(t.Context())
	const sent = "[producer] sent -> "
	out := cfg.Runtime.Stdout.(*text)
	out.written = func(all string) {
		if strings.Count(all, sent) == 5 {
			cancel()
		}
	}
	if err := Run(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(out.String(), sent)
	if n := words(t, out.String()); lines < 5 || n != 4*lines {
		t.Errorf("%d lines sent, %d words shown:\n%s", lines, n, out)
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, sent) && !strings.HasPrefix(line, sent) {
			t.Errorf("mixed up: %q", line)
		}
	}
}

func TestBrokerServesOthers(t *testing.T) {
	cfg := testConfig(t)
	*cfg.Producer.Rate = 1
	addr := make(chan string, 1)
	cfg.Started = func(a string) { addr <- a }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, cfg) }()
	cl, err := kgo.NewClient(kgo.SeedBrokers(<-addr), kgo.ConsumeTopics("lines"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	fetches := cl.PollFetches(t.Context())
	if err := fetches.Err(); err != nil || fetches.NumRecords() == 0 {
		t.Errorf("%d lines, %v", fetches.NumRecords(), err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReady(t *testing.T) {
	cfg := testConfig(t)
	*cfg.Producer.Rate = 1
	ctx, cancel := context.WithCancel(t.Context())
	cfg.Runtime.Stdout.(*text).written = func(all string) {
		if counted.MatchString(all) {
			cancel()
		}
	}
	if err := Run(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if waiting := cfg.Runtime.Health.NotReady(); len(waiting) > 0 {
		t.Errorf("a batch was shown, and not ready: %v", waiting)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := testConfig(t)
	cfg.BrokerAddr = l.Addr().String()
	if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "--broker-addr") {
		t.Errorf("error %v", err)
	}
}

// A service's wrong setting ends everything, and is the error.
func TestServiceFails(t *testing.T) {
	cfg := testConfig(t)
	cfg.Producer.File = new(filepath.Join(t.TempDir(), "none"))
	err := Run(t.Context(), cfg)
	var usage *service.UsageError
	if !asUsage(err, &usage) || !strings.Contains(err.Error(), "--file") {
		t.Errorf("error %v", err)
	}
}

// What the producer hands on as the append time is what others read.
func TestAcknowledgedAppendTime(t *testing.T) {
	b, err := embedded.Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cfg := testConfig(t)
	cfg.Producer.Count = 5000
	producing := cfg.producer(b.Addr())
	producing.Runtime = cfg.Runtime
	progress := newProgress()
	producing.Acknowledged = progress.acknowledged
	if err := producer.Run(t.Context(), producing); err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics("lines"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var newest time.Time
	for lines := 0; lines < 5000; {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			lines++
			if r.Timestamp.After(newest) {
				newest = r.Timestamp
			}
		})
	}
	if !newest.Equal(progress.appended) {
		t.Errorf("newest line appended at %v, last acknowledged %v", newest, progress.appended)
	}
}
