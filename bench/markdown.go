package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"wordcount/bench/loop"
)

// Markdown writes the report for people.
func (r *Report) Markdown(w io.Writer) error {
	m := &markdown{w: w}
	var versions []string
	for name, version := range r.Versions {
		versions = append(versions, name+" "+version)
	}
	slices.Sort(versions)
	m.printf("%s. %d cores, %s. Broker: %s. %s.\n", r.Date.Format(time.RFC3339), r.Cores, r.Machine, r.Broker, strings.Join(versions, ", "))
	for _, d := range r.Drains {
		m.drain(d)
	}
	if len(r.Latencies) > 0 {
		m.latencies(r.Latencies)
	}
	if r.Producing != nil {
		m.producing(r.Producing)
	}
	if r.Printing != nil {
		m.printing(r.Printing)
	}
	if r.Cost != nil {
		m.cost(r.Cost)
	}
	return m.err
}

// markdown keeps the first error of writing.
type markdown struct {
	w   io.Writer
	err error
}

func (m *markdown) printf(format string, args ...any) {
	if m.err == nil {
		_, m.err = fmt.Fprintf(m.w, format, args...)
	}
}

// table begins a table with these columns.
func (m *markdown) table(columns ...string) {
	m.row(columns...)
	m.printf("%s|\n", strings.Repeat("|---", len(columns)))
}

func (m *markdown) row(cells ...string) { m.printf("| %s |\n", strings.Join(cells, " | ")) }

func (m *markdown) drain(d Drain) {
	sum, _ := d.Totals.Sum.MarshalText()
	m.printf("\n### Drain: %s\n\n%s: %d lines, %.2f GB, %d words over %d windows; %d results. Totals equal in all %d runs: %s.\n\n",
		d.Name, d.Text, d.Lines, float64(d.Bytes)/1e9, d.Totals.Words, d.Windows, d.Totals.Rows, len(d.Runs), sum)
	m.warmUp(d.WarmUp)
	m.table("", "wall s", "of tight", "last result s", "CPU s", "of tight", "broker CPU s", "peak MB")
	all := by(d.Runs, func(r DrainRun) string { return r.Program })
	tight := all["tight"]
	for _, program := range Contenders() {
		if runs := all[program]; len(runs) > 0 {
			m.row(program, spread(runs, DrainRun.wall), ratio(runs, tight, DrainRun.wall), spread(runs, DrainRun.last),
				spread(runs, DrainRun.cpu), ratio(runs, tight, DrainRun.cpu), spread(runs, DrainRun.broker), megabytes(runs, DrainRun.peak))
		}
	}
}

func (r DrainRun) wall() float64   { return float64(r.Wall) }
func (r DrainRun) last() float64   { return float64(r.Last) }
func (r DrainRun) cpu() float64    { return float64(r.CPU) }
func (r DrainRun) broker() float64 { return float64(r.BrokerCPU) }
func (r DrainRun) peak() int64     { return r.Peak }

func (m *markdown) latencies(all []Latency) {
	m.printf("\n### Window end to all its counts visible\n\n")
	m.table("", "lines/s counted", "distinct words a window", "windows", "p50 ms", "p99 ms", "max ms", "counter's cores", "broker's cores", "peak MB")
	for _, l := range all {
		m.row(l.Name+": "+l.Text, fmt.Sprintf("%.1f", l.LinesPerSecond), fmt.Sprintf("%.0f", l.DistinctWords), fmt.Sprint(l.Windows),
			milliseconds(l.P50), milliseconds(l.P99), milliseconds(l.Max), fmt.Sprintf("%.2f", l.CPU), fmt.Sprintf("%.2f", l.BrokerCPU),
			fmt.Sprintf("%.0f", float64(l.Peak)/1e6))
	}
}

func milliseconds(s Seconds) string { return fmt.Sprintf("%.0f", s*1e3) }

func (m *markdown) warmUp(rounds int) {
	if rounds > 0 {
		m.printf("Rounds before that did not count: %d.\n\n", rounds)
	}
}

func (m *markdown) producing(p *Producing) {
	m.printf("\n### Producing, acks=all, %d lines of a file\n\n", p.Lines)
	m.warmUp(p.WarmUp)
	m.table("", "million lines/s", "times kafka-go's", "wall s", "CPU s", "broker CPU s", "peak MB")
	all := by(p.Runs, func(r ProducingRun) string { return r.Program })
	for _, program := range []string{loop.KafkaGoWriter, producerProgram} {
		runs := all[program]
		m.row(program, spread(runs, ProducingRun.rate), ratio(runs, all[loop.KafkaGoWriter], ProducingRun.rate),
			spread(runs, ProducingRun.wall), spread(runs, ProducingRun.cpu), spread(runs, ProducingRun.broker), megabytes(runs, ProducingRun.peak))
	}
}

func (r ProducingRun) rate() float64   { return r.LinesPerSecond / 1e6 }
func (r ProducingRun) wall() float64   { return float64(r.Wall) }
func (r ProducingRun) cpu() float64    { return float64(r.CPU) }
func (r ProducingRun) broker() float64 { return float64(r.BrokerCPU) }
func (r ProducingRun) peak() int64     { return r.Peak }

func (m *markdown) printing(p *Printing) {
	m.printf("\n### Printer catching up, %d results\n\n", p.Rows)
	m.table("", "million results/s", "wall s", "CPU s", "peak MB")
	m.row(printerProgram, spread(p.Runs, PrintingRun.rate), spread(p.Runs, PrintingRun.wall), spread(p.Runs, PrintingRun.cpu), megabytes(p.Runs, PrintingRun.peak))
}

func (r PrintingRun) rate() float64 { return r.RowsPerSecond / 1e6 }
func (r PrintingRun) wall() float64 { return float64(r.Wall) }
func (r PrintingRun) cpu() float64  { return float64(r.CPU) }
func (r PrintingRun) peak() int64   { return r.Peak }

func (m *markdown) cost(c *Cost) {
	m.printf("\n### Cost of a line\n\n%s, %.2f GB in each run. Each is compared with the first one right before and behind it, in the mean: the median of the ratios.\n\n", c.Text, float64(c.Bytes)/1e9)
	m.table("partitions", "lines a window", "counters", "CPU ns a line", "of the first", "wall ns a line", "of the first", "broker CPU ns a line", "peak MB of one")
	all := by(c.Runs, func(r CostRun) Shape { return r.Shape })
	cpu, wall := beside(c.Runs, CostRun.cpu), beside(c.Runs, CostRun.wall)
	for _, s := range c.Shapes {
		if runs := all[s]; len(runs) > 0 {
			m.row(fmt.Sprint(s.Partitions), fmt.Sprint(runs[0].Lines/int64(s.Windows)), fmt.Sprint(s.Counters),
				spread(runs, CostRun.cpu), cpu(s), spread(runs, CostRun.wall), wall(s), spread(runs, CostRun.broker), megabytes(runs, CostRun.peak))
		}
	}
}

// beside returns what shows how runs of a shape compare with those of the first one beside them.
func beside(runs []CostRun, of func(CostRun) float64) func(Shape) string {
	ratios := make(map[Shape][]float64)
	for i := 1; i+1 < len(runs); i += 2 {
		ratios[runs[i].Shape] = append(ratios[runs[i].Shape], 2*of(runs[i])/(of(runs[i-1])+of(runs[i+1])))
	}
	return func(s Shape) string {
		if s == runs[0].Shape {
			return "1.00"
		}
		return spread(ratios[s], func(ratio float64) float64 { return ratio })
	}
}

// In nanoseconds a line.
func (r CostRun) cpu() float64    { return r.perLine(r.CPU) }
func (r CostRun) wall() float64   { return r.perLine(r.Wall) }
func (r CostRun) broker() float64 { return r.perLine(r.BrokerCPU) }
func (r CostRun) peak() int64     { return r.Peak }

func (r CostRun) perLine(s Seconds) float64 { return 1e9 * float64(s) / float64(r.Lines) }

// by groups runs by what distinguishes them.
func by[R any, K comparable](runs []R, of func(R) K) map[K][]R {
	all := make(map[K][]R)
	for _, r := range runs {
		all[of(r)] = append(all[of(r)], r)
	}
	return all
}

// spread shows the median, and the least and the most of several runs.
func spread[R any](runs []R, of func(R) float64) string {
	v := values(runs, of)
	if len(v) == 1 {
		return fmt.Sprintf("%.2f", v[0])
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", median(v), v[0], v[len(v)-1])
}

// ratio compares medians; it is empty without anything to compare with.
func ratio[R any](runs, base []R, of func(R) float64) string {
	if len(base) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", median(values(runs, of))/median(values(base, of)))
}

// megabytes shows the most of all runs.
func megabytes[R any](runs []R, of func(R) int64) string {
	var most int64
	for _, r := range runs {
		most = max(most, of(r))
	}
	return fmt.Sprintf("%.0f", float64(most)/1e6)
}

// values are sorted.
func values[R any](runs []R, of func(R) float64) []float64 {
	v := make([]float64, len(runs))
	for i, r := range runs {
		v[i] = of(r)
	}
	slices.Sort(v)
	return v
}

// median of sorted values, at least one.
func median(v []float64) float64 { return (v[(len(v)-1)/2] + v[len(v)/2]) / 2 }
