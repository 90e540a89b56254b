package bench

import (
	"context"
	"fmt"
	"time"

	"wordcount/bench/text"
)

// partitions is how many the topics of lines and counts have, unless a case says otherwise.
const partitions = 4

// Contenders drain a topic: the tight and the naive loop, and the counter as shipped.
func Contenders() []string { return []string{"tight", "naive", counterProgram} }

// Drain is how long it took to count a topic of lines and to write the results.
type Drain struct {
	Name    string     `json:"name"`
	Text    string     `json:"text"`
	Lines   int64      `json:"lines"`
	Bytes   int64      `json:"bytes"`
	Windows int        `json:"windows"`
	Totals  Totals     `json:"totals"` // everybody's
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

func (b *bench) english(ctx context.Context, r *Report) error {
	return b.drain(ctx, r, "english", b.English)
}

func (b *bench) wide(ctx context.Context, r *Report) error {
	return b.drain(ctx, r, "wide", b.Wide())
}

func (b *bench) drain(ctx context.Context, r *Report, name string, t text.Text) error {
	load := Load{Topic: b.name(name), Partitions: partitions, Text: t, Seed: b.Seed, Bytes: b.Bytes, Windows: b.Windows, Interval: b.Interval}
	lines, err := b.load(ctx, load)
	if err != nil {
		return err
	}
	d := Drain{Name: name, Text: t.Describe(), Lines: lines, Bytes: b.Bytes, Windows: b.Windows}
	for round := 1; round <= b.Rounds; round++ {
		for _, program := range b.Contenders {
			run, totals, err := b.drainOnce(ctx, program, load.Topic)
			if err != nil {
				return err
			}
			run.Round = round
			b.Log("%s, round %d: %s %.1f s, CPU %.1f s, broker's CPU %.1f s, peak %d MB; %d rows, %d words", name, round, program, run.Wall,
				run.CPU, run.BrokerCPU, run.Peak>>20, totals.Rows, totals.Words)
			if len(d.Runs) == 0 {
				d.Totals = totals
			} else if !d.Totals.Equal(totals) {
				return fmt.Errorf("%s counted %+v, where %s counted %+v", program, totals, d.Runs[0].Program, d.Totals)
			}
			d.Runs = append(d.Runs, run)
		}
	}
	r.Drains = append(r.Drains, d)
	return b.Broker.delete(ctx, load.Topic)
}

// load fills a topic, and says how long it took.
func (b *bench) load(ctx context.Context, load Load) (lines int64, err error) {
	began := time.Now()
	lines, err = load.Write(ctx, b.Broker.Addresses)
	if err != nil {
		return 0, fmt.Errorf("load: %w", err)
	}
	took := time.Since(began).Seconds()
	b.Log("loaded %d lines, %d MB, in %.1f s (%.0f MB/s): %s", lines, load.Bytes/1e6, took, float64(load.Bytes)/1e6/took, load.Text.Describe())
	return lines, nil
}

// drainOnce counts lines by one contender with output topics of its own.
func (b *bench) drainOnce(ctx context.Context, program, lines string) (run DrainRun, totals Totals, err error) {
	counts := b.name("counts")
	batches, group := counts+"-batches", counts+"-group"
	made := []string{counts}
	args := []string{"--brokers", b.brokers(), "--lines-topic", lines, "--counts-topic", counts, "--batch-interval", b.Interval.String()}
	file := loopProgram
	if program == counterProgram {
		file = counterProgram
		args = append(args, "--available-now", "--batches-topic", batches, "--group", group, "--metrics-addr", "")
		made = append(made, batches, group+"-shuffle")
	} else {
		args = append([]string{program}, args...)
		if err := b.Broker.topic(ctx, counts, partitions); err != nil {
			return run, totals, err
		}
	}
	before, err := b.brokerCPU(ctx)
	if err != nil {
		return run, totals, err
	}
	usage, err := b.Programs.run(ctx, file, args...)
	if err != nil {
		return run, totals, err
	}
	after, err := b.brokerCPU(ctx)
	if err != nil {
		return run, totals, err
	}
	if totals, err = ReadTotals(ctx, b.Broker.Addresses, counts); err != nil {
		return run, totals, err
	}
	run = DrainRun{Program: program, Wall: seconds(usage.Wall), Last: seconds(totals.last.Sub(usage.Started)), CPU: seconds(usage.CPU),
		BrokerCPU: seconds(after - before), Peak: usage.MaxRSS}
	return run, totals, b.Broker.delete(ctx, made...)
}

// brokerCPU is what the broker has taken so far, 0 when that cannot be seen.
func (b *bench) brokerCPU(ctx context.Context) (time.Duration, error) {
	if b.Broker.CPU == nil {
		return 0, nil
	}
	return b.Broker.CPU(ctx)
}
