package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// Latency is how long after a window's end all its counts were visible to a consumer of committed data.
type Latency struct {
	Name           string    `json:"name"`
	Text           string    `json:"text"`
	Windows        int       `json:"windows"`
	LinesPerSecond float64   `json:"lines_per_second"` // counted
	DistinctWords  float64   `json:"distinct_words"`   // of a window, on average
	P50            Seconds   `json:"p50_s"`
	P99            Seconds   `json:"p99_s"`
	Max            Seconds   `json:"max_s"`
	CPU            float64   `json:"cpu"`        // cores that the counter used
	BrokerCPU      float64   `json:"broker_cpu"` // and the broker
	Peak           int64     `json:"peak_bytes"`
	All            []Seconds `json:"all_s"`
}

// loadWarmUp is how many windows pass before latency at load is measured: the counter joins, both runtimes get warm, and the broker's JVM compiles
// for a minute what it runs under such a load, with both processors busy.
const loadWarmUp = 12

func (b *bench) latencyAtLoad(ctx context.Context, r *Report) error {
	file, err := b.textFile()
	if err != nil {
		return err
	}
	return b.latency(ctx, r, "load", loadWarmUp, b.LatencyWindows, fmt.Sprintf("%d lines/s of %s", b.Rate, b.English.Describe()),
		"--file", file, "--rate", fmt.Sprint(b.Rate), "--seed", fmt.Sprint(b.Seed+1))
}

// latencyOfLab is the lab as it is: one of five lines at a time.
func (b *bench) latencyOfLab(ctx context.Context, r *Report) error {
	f, err := os.CreateTemp(b.Dir, "lab-*.txt")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("hello spark streaming\nbig data spark\nspark spark streaming\nhello big data\nstream processing with spark\n"); err != nil {
		return err
	}
	return b.latency(ctx, r, "lab", b.LabWarmUp, b.LabWindows, fmt.Sprintf("one of the lab's five lines each %v", b.LabInterval),
		"--file", f.Name(), "--interval", b.LabInterval.String(), "--seed", fmt.Sprint(b.Seed+1))
}

func (b *bench) latency(ctx context.Context, r *Report, name string, warmUp, windows int, text string, producer ...string) (err error) {
	if err := b.rest(ctx); err != nil {
		return err
	}
	lines, out := b.name("live"), b.outputs()
	defer func() { err = errors.Join(err, b.Broker.delete(ctx, append(out.topics(), lines)...)) }()

	producing, err := b.Programs.start(ctx, nil, producerProgram,
		append([]string{"--brokers", b.brokers(), "--lines-topic", lines, "--metrics-addr", ""}, producer...)...)
	if err != nil {
		return err
	}
	defer producing.end()
	counting, err := b.Programs.start(ctx, nil, counterProgram, b.countArgs(lines, out)...)
	if err != nil {
		return err
	}
	defer counting.end()

	before, err := b.brokerCPU(ctx)
	if err != nil {
		return err
	}
	seen, err := b.watch(ctx, out.counts, out.batches, warmUp+windows, producing, counting)
	if err != nil {
		return err
	}
	after, err := b.brokerCPU(ctx)
	if err != nil {
		return err
	}
	if _, err := producing.stop(); err != nil {
		return err
	}
	usage, err := counting.stop()
	if err != nil {
		return err
	}

	l := Latency{Name: name, Text: text, Windows: windows, Peak: usage.MaxRSS,
		CPU: usage.CPU.Seconds() / usage.Wall.Seconds(), BrokerCPU: (after - before).Seconds() / usage.Wall.Seconds()}
	for _, w := range seen[warmUp:] {
		l.All = append(l.All, seconds(w.visible.Sub(time.UnixMilli(w.end))))
		l.LinesPerSecond += float64(w.lines) / b.Interval.Seconds() / float64(windows)
		l.DistinctWords += float64(w.rows) / float64(windows)
	}
	sorted := slices.Sorted(slices.Values(l.All))
	l.P50, l.P99, l.Max = quantile(sorted, 0.5), quantile(sorted, 0.99), sorted[len(sorted)-1]
	r.Latencies = append(r.Latencies, l)
	b.Log("latency, %s: p50 %.0f ms, p99 %.0f ms, at %.1f lines/s", name, l.P50*1e3, l.P99*1e3, l.LinesPerSecond)
	return nil
}

// quantile of sorted values by the nearest rank: the least value that at least a share q of all does not exceed.
func quantile(sorted []Seconds, q float64) Seconds {
	return sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)]
}

// window is what was seen of one.
type window struct {
	end     int64 // ms
	lines   int64
	rows    int64     // that are there
	want    int64     // that must be there, of the partitions that have reported
	reports int       // of partitions
	visible time.Time // when the last of its records came
}

func (w *window) complete() bool { return w.reports == partitions && w.rows == w.want }

// watch reads both topics as they grow, committed data only, and returns the first n windows when they are complete, in order.
// Between two fetches that find nothing new it waits at the broker, so that it sees a record within the round trip.
func (b *bench) watch(ctx context.Context, counts, batches string, n int, alive ...*process) ([]window, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute+3*time.Duration(n)*b.Interval,
		fmt.Errorf("%d windows did not come in time", n))
	defer cancel()
	client := kafkaio.NewClient(kafkaio.Config{Brokers: b.Broker.Addresses, ClientID: clientID})
	defer client.Close()
	var positions []kafkaio.Position
	for _, topic := range []string{counts, batches} {
		found, err := client.WaitTopic(ctx, topic)
		if err != nil {
			return nil, err
		}
		for p := range found {
			positions = append(positions, kafkaio.Position{Topic: topic, Partition: int32(p)})
		}
	}
	reader := client.NewReader(positions)
	defer reader.Close()
	windows := make(map[int64]*window)
	var came []arrival // and were not looked at yet
	for {
		for _, s := range alive {
			if err := s.running(); err != nil {
				return nil, err
			}
		}
		fetched, err := reader.Poll(ctx, time.Second)
		if err != nil {
			return nil, errors.Join(err, context.Cause(ctx))
		}
		now := time.Now()
		for _, f := range fetched {
			a := arrived(f, now)
			if err := f.Err(); err != nil {
				return nil, err
			}
			if len(a.records) > 0 {
				came = append(came, a)
			}
		}
		if len(came) == 0 || now.Sub(came[0].at) < b.Interval/2 {
			continue
		}
		for _, a := range came {
			if err := a.take(batches, windows); err != nil {
				return nil, err
			}
		}
		came = nil
		if done := completed(windows, n); done != nil {
			return done, nil
		}
	}
}

// arrival is what came of a partition by one fetch. It is looked at half a window later: who reads JSON takes the processors on which what is measured
// goes on.
type arrival struct {
	topic     string
	partition int32
	at        time.Time
	records   []kafkaio.Record // with offset and value
}

func arrived(f *kafkaio.Fetched, at time.Time) arrival {
	a := arrival{topic: f.Topic, partition: f.Partition, at: at}
	var rec kafkaio.Record
	var room []byte
	for f.Next(&rec) {
		const piece = 1 << 20
		if cap(room)-len(room) < len(rec.Value) {
			room = make([]byte, 0, max(piece, len(rec.Value)))
		}
		start := len(room)
		room = append(room, rec.Value...)
		a.records = append(a.records, kafkaio.Record{Offset: rec.Offset, Value: room[start:]})
	}
	return a
}

// take notes the records.
func (a arrival) take(batches string, windows map[int64]*window) error {
	var row wire.CountRow
	for _, rec := range a.records {
		var end int64
		reported := a.topic == batches
		var batch wire.Batch
		var err error
		if reported {
			batch, err = wire.ParseBatch(rec.Value)
			end = batch.WindowEnd.UnixMilli()
		} else {
			err = wire.ParseCountRow(rec.Value, &row)
			end = row.WindowEnd
		}
		if err != nil {
			return fmt.Errorf("%s/%d, offset %d: %w", a.topic, a.partition, rec.Offset, err)
		}
		w := windows[end]
		if w == nil {
			w = &window{end: end}
			windows[end] = w
		}
		if reported {
			w.reports++
			w.want += batch.DistinctWords
			w.lines = batch.Lines
		} else {
			w.rows++
		}
		w.visible = a.at
	}
	return nil
}

// completed returns the first n windows, or nil when they are not complete yet.
func completed(windows map[int64]*window, n int) (done []window) {
	for _, w := range windows {
		if w.complete() {
			done = append(done, *w)
		}
	}
	if len(done) < n {
		return nil
	}
	slices.SortFunc(done, func(a, b window) int { return cmp.Compare(a.end, b.end) })
	return done[:n]
}
