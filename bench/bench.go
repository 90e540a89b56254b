package bench

import (
	"context"
	"fmt"
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

	English    text.Text
	Wide       func() text.Text // made when it is needed: a large vocabulary takes a while
	Seed       uint64
	Bytes      int64 // of the lines that are drained
	Windows    int   // that they are spread over
	Interval   time.Duration
	Rounds     int
	Contenders []string // of Contenders
	Log        func(format string, args ...any)
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
	{"english", (*bench).english},
	{"wide", (*bench).wide},
}

// bench is a run under way.
type bench struct {
	Config
	topics int // that got a name
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
	b.topics++
	return fmt.Sprintf("bench-%s-%d-%d", kind, time.Now().UnixMilli(), b.topics)
}

// brokers is the value of --brokers.
func (b *bench) brokers() string { return strings.Join(b.Broker.Addresses, ",") }
