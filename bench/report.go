package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Seconds is a duration as reports show it.
type Seconds float64

func seconds(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Report is what was measured, where and when.
type Report struct {
	Date     time.Time         `json:"date"`
	Machine  string            `json:"machine"`
	Cores    int               `json:"cores"`
	Broker   string            `json:"broker"`
	Versions map[string]string `json:"versions"`
	Drains   []Drain           `json:"drains,omitempty"`
}

func newReport(ctx context.Context, cfg Config) (*Report, error) {
	kafka, err := cfg.Broker.version(ctx)
	if err != nil {
		return nil, err
	}
	r := &Report{
		Date:     time.Now().UTC().Truncate(time.Second),
		Machine:  machine(),
		Cores:    runtime.NumCPU(),
		Broker:   cfg.Broker.Describe,
		Versions: map[string]string{"Kafka": kafka, "Go": runtime.Version()},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/segmentio/kafka-go", "github.com/twmb/franz-go":
				r.Versions[d.Path[strings.LastIndexByte(d.Path, '/')+1:]] = d.Version
			}
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				r.Versions["wordcount"] = s.Value
			}
		}
	}
	return r, nil
}

// machine names the processor and the memory, where Linux says what they are.
func machine() string {
	words := []string{runtime.GOOS + "/" + runtime.GOARCH}
	if cpu := procField("/proc/cpuinfo", "model name"); cpu != "" {
		words = append(words, cpu)
	}
	var kB int64
	if _, err := fmt.Sscanf(procField("/proc/meminfo", "MemTotal"), "%d kB", &kB); err == nil {
		words = append(words, fmt.Sprintf("%d GiB of memory", (kB+1<<19)>>20))
	}
	return strings.Join(words, ", ")
}

// procField returns the first value of a field, "" when there is none.
func procField(file, field string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

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
	return m.err
}

type markdown struct {
	w   io.Writer
	err error
}

func (m *markdown) printf(format string, args ...any) {
	if m.err == nil {
		_, m.err = fmt.Fprintf(m.w, format, args...)
	}
}

func (m *markdown) drain(d Drain) {
	m.printf("\n### Drain: %s\n\n%s: %d lines, %.2f GB, %d words over %d windows; %d results. Totals equal in all %d runs: %x.\n\n",
		d.Name, d.Text, d.Lines, float64(d.Bytes)/1e9, d.Totals.Words, d.Windows, d.Totals.Rows, len(d.Runs), d.Totals.Sum)
	m.printf("| | wall s | of tight | last result s | CPU s | of tight | broker CPU s | peak MB |\n|---|---|---|---|---|---|---|---|\n")
	base := d.of("tight")
	for _, program := range Contenders() {
		runs := d.of(program)
		if len(runs) == 0 {
			continue
		}
		m.printf("| %s | %s | %s | %s | %s | %s | %s | %.0f |\n", program, spread(runs, wall), ratio(runs, base, wall), spread(runs, last),
			spread(runs, cpu), ratio(runs, base, cpu), spread(runs, brokerCPU), float64(peak(runs))/1e6)
	}
}

func (d *Drain) of(program string) (runs []DrainRun) {
	for _, run := range d.Runs {
		if run.Program == program {
			runs = append(runs, run)
		}
	}
	return runs
}

func wall(r DrainRun) Seconds      { return r.Wall }
func last(r DrainRun) Seconds      { return r.Last }
func cpu(r DrainRun) Seconds       { return r.CPU }
func brokerCPU(r DrainRun) Seconds { return r.BrokerCPU }

func peak(runs []DrainRun) (most int64) {
	for _, r := range runs {
		most = max(most, r.Peak)
	}
	return most
}

// spread shows the median, and the least and the most of several runs.
func spread(runs []DrainRun, of func(DrainRun) Seconds) string {
	v := values(runs, of)
	if len(v) == 1 {
		return fmt.Sprintf("%.1f", v[0])
	}
	return fmt.Sprintf("%.1f (%.1f–%.1f)", median(v), v[0], v[len(v)-1])
}

// ratio compares medians.
func ratio(runs, base []DrainRun, of func(DrainRun) Seconds) string {
	if len(base) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", median(values(runs, of))/median(values(base, of)))
}

func values(runs []DrainRun, of func(DrainRun) Seconds) (v []Seconds) {
	for _, r := range runs {
		v = append(v, of(r))
	}
	slices.Sort(v)
	return v
}

// median of sorted values.
func median(v []Seconds) Seconds { return (v[(len(v)-1)/2] + v[len(v)/2]) / 2 }
