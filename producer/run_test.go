package producer

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/internal/kafkaio"
	"wordcount/internal/service"
)

const partitions = 4

// output is a Stdout that tests may read while the producer writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// config is a producer's, of that broker and file, as fast as it can.
func config(t *testing.T, b *broker, file string) (Config, *output, *prometheus.Registry) {
	out, registry := &output{}, prometheus.NewRegistry()
	return Config{
		Kafka:    service.Kafka{Brokers: []string{b.addr}, LinesTopic: "lines", Partitions: partitions, ReplicationFactor: 1},
		Settings: Settings{Source: "file", File: &file, Rate: new(float64), Seed: 1},
		Runtime:  service.Runtime{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Metrics: registry, Health: &service.Health{}, Stdout: out},
	}, out, registry
}

// published returns what the topic has, by partition.
func published(t *testing.T, b *broker) [][]*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.ConsumeTopics("lines"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	infos := b.PartitionInfos("lines")
	records := make([][]*kgo.Record, len(infos))
	missing := int64(0)
	for _, info := range infos {
		missing += info.HighWatermark
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for missing > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records[r.Partition] = append(records[r.Partition], r)
			missing--
		})
	}
	return records
}

// values returns the values of counters, and of histograms the number of observations.
func values(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return got
}

func TestCount(t *testing.T) {
	b := startBroker(t)
	cfg, out, registry := config(t, b, write(t, " hello spark \n\n漢字\xff\n"))
	cfg.Count = 1001
	var mu sync.Mutex
	var acknowledged time.Time
	cfg.Acknowledged = func(appended time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if appended.After(acknowledged) {
			acknowledged = appended
		}
	}
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}

	lines, size, newest := 0, 0, time.Time{}
	for p, records := range published(t, b) {
		if n := len(records); n != 250 && n != 251 {
			t.Errorf("partition %d has %d lines", p, n)
		}
		for _, r := range records {
			if v := string(r.Value); v != "hello spark" && v != "漢字\xff" || r.Key != nil {
				t.Fatalf("record %q with key %q", v, r.Key)
			}
			lines++
			size += len(r.Value)
			if r.Timestamp.After(newest) {
				newest = r.Timestamp
			}
		}
	}
	// kfake's topics have CreateTime, whatever they are told. Package standalone tests the broker's append time.
	if newest.UnixMilli() != acknowledged.UnixMilli() {
		t.Errorf("newest line's time is %v, last acknowledged %v", newest, acknowledged)
	}
	got := values(t, registry)
	if lines != 1001 || got["wordcount_producer_lines_total"] != 1001 || got["wordcount_producer_bytes_total"] != float64(size) || got["wordcount_producer_errors_total"] != 0 {
		t.Errorf("%d lines of %d bytes in the topic, metrics %v", lines, size, got)
	}
	if n := got["wordcount_producer_publish_seconds"]; n < partitions || n > 1001 {
		t.Errorf("%v batches observed", n)
	}
	if out.String() != "" {
		t.Errorf("lines are shown at full speed: %.100q", out)
	}
	if typ := b.TopicInfo("lines").Configs["message.timestamp.type"]; typ == nil || *typ != "LogAppendTime" {
		t.Error("the topic was not created with LogAppendTime")
	}
}

func TestLinesAreShownAtLowRates(t *testing.T) {
	b := startBroker(t)
	cfg, out, registry := config(t, b, write(t, "tab\there\n"))
	*cfg.Rate, cfg.Count = 10, 3
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("[producer] sent -> tab\\there\n", 3); out.String() != want {
		t.Errorf("shown: %q, want %q", out, want)
	}
	if n := values(t, registry)["wordcount_producer_publish_seconds"]; n != 3 {
		t.Errorf("%v batches observed of 3 lines", n)
	}
}

func TestSameSeedSameLines(t *testing.T) {
	file := write(t, numbered(100))
	var runs [2]string
	for i := range runs {
		b := startBroker(t)
		cfg, _, _ := config(t, b, file)
		cfg.Count = 500
		if err := Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		for _, records := range published(t, b) {
			for _, r := range records {
				runs[i] += string(r.Value) + " "
			}
			runs[i] += "|"
		}
	}
	if runs[0] != runs[1] {
		t.Errorf("%.200s\n%.200s", runs[0], runs[1])
	}
}

func TestLineTooLongForTheTopic(t *testing.T) {
	b := startBroker(t)
	if err := b.CreateTopic("lines", 1, map[string]string{"max.message.bytes": "1000"}); err != nil {
		t.Fatal(err)
	}
	for size, ok := range map[int]bool{1000: false, 1000 - kafkaio.BatchOverhead - kafkaio.RecordOverhead: true} {
		cfg, _, _ := config(t, b, write(t, "a\n"+strings.Repeat("x", size)+"\n"))
		cfg.Count = 20
		err := Run(t.Context(), cfg)
		var usage *service.UsageError
		if ok && err != nil || !ok && (!errors.As(err, &usage) || !strings.Contains(err.Error(), "line 2 has 1000 bytes")) {
			t.Errorf("line of %d bytes: error %v", size, err)
		}
	}
}

func TestTopicForNoLine(t *testing.T) {
	b := startBroker(t)
	if err := b.CreateTopic("lines", 1, map[string]string{"max.message.bytes": "90"}); err != nil {
		t.Fatal(err)
	}
	cfg, _, _ := config(t, b, write(t, "a\n"))
	if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "max.message.bytes is 90; raise it") {
		t.Errorf("error %v", err)
	}
}

func TestReadyOnceConnected(t *testing.T) {
	b := startBroker(t)
	b.SetReachable(false)
	cfg, _, _ := config(t, b, write(t, "a\n"))
	*cfg.Rate = 100
	connected := make(chan struct{})
	var once sync.Once
	cfg.Acknowledged = func(time.Time) { once.Do(func() { close(connected) }) }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- Run(ctx, cfg) }()
	for len(cfg.Runtime.Health.NotReady()) == 0 || cfg.Runtime.Health.NotReady()[0] != part {
		time.Sleep(time.Millisecond) // until Run has named its part
	}
	b.SetReachable(true)
	<-connected
	if waiting := cfg.Runtime.Health.NotReady(); len(waiting) != 0 {
		t.Errorf("not ready: %v", waiting)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A stop before Kafka was ever there is graceful: nothing was chosen.
func TestStopBeforeKafkaIsThere(t *testing.T) {
	b := startBroker(t)
	b.SetReachable(false)
	cfg, _, _ := config(t, b, write(t, "a\n"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Run(ctx, cfg); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	rate := func(r float64) *float64 { return &r }
	every := func(d time.Duration) *time.Duration { return &d }
	for _, c := range []struct {
		name     string
		settings Settings
		rate     float64
		wrong    string
	}{
		{"defaults", Settings{Source: "file", File: new("f")}, 0.5, ""},
		{"interval", Settings{Source: "file", File: new("f"), Interval: every(100 * time.Millisecond)}, 10, ""},
		{"rate", Settings{Source: "file", File: new("f"), Rate: rate(7)}, 7, ""},
		{"as fast as it can", Settings{Source: "file", File: new("f"), Rate: rate(0)}, 0, ""},
		{"both", Settings{Source: "file", File: new("f"), Rate: rate(1), Interval: every(time.Second)}, 0, "--interval and --rate"},
		{"no interval", Settings{Source: "file", File: new("f"), Interval: every(0)}, 0, "--interval"},
		{"negative rate", Settings{Source: "file", File: new("f"), Rate: rate(-1)}, 0, "--rate"},
		{"negative count", Settings{Source: "file", File: new("f"), Count: -1}, 0, "--count"},
		{"no file", Settings{Source: "file", File: new("")}, 0, "--file"},
		{"in order", Settings{Source: "file", Order: new("sequential"), Loop: true}, 0.5, ""},
		{"at random", Settings{Source: "file", Order: new("random"), Seed: 1}, 0.5, ""},
		{"stdin", Settings{Source: "stdin"}, 0, ""},
		{"stdin at a rate", Settings{Source: "stdin", Rate: rate(3)}, 3, ""},
		{"socket", Settings{Source: "tcp://localhost:7777"}, 0, ""},
		{"socket at an interval", Settings{Source: "tcp://[::1]:7777", Interval: every(time.Second)}, 1, ""},
		{"listening", Settings{Source: "file", Listen: ":9999"}, 0.5, ""},
		{"no source", Settings{}, 0, "--source"},
		{"no such source", Settings{Source: "kafka"}, 0, "--source"},
		{"no scheme", Settings{Source: "localhost:7777"}, 0, "--source"},
		{"no host", Settings{Source: "tcp://:7777"}, 0, "--source"},
		{"no port", Settings{Source: "tcp://localhost"}, 0, "--source"},
		{"port 0", Settings{Source: "tcp://localhost:0"}, 0, "--source"},
		{"port too large", Settings{Source: "tcp://localhost:70000"}, 0, "--source"},
		{"a path", Settings{Source: "tcp://localhost:7777/lines"}, 0, "--source"},
		{"no such order", Settings{Source: "file", Order: new("reverse")}, 0, "--order"},
		{"random lines in a loop", Settings{Source: "file", Loop: true}, 0, "--loop needs --order sequential"},
		{"a seed of lines in order", Settings{Source: "file", Order: new("sequential"), Seed: 1}, 0, "--seed"},
		{"stdin and a file", Settings{Source: "stdin", File: new("messages.txt")}, 0, "--file"},
		{"stdin in order", Settings{Source: "stdin", Order: new("sequential")}, 0, "--order"},
		{"stdin in a loop", Settings{Source: "stdin", Loop: true}, 0, "--loop"},
		{"socket with a file", Settings{Source: "tcp://localhost:7777", File: new("f")}, 0, "--file"},
		{"socket with a seed", Settings{Source: "tcp://localhost:7777", Seed: 1}, 0, "--seed"},
		{"no address to listen on", Settings{Source: "file", Listen: "9999"}, 0, "--listen"},
	} {
		err := c.settings.Validate()
		var usage *service.UsageError
		switch {
		case c.wrong == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.wrong != "" && (!errors.As(err, &usage) || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%s: error %v, want one about %s", c.name, err, c.wrong)
		case c.wrong == "" && c.settings.linesPerSecond() != c.rate:
			t.Errorf("%s: %v lines/s, want %v", c.name, c.settings.linesPerSecond(), c.rate)
		}
	}
}
