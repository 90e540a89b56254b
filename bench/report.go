package bench

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
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

	Drains    []Drain    `json:"drains,omitempty"`
	Latencies []Latency  `json:"latencies,omitempty"`
	Producing *Producing `json:"producing,omitempty"`
	Printing  *Printing  `json:"printing,omitempty"`
	Cost      *Cost      `json:"cost,omitempty"`
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
		Versions: map[string]string{"Kafka": kafka},
	}
	maps.Copy(r.Versions, cfg.Programs.Versions)
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
