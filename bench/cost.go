package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"wordcount/bench/text"
)

// Cost is what a line costs the counters, by the shape of the work: partitions, windows, counters. Its vocabulary is small, so that lines are
// what costs and not results.
type Cost struct {
	Text   string    `json:"text"`
	Bytes  int64     `json:"bytes"`
	Shapes []Shape   `json:"shapes"` // each once; the first is what the others are compared with
	Runs   []CostRun `json:"runs"`   // as they came: before and behind each one of another shape is one of the first
}

// CostRun is one shape in one round.
type CostRun struct {
	Shape
	Round     int     `json:"round"`
	Lines     int64   `json:"lines"`
	Wall      Seconds `json:"wall_s"` // until the last counter's exit
	CPU       Seconds `json:"cpu_s"`  // of all counters
	BrokerCPU Seconds `json:"broker_cpu_s"`
	Peak      int64   `json:"peak_bytes"` // of the largest counter
}

// costVocabulary is how many words the lines of this case have.
const costVocabulary = 1000

// Shape is what one run of the case cost varies.
type Shape struct {
	Partitions int `json:"partitions"` // of the lines topic
	Windows    int `json:"windows"`
	Counters   int `json:"counters"`
}

// MinCostWindows is the least number of windows in the base of Shapes: another one has a tenth of it.
const MinCostWindows = 10

// Shapes begin with the base, whose lines are spread over so many windows, at least MinCostWindows; the others differ from it in one thing.
func Shapes(windows int) []Shape {
	return []Shape{
		{4, windows, 1}, {1, windows, 1}, {16, windows, 1},
		{4, 100 * windows, 1}, {4, 10 * windows, 1}, {4, windows / 10, 1},
		{4, windows, 2}, {4, windows, 3},
	}
}

func (b *bench) cost(ctx context.Context, r *Report) error {
	vocabulary := text.NewZipf(1.05, costVocabulary)
	c := &Cost{Text: vocabulary.Describe(), Bytes: b.CostBytes, Shapes: b.Shapes}
	type topicShape struct{ partitions, windows int }
	topics := make(map[topicShape]Load) // of the same lines
	lines := make(map[topicShape]int64)
	for _, s := range b.Shapes {
		t := topicShape{s.Partitions, s.Windows}
		if _, there := topics[t]; there {
			continue
		}
		topics[t] = b.load(b.name("cost"), s.Partitions, s.Windows, b.CostBytes, vocabulary)
		var err error
		if lines[t], err = b.fill(ctx, topics[t]); err != nil {
			return err
		}
	}
	count := func(s Shape, round int) error {
		t := topicShape{s.Partitions, s.Windows}
		run, err := b.costOnce(ctx, s, topics[t].Topic)
		if err != nil || round == 0 {
			return err
		}
		run.Round, run.Lines = round, lines[t]
		c.Runs = append(c.Runs, run)
		b.Log("cost, round %d: %d partitions, %d windows, %d counters: %.2f s, CPU %.0f ns a line", round, s.Partitions, s.Windows, s.Counters, run.Wall,
			run.cpu())
		return nil
	}
	for _, s := range b.Shapes { // does not count: the broker compiles
		if err := count(s, 0); err != nil {
			return err
		}
	}
	// What a line costs varies more from one minute to the next than from one shape to another. So each is compared with the first one right before
	// and behind it; and there are twice as many rounds as of others.
	first, others := b.Shapes[0], b.Shapes[1:]
	if err := count(first, 1); err != nil {
		return err
	}
	for round := range 2 * b.Rounds {
		for _, other := range others {
			for _, s := range []Shape{other, first} {
				if err := count(s, round+1); err != nil {
					return err
				}
			}
		}
	}
	for _, load := range topics {
		if err := b.Broker.delete(ctx, load.Topic); err != nil {
			return err
		}
	}
	r.Cost = c
	return nil
}

func (b *bench) costOnce(ctx context.Context, s Shape, lines string) (run CostRun, err error) {
	run.Shape = s
	out := b.outputs()
	defer func() { err = errors.Join(err, b.Broker.delete(ctx, out.topics()...)) }()
	if err := b.rest(ctx); err != nil {
		return run, err
	}
	before, err := b.brokerCPU(ctx)
	if err != nil {
		return run, err
	}
	began := time.Now()
	usages := make([]Usage, s.Counters)
	var counters errgroup.Group
	for i := range usages {
		counters.Go(func() (err error) {
			usages[i], err = b.Programs.run(ctx, counterProgram, b.countArgs(lines, out, "--available-now")...)
			return err
		})
	}
	if err := counters.Wait(); err != nil {
		return run, err
	}
	run.Wall = seconds(time.Since(began))
	after, err := b.brokerCPU(ctx)
	if err != nil {
		return run, err
	}
	run.BrokerCPU = seconds(after - before)
	for _, u := range usages {
		run.CPU += seconds(u.CPU)
		run.Peak = max(run.Peak, u.MaxRSS)
	}
	totals, err := ReadTotals(ctx, b.Broker.Addresses, out.counts)
	if err != nil {
		return run, err
	}
	return run, b.sameWords(s, totals)
}

// sameWords checks that every shape of the same partitions has counted as many words.
func (b *bench) sameWords(s Shape, t Totals) error {
	if b.costWords == nil {
		b.costWords = make(map[int]int64)
	}
	before, known := b.costWords[s.Partitions]
	if known && before != t.Words {
		return fmt.Errorf("%d windows and %d counters counted %d words, others %d", s.Windows, s.Counters, t.Words, before)
	}
	b.costWords[s.Partitions] = t.Words
	return nil
}
