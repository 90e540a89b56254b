package printer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/internal/kafkaio"
	"wordcount/internal/service"
	"wordcount/internal/wire"
)

const (
	countsTopic  = "word-counts"
	batchesTopic = "batches"
	patience     = 20 * time.Second
)

// broker is an embedded Kafka with the output topics, and the reduce tasks that write to them. They are written with another
// client than the printer's.
type broker struct {
	*testing.T
	addr  string
	tasks []*kgo.Client
}

// newBroker starts a broker; topics lists the topics that there are from the beginning.
func newBroker(t *testing.T, partitions int, topics ...string) *broker {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(int32(partitions), append(topics, "other")...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &broker{T: t, addr: cluster.ListenAddrs()[0]}
	for q := range partitions {
		b.tasks = append(b.tasks, b.client(kgo.TransactionalID(fmt.Sprint("reduce-", q))))
	}
	return b
}

func (b *broker) client(options ...kgo.Opt) *kgo.Client {
	b.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(b.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	b.check(err)
	b.Cleanup(client.Close)
	return client
}

func (b *broker) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *broker) context() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	b.Cleanup(cancel)
	return ctx
}

// counted is a window of five seconds with these words: "spark spark hello".
func (b *broker) counted(number int, text string) testWindow {
	end := int64(testEnd + 5000*number)
	w := testWindow{start: end - 5000, end: end, lines: int64(number), shares: make([]map[string]int64, len(b.tasks))}
	for q := range w.shares {
		w.shares[q] = make(map[string]int64)
	}
	for word := range strings.FieldsSeq(text) {
		w.shares[kafkaio.Partition([]byte(word), len(w.shares))][word]++
	}
	return w
}

// begin writes a reduce task's share of a window in a transaction that stays open.
func (b *broker) begin(q int, w testWindow) {
	b.Helper()
	b.check(b.tasks[q].BeginTransaction())
	var records []*kgo.Record
	for word, n := range w.shares[q] {
		records = append(records, &kgo.Record{Topic: countsTopic, Partition: int32(q), Key: []byte(word),
			Value: wire.AppendCount(nil, w.start, w.end, []byte(word), n)})
	}
	records = append(records, &kgo.Record{Topic: batchesTopic, Partition: int32(q),
		Value: wire.AppendBatch(nil, w.record(q, 100))})
	b.check(b.tasks[q].ProduceSync(b.context(), records...).FirstErr())
}

func (b *broker) end(q int, commit kgo.TransactionEndTry) {
	b.Helper()
	b.check(b.tasks[q].EndTransaction(b.context(), commit))
}

// close writes all shares of a window.
func (b *broker) close(windows ...testWindow) {
	b.Helper()
	for _, w := range windows {
		for q := range b.tasks {
			b.begin(q, w)
			b.end(q, kgo.TryCommit)
		}
	}
}

// raw writes a record of any kind.
func (b *broker) raw(topic string, q int, value string) {
	b.Helper()
	b.check(b.client().ProduceSync(b.context(), &kgo.Record{Topic: topic, Partition: int32(q), Value: []byte(value)}).FirstErr())
}

// kafkaClient is a client of the package that the printer uses.
func (b *broker) kafkaClient() *kafkaio.Client {
	client := kafkaio.NewClient(kafkaio.Config{Brokers: []string{b.addr}, Logger: slog.New(slog.DiscardHandler)})
	b.Cleanup(client.Close)
	return client
}

// running is a printer that runs.
type running struct {
	*testing.T
	config  Config
	writes  chan string    // what each Write got
	shown   chan time.Time // what Shown was called with
	logs    *logBuffer
	metrics *prometheus.Registry
	health  *service.Health
	stop    context.CancelFunc
	ended   chan error
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

type writes chan string

func (w writes) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

// newRunning returns a printer that does not run yet; change, if not nil, changes its configuration.
func newRunning(b *broker, change func(c *Config)) *running {
	b.Helper()
	r := &running{
		T: b.T, writes: make(chan string, 1000), shown: make(chan time.Time, 1000), ended: make(chan error, 1),
		logs: &logBuffer{}, metrics: prometheus.NewRegistry(), health: &service.Health{},
	}
	r.config = Config{
		Kafka:    service.Kafka{Brokers: []string{b.addr}, CountsTopic: countsTopic, BatchesTopic: batchesTopic},
		Settings: Settings{Format: "pprint", Num: 10, Sort: "count", TimeZone: "UTC"},
		Runtime:  service.Runtime{Log: slog.New(slog.NewTextHandler(r.logs, nil)), Metrics: r.metrics, Health: r.health, Stdout: writes(r.writes)},
		Shown:    func(end time.Time) { r.shown <- end },
	}
	if change != nil {
		change(&r.config)
	}
	return r
}

// startPrinter runs a printer until the test ends.
func startPrinter(b *broker, change func(c *Config)) *running {
	b.Helper()
	r := newRunning(b, change)
	r.start(func(ctx context.Context) error { return Run(ctx, r.config) })
	return r
}

func (r *running) start(run func(ctx context.Context) error) {
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.ended <- run(ctx) }()
	r.Cleanup(r.stop)
}

// expect waits for the next write, which must be this.
func (r *running) expect(want string) {
	r.Helper()
	select {
	case got := <-r.writes:
		if got != want {
			r.Fatalf("printed\n%swant\n%s", got, want)
		}
	case err := <-r.ended:
		r.Fatalf("ended with %v before it printed\n%s", err, want)
	case <-time.After(patience):
		r.Fatalf("did not print\n%slogs:\n%s", want, r.logs)
	}
}

// expectEnd waits for Run's return.
func (r *running) expectEnd() error {
	r.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		r.Fatalf("did not end; logs:\n%s", r.logs)
		return nil
	}
}

// until waits for something that another goroutine does.
func (r *running) until(what string, done func() bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("%s: not within %v; logs:\n%s", what, patience, r.logs)
		}
	}
}

// ready waits until the printer reads.
func (r *running) ready() {
	r.Helper()
	r.until("ready", func() bool { return len(r.health.NotReady()) == 0 })
}

// metric returns a metric without labels, nil while there is none.
func (r *running) metric(name string) *dto.Metric {
	r.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0]
		}
	}
	return nil
}

func (r *running) expectCounter(name string, want float64) {
	r.Helper()
	if got := r.metric(name).GetCounter().GetValue(); got != want {
		r.Errorf("%s is %v, want %v", name, got, want)
	}
}

// block is what pprint shows of a window.
func block(number int, lines ...string) string {
	text := "-------------------------------------------\nTime: " + time.UnixMilli(int64(testEnd+5000*number)).UTC().Format(time.DateTime) +
		"\n-------------------------------------------\n"
	for _, line := range lines {
		text += line + "\n"
	}
	return text + "\n"
}
