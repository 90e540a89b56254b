package e2e

import (
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/e2e/oracle"
)

// Pipeline is a set of topics and a consumer group of its own on a broker that tests share, and the settings of the programs
// that work on it.
type Pipeline struct {
	Broker                          string
	Lines, Shuffle, Counts, Batches string // topics
	Group                           string
	Interval                        time.Duration
	Tokenizer                       string
	Partitions                      int // of word-counts and batches (Q)
	Watch                           *Watch

	t        testing.TB
	programs *Programs
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)

// NewPipeline names everything after the test and begins to watch the topics. Nothing is created by that.
func NewPipeline(t testing.TB, programs *Programs, broker string, interval time.Duration, tokenizer string) *Pipeline {
	name := strings.ToLower(notInNames.ReplaceAllString(t.Name(), "-"))
	p := &Pipeline{Broker: broker, Lines: name + "-lines", Shuffle: name + "-shuffle", Counts: name + "-counts", Batches: name + "-batches",
		Group: name, Interval: interval, Tokenizer: tokenizer, Partitions: 4, t: t, programs: programs}
	p.Watch = newWatch(t, p)
	return p
}

func (p *Pipeline) tokenize() func(string) []string {
	if pattern, ok := strings.CutPrefix(p.Tokenizer, "regexp:"); ok {
		return oracle.Matches(pattern)
	}
	switch p.Tokenizer {
	case "space":
		return oracle.Space
	case "fields":
		return oracle.Fields
	case "words":
		return oracle.Words
	}
	panic("no tokenizer " + p.Tokenizer)
}

func (p *Pipeline) args(more ...string) []string {
	return append([]string{"--brokers", p.Broker, "--lines-topic", p.Lines, "--counts-topic", p.Counts, "--batches-topic", p.Batches,
		"--metrics-addr", ""}, more...)
}

// Producer starts a producer; more settings follow those of the pipeline and win over them.
func (p *Pipeline) Producer(stdin io.Reader, more ...string) *Process {
	p.t.Helper()
	return p.programs.Start(p.t, stdin, "producer", p.args(more...)...)
}

// Counter starts a counter.
func (p *Pipeline) Counter(more ...string) *Process {
	p.t.Helper()
	return p.programs.Start(p.t, nil, "counter", p.counterArgs(more...)...)
}

func (p *Pipeline) counterArgs(more ...string) []string {
	return append(p.args("--group", p.Group, "--shuffle-topic", p.Shuffle, "--batch-interval", p.Interval.String(), "--tokenizer", p.Tokenizer), more...)
}

// Printer starts a printer of every batch from the beginning.
func (p *Pipeline) Printer(more ...string) *Process {
	p.t.Helper()
	return p.programs.Start(p.t, nil, "consumer-printer", p.args(append([]string{"--from-beginning", "--time-zone", "UTC", "--http", ""}, more...)...)...)
}

// CreateLines makes the topic of lines, for tests that publish by themselves. Settings are pairs of a name and a value.
func (p *Pipeline) CreateLines(partitions int32, settings ...string) {
	p.t.Helper()
	appendTime := "LogAppendTime"
	configs := map[string]*string{"message.timestamp.type": &appendTime}
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	client := p.client()
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(context.Background(), partitions, 1, configs, p.Lines); err != nil {
		p.t.Fatalf("create %s: %v", p.Lines, err)
	}
}

// Publish puts lines on the topic as they are, whatever they hold, in turn on its partitions.
func (p *Pipeline) Publish(lines ...string) {
	p.t.Helper()
	var records []*kgo.Record
	for _, line := range lines {
		records = append(records, &kgo.Record{Value: []byte(line)})
	}
	p.PublishRecords(1<<20-1<<10, records...)
}

// PublishRecords puts records on the topic of lines, in turn on its partitions, in batches of up to so many bytes.
func (p *Pipeline) PublishRecords(maxBatch int32, records ...*kgo.Record) {
	p.t.Helper()
	client := p.client(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchMaxBytes(maxBatch), kgo.MaxBufferedRecords(100_000))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, r := range records {
		r.Topic = p.Lines
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		p.t.Fatalf("publish to %s: %v", p.Lines, err)
	}
}

func (p *Pipeline) client(more ...kgo.Opt) *kgo.Client {
	p.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(p.Broker)}, more...)...)
	if err != nil {
		p.t.Fatalf("connect to %s: %v", p.Broker, err)
	}
	return client
}

// rateAtLeast demands that lines arrived at this many a second, over the whole time.
func (p *Pipeline) rateAtLeast(rate float64) {
	p.t.Helper()
	lines := p.Watch.Lines(2)
	first, last := lines[0].Time, lines[0].Time
	for _, line := range lines {
		if line.Time.Before(first) {
			first = line.Time
		}
		if line.Time.After(last) {
			last = line.Time
		}
	}
	got := float64(len(lines)) / last.Sub(first).Seconds()
	p.t.Logf("%d lines in %v, %.0f a second", len(lines), last.Sub(first).Round(time.Second), got)
	if got < rate {
		p.t.Errorf("lines arrived at %.0f a second, not at %.0f: too little trouble", got, rate)
	}
}
