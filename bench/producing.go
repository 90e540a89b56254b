package bench

import (
	"context"
	"errors"
	"fmt"

	"wordcount/bench/loop"
)

// Producing is how fast lines of a file come into a topic with acks=all.
type Producing struct {
	Lines  int64          `json:"lines"`
	WarmUp int            `json:"warm_up"` // rounds before those of Runs, as many as of drains, two at most
	Runs   []ProducingRun `json:"runs"`
}

// ProducingRun is one process.
type ProducingRun struct {
	Program        string  `json:"program"`
	Round          int     `json:"round"`
	Wall           Seconds `json:"wall_s"`
	LinesPerSecond float64 `json:"lines_per_second"` // by the wall time
	CPU            Seconds `json:"cpu_s"`
	BrokerCPU      Seconds `json:"broker_cpu_s"`
	Peak           int64   `json:"peak_bytes"`
}

func (b *bench) producing(ctx context.Context, r *Report) error {
	file, err := b.textFile()
	if err != nil {
		return err
	}
	p := &Producing{Lines: b.ProducedLines, WarmUp: min(b.WarmUp, 2)}
	for round := 1 - p.WarmUp; round <= b.Rounds; round++ {
		for _, program := range turns(round, []string{loop.KafkaGoWriter, producerProgram}) {
			run, err := b.produceOnce(ctx, program, file)
			if err != nil {
				return err
			}
			run.Round = round
			if round > 0 {
				p.Runs = append(p.Runs, run)
			}
			b.Log("producing, round %d: %s %.2f million lines/s, CPU %.1f s", round, program, run.LinesPerSecond/1e6, run.CPU)
		}
	}
	r.Producing = p
	return nil
}

func (b *bench) produceOnce(ctx context.Context, program, file string) (run ProducingRun, err error) {
	lines := b.name("produced")
	if err := b.Broker.topic(ctx, lines, partitions); err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, b.Broker.delete(ctx, lines)) }()
	args := []string{"--brokers", b.brokers(), "--lines-topic", lines, "--file", file, "--count", fmt.Sprint(b.ProducedLines)}
	executable := loopProgram
	if program == producerProgram {
		executable = producerProgram
		args = append(args, "--rate", "0", "--metrics-addr", "")
	} else {
		args = append([]string{program}, args...)
	}
	usage, broker, err := b.measure(ctx, executable, args...)
	if err != nil {
		return run, err
	}
	there, err := b.Broker.records(ctx, lines)
	if err != nil {
		return run, err
	}
	if there != b.ProducedLines {
		return run, fmt.Errorf("%s wrote %d records, not %d", program, there, b.ProducedLines)
	}
	return ProducingRun{Program: program, Wall: seconds(usage.Wall), LinesPerSecond: float64(b.ProducedLines) / usage.Wall.Seconds(),
		CPU: seconds(usage.CPU), BrokerCPU: seconds(broker), Peak: usage.MaxRSS}, nil
}
