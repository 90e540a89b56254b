package bench

import (
	"context"
	"errors"
	"fmt"

	"wordcount/bench/text"
)

// partitions is how many the topics of lines and counts have, unless a case says otherwise.
const partitions = 4

const naive = "naive"

// Contenders drain a topic: the tight and the naive loop, and the counter as shipped.
func Contenders() []string { return []string{"tight", naive, counterProgram} }

// Drain is how long it took to count a topic of lines and to write the results.
type Drain struct {
	Name    string     `json:"name"`
	Text    string     `json:"text"`
	Lines   int64      `json:"lines"`
	Bytes   int64      `json:"bytes"`
	Windows int        `json:"windows"`
	WarmUp  int        `json:"warm_up"` // rounds before those of Runs, see turns
	Totals  Totals     `json:"totals"`  // everybody's
	Runs    []DrainRun `json:"runs"`
}

// DrainRun is one process.
type DrainRun struct {
	Program   string  `json:"program"`
	Round     int     `json:"round"`
	Wall      Seconds `json:"wall_s"`       // from process start to exit
	Last      Seconds `json:"last_s"`       // from process start to the last (committed) result, by the broker's clock
	CPU       Seconds `json:"cpu_s"`        // of the process
	BrokerCPU Seconds `json:"broker_cpu_s"` // of the broker, meanwhile
	Peak      int64   `json:"peak_bytes"`   // resident memory of the process
}

func (b *bench) drainEnglish(ctx context.Context, r *Report) error {
	return b.drain(ctx, r, "english", b.English)
}

func (b *bench) drainWide(ctx context.Context, r *Report) error {
	return b.drain(ctx, r, "wide", b.Wide())
}

func (b *bench) drain(ctx context.Context, r *Report, name string, t text.Text) (err error) {
	load := b.load(b.name(name), partitions, b.Windows, b.Bytes, t)
	defer func() { err = errors.Join(err, b.Broker.delete(ctx, load.Topic)) }()
	lines, err := b.fill(ctx, load)
	if err != nil {
		return err
	}
	d := Drain{Name: name, Text: t.Describe(), Lines: lines, Bytes: b.Bytes, Windows: b.Windows}
	if len(r.Drains) == 0 {
		d.WarmUp = b.WarmUp
	}
	first := "" // who counted first
	for round := 1 - d.WarmUp; round <= b.Rounds; round++ {
		for _, program := range turns(round, b.Contenders) {
			once, err := b.drainOnce(ctx, program, load.Topic)
			if err := errors.Join(err, b.Broker.delete(ctx, once.topics...)); err != nil {
				return err
			}
			run, totals := once.DrainRun, once.totals
			run.Round = round
			b.Log("%s, round %d: %s %.1f s, CPU %.1f s, broker's CPU %.1f s, peak %d MB; %d rows, %d words", name, round, program, run.Wall,
				run.CPU, run.BrokerCPU, run.Peak>>20, totals.Rows, totals.Words)
			if first == "" {
				d.Totals, first = totals, program
			} else if !d.Totals.Equal(totals) {
				return fmt.Errorf("%s counted %+v, where %s counted %+v", program, totals, first, d.Totals)
			}
			if round > 0 {
				d.Runs = append(d.Runs, run)
			}
		}
	}
	r.Drains = append(r.Drains, d)
	return nil
}

// turns returns who runs in a round, one after the other. Rounds before the first do not count: of the counter's transactions a drain has
// some 300, and a JVM compiles what was called 5000 times and more (Tier4InvocationThreshold), so three drains a round bring it there. The
// producer, of which a run takes a fifth of the time of kafka-go's Writer, runs as often. The naive loop, which takes 2.5 times as long as tight
// and has the broker do the same, drains once.
func turns(round int, contenders []string) (programs []string) {
	for _, program := range contenders {
		switch {
		case program == naive && round != 1:
		case (program == counterProgram || program == producerProgram) && round < 1:
			programs = append(programs, program, program, program)
		default:
			programs = append(programs, program)
		}
	}
	return programs
}

// load describes a topic of lines.
func (b *bench) load(topic string, partitions, windows int, bytes int64, t text.Text) Load {
	return Load{Topic: topic, Partitions: partitions, Text: t, Seed: b.Seed, Bytes: bytes, Windows: windows, Interval: b.Interval}
}

// outputs are the topics and the group of one run of counters.
type outputs struct{ counts, batches, group string }

func (b *bench) outputs() outputs {
	name := b.name("run")
	return outputs{name + "-counts", name + "-batches", name}
}

// topics are those that a counter makes.
func (o outputs) topics() []string { return []string{o.counts, o.batches, o.group + "-shuffle"} }

// countArgs are the counter's flags: the defaults, but for names and the metrics' address.
func (b *bench) countArgs(lines string, o outputs, more ...string) []string {
	return append([]string{"--brokers", b.brokers(), "--lines-topic", lines, "--counts-topic", o.counts, "--batches-topic", o.batches,
		"--group", o.group, "--batch-interval", b.Interval.String(), "--metrics-addr", ""}, more...)
}

// drained is what one process left.
type drained struct {
	DrainRun
	outputs
	totals Totals
	topics []string // that it wrote
}

// drainOnce counts lines by one contender with topics of its own. The topics are returned with an error, too.
func (b *bench) drainOnce(ctx context.Context, program, lines string) (d drained, err error) {
	d.outputs = b.outputs()
	file, args := counterProgram, b.countArgs(lines, d.outputs, "--available-now")
	d.topics = d.outputs.topics()
	if program != counterProgram {
		file = loopProgram
		args = []string{program, "--brokers", b.brokers(), "--lines-topic", lines, "--counts-topic", d.counts, "--batch-interval", b.Interval.String()}
		d.topics = []string{d.counts}
		if err := b.Broker.topic(ctx, d.counts, partitions); err != nil {
			return d, err
		}
	}
	usage, broker, err := b.measure(ctx, file, args...)
	if err != nil {
		return d, err
	}
	if d.totals, err = ReadTotals(ctx, b.Broker.Addresses, d.counts); err != nil {
		return d, err
	}
	d.DrainRun = DrainRun{Program: program, Wall: seconds(usage.Wall), Last: seconds(d.totals.last.Sub(usage.Started)), CPU: seconds(usage.CPU),
		BrokerCPU: seconds(broker), Peak: usage.MaxRSS}
	return d, nil
}
