package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wordcount/bench/text"
)

// Config is what is measured, and on what.
type Config struct {
	Cases    []string // of Cases
	Broker   *Broker
	Programs Programs

	Dir      string // for files, such as the producer's text
	English  *text.English
	Wide     func() text.Text // made when it is needed: a large vocabulary takes a while
	Seed     uint64
	Interval time.Duration // of all windows
	Rounds   int           // of drains, producing and printing; the cost of a line has twice as many
	WarmUp   int           // rounds of drains, see turns, before the first ones that count: a JVM compiles while it runs
	Log      func(format string, args ...any)

	Bytes      int64    // of the lines that are drained
	Windows    int      // that they are spread over
	Contenders []string // who drains, of Contenders

	LatencyWindows int           // that latency at load is taken of
	LabWindows     int           // that the lab's latency is taken of
	LabWarmUp      int           // windows before those
	Rate           int           // lines/s of the latency at load
	LabInterval    time.Duration // between two lines of the lab
	ProducedLines  int64         // of the producer and its contender
	CostBytes      int64         // of the lines in each shape of the work
	Shapes         []Shape       // see Shapes
}

// Cases are all cases by their names, in the order in which they run.
func Cases() []string {
	var names []string
	for _, c := range cases {
		names = append(names, c.name)
	}
	return names
}

// cases fill their part of a report.
var cases = []struct {
	name string
	run  func(*bench, context.Context, *Report) error
}{
	{"english", (*bench).drainEnglish},
	{"wide", (*bench).drainWide},
	{"load-latency", (*bench).latencyAtLoad},
	{"lab-latency", (*bench).latencyOfLab},
	{"producer", (*bench).producing},
	{"printer", (*bench).printing},
	{"cost", (*bench).cost},
}

// bench is a run under way.
type bench struct {
	Config
	names     int           // that were given
	english   string        // file with the English lines, "" before it is needed
	costWords map[int]int64 // by partitions
}

// Run measures, and returns what it has when a case fails.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	for _, name := range cfg.Cases {
		if !slices.Contains(Cases(), name) {
			return nil, fmt.Errorf("no case is called %q: want some of %s", name, strings.Join(Cases(), ", "))
		}
	}
	b := &bench{Config: cfg}
	r, err := newReport(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		if !slices.Contains(cfg.Cases, c.name) {
			continue
		}
		if err := c.run(b, ctx, r); err != nil {
			return r, fmt.Errorf("case %s: %w", c.name, err)
		}
	}
	return r, nil
}

// name makes a topic or group name that no other run of this broker has.
func (b *bench) name(kind string) string {
	b.names++
	return fmt.Sprintf("bench-%s-%d-%d", kind, time.Now().UnixMilli(), b.names)
}

// brokers is the value of --brokers.
func (b *bench) brokers() string { return strings.Join(b.Broker.Addresses, ",") }

// textFile returns a file with the English lines, for the producer.
func (b *bench) textFile() (string, error) {
	if b.english != "" {
		return b.english, nil
	}
	file := filepath.Join(b.Dir, "english.txt")
	if err := os.WriteFile(file, b.English.File(), 0o600); err != nil {
		return "", err
	}
	b.english = file
	return file, nil
}

// fill loads a topic, and says how long that took.
func (b *bench) fill(ctx context.Context, load Load) (lines int64, err error) {
	began := time.Now()
	lines, err = load.Write(ctx, b.Broker.Addresses)
	if err != nil {
		return 0, fmt.Errorf("load: %w", err)
	}
	took := time.Since(began).Seconds()
	b.Log("loaded %d lines, %d MB, in %.1f s (%.0f MB/s): %s", lines, load.Bytes/1e6, took, float64(load.Bytes)/1e6/took, load.Text.Describe())
	return lines, nil
}

// brokerCPU is what the broker has taken so far, 0 when that cannot be seen.
func (b *bench) brokerCPU(ctx context.Context) (time.Duration, error) {
	if b.Broker.CPU == nil {
		return 0, nil
	}
	return b.Broker.CPU(ctx)
}

// rest waits until the broker has nothing to do: it removes the files of topics that were deleted, compiles what it ran, and what that takes is
// not the next program's. A broker whose processor time cannot be seen is not waited for.
func (b *bench) rest(ctx context.Context) error {
	const (
		period   = 2 * removeAfter
		quiet    = period / 20 // of processor time: what Kafka takes for itself is less
		settled  = period / 2  // the same where waking is dear, and while little of Kafka is compiled; who compiles takes a whole one
		settles  = 3 * period  // from then on that is enough
		patience = time.Minute
	)
	if b.Broker.CPU == nil {
		return nil
	}
	began := time.Now()
	before, err := b.brokerCPU(ctx)
	if err != nil {
		return err
	}
	for time.Since(began) < patience {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(period):
		}
		after, err := b.brokerCPU(ctx)
		if err != nil {
			return err
		}
		enough := quiet
		if time.Since(began) >= settles {
			enough = settled
		}
		if after-before < enough {
			return nil
		}
		before = after
	}
	return fmt.Errorf("the broker does not rest: in %v it took more than %v in each %v, and nobody uses it", patience, settled, period)
}

// measure runs a program to its end, and returns what it took and what the broker took meanwhile. It waits until the broker rests.
func (b *bench) measure(ctx context.Context, program string, args ...string) (u Usage, broker time.Duration, err error) {
	if err := b.rest(ctx); err != nil {
		return u, 0, err
	}
	before, err := b.brokerCPU(ctx)
	if err != nil {
		return u, 0, err
	}
	if u, err = b.Programs.run(ctx, program, args...); err != nil {
		return u, 0, err
	}
	after, err := b.brokerCPU(ctx)
	return u, after - before, err
}
