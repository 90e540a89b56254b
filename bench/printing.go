package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"wordcount/internal/wire"
)

// Printing is how fast the printer catches up with all results of the English drain.
type Printing struct {
	Rows int64         `json:"rows"`
	Runs []PrintingRun `json:"runs"`
}

// PrintingRun is one process.
type PrintingRun struct {
	Round         int     `json:"round"`
	Wall          Seconds `json:"wall_s"` // from process start to the last batch
	RowsPerSecond float64 `json:"rows_per_second"`
	CPU           Seconds `json:"cpu_s"`
	Peak          int64   `json:"peak_bytes"`
}

func (b *bench) printing(ctx context.Context, r *Report) (err error) {
	load := b.load(b.name("printed"), partitions, b.Windows, b.Bytes, b.English)
	made := []string{load.Topic}
	defer func() { err = errors.Join(err, b.Broker.delete(ctx, made...)) }()
	if _, err := b.fill(ctx, load); err != nil {
		return err
	}
	d, err := b.drainOnce(ctx, counterProgram, load.Topic)
	made = append(made, d.topics...)
	if err != nil {
		return err
	}
	p := &Printing{Rows: d.totals.Rows}
	until := string(wire.AppendTime(nil, loadStart.Add(time.Duration(b.Windows)*b.Interval).UnixMilli()))
	for round := 1; round <= b.Rounds; round++ {
		run, err := b.printOnce(ctx, d.counts, d.batches, `"window_end":"`+until+`"`)
		if err != nil {
			return err
		}
		run.Round = round
		run.RowsPerSecond = float64(d.totals.Rows) / float64(run.Wall)
		p.Runs = append(p.Runs, run)
		b.Log("printing, round %d: %.2f million rows/s, CPU %.1f s, peak %d MB", round, run.RowsPerSecond/1e6, run.CPU, run.Peak>>20)
	}
	r.Printing = p
	return nil
}

// printOnce runs the printer until it has shown the batch that has last in it.
func (b *bench) printOnce(ctx context.Context, counts, batches, last string) (run PrintingRun, err error) {
	if err := b.rest(ctx); err != nil {
		return run, err
	}
	shown, stdout := io.Pipe()
	printing, err := b.Programs.start(ctx, stdout, printerProgram, "--brokers", b.brokers(), "--counts-topic", counts, "--batches-topic", batches,
		"--from-beginning", "--format", "json", "--num", "10", "--metrics-addr", "", "--http", "127.0.0.1:0") // with the page, as a printer has it unless told otherwise
	if err != nil {
		return run, err
	}
	defer printing.end()
	go func() {
		<-printing.exited
		stdout.Close()
	}()
	found := false
	lines := bufio.NewScanner(shown)
	for !found && lines.Scan() {
		found = strings.Contains(lines.Text(), last)
	}
	run.Wall = seconds(time.Since(printing.started))
	go func() { _, _ = io.Copy(io.Discard, shown) }() // what else it writes before it ends
	usage, err := printing.stop()
	switch {
	case err != nil:
		return run, err
	case lines.Err() != nil:
		return run, lines.Err()
	case !found:
		return run, fmt.Errorf("the printer ended before the batch with %s", last)
	}
	run.CPU, run.Peak = seconds(usage.CPU), usage.MaxRSS
	return run, nil
}
