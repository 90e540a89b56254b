package soak

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wordcount/e2e"
)

const (
	interval = time.Second
	grace    = 250 * time.Millisecond
	// A window is overdue when it cannot be seen so long after its end.
	allowed = grace + time.Second
	// So long a fault and the end take, about.
	reserve = 25 * time.Second
	// Everything must be well again so soon: a window that hangs is a failure, whatever the goals are.
	patience = 90 * time.Second
	// After a fault that made windows overdue none must be so long before the next fault: a broker that has just started stumbles on.
	calm = 5 * time.Second
)

// run is a soak under way.
type run struct {
	*testing.T
	crew       *Crew
	observer   *Observer
	recoveries Recoveries
	late       atomic.Pointer[time.Time] // when a window was overdue last
	slowest    atomic.Int64              // ns from a window's end until it was seen, at most, in this round
}

func TestSoak(t *testing.T) {
	if os.Getenv("SOAK") == "" {
		t.Skip("make soak runs it")
	}
	started := time.Now()
	settings, err := SettingsFrom(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("SOAK_SCHEDULE=%s SOAK_SEED=%d SOAK_BROKERS=%d SOAK_RATE=%.0f", settings.Schedule, settings.Seed, settings.Brokers, settings.Rate)
	e2e.UseLocalEngine()
	if err := e2e.DockerAnswers(t.Context()); err != nil {
		t.Fatalf("no Docker engine answers: %v", err)
	}
	cluster, err := StartCluster(t.Context(), settings.Brokers, seats, "")
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			logs, err := cluster.SaveLogs(ctx)
			cancel()
			t.Logf("what the brokers said: %v (%v)", logs, err)
		}
		if err := cluster.Close(); err != nil {
			t.Logf("remove the brokers: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}

	topics := Topics{Lines: "lines", Shuffle: "soak-shuffle", Counts: "word-counts", Batches: "batches"}
	expected := NewExpected(interval)
	ledger := NewLedger(interval, 4)
	ledger.Printed = expected.Add
	observer, err := Observe(strings.Split(cluster.Direct, ","), topics, ledger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(observer.Close)
	r := &run{T: t, observer: observer, recoveries: make(Recoveries), crew: &Crew{t: t, cluster: cluster,
		programs: e2e.NewPrograms(t.TempDir()), topics: topics, settings: settings, interval: interval, expected: expected}}
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	go r.watch(watching)
	r.crew.Board()
	r.settle(time.Now(), "the start")

	began := time.Now()
	faults := make(map[Kind]int)
	for i, round := range Schedule(settings.Schedule, settings.Seed, settings.Brokers) {
		if settings.Duration > 0 && time.Since(started)+reserve > settings.Duration {
			break
		}
		r.wait(round.Before)
		for _, f := range round.Faults {
			faults[f.Kind]++
		}
		r.round(i, round)
	}
	lasted := time.Since(began)
	r.end()

	table, missed := r.recoveries.Table()
	observer.Ledger(func(l *Ledger) {
		rate := float64(l.Lines) / lasted.Seconds()
		if least := min(50_000, settings.Rate*5/6); settings.Schedule == Everything && rate < least { // the brokers are away for a part of the time
			missed = append(missed, fmt.Sprintf("%.0f lines a second, goal %.0f", rate, least))
		}
		t.Logf("%v in %v, %d brokers, seed %d\n%d lines (%.0f a second), %d words, %d windows (%d empty), %d late lines\nlost %d, doubled %d, torn %d\n%s",
			faults, lasted.Round(time.Second), settings.Brokers, settings.Seed,
			l.Lines, rate, l.Words, l.Windows, l.Empty, l.Late, l.Lost, l.Doubled, l.Torn, table)
	})
	for _, goal := range missed {
		t.Log("GOAL MISSED: " + goal)
	}
}

// watch looks at the clock.
func (r *run) watch(ctx context.Context) {
	for ctx.Err() == nil {
		complete, _ := r.observer.Complete()
		now := time.Now()
		waited := now.Sub(complete) - interval // for the next window
		if waited > allowed {
			r.late.Store(&now)
		}
		if !complete.IsZero() { // else there was none before
			r.slowest.Store(max(r.slowest.Load(), int64(waited)))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// wait lets time pass while all is well.
func (r *run) wait(d time.Duration) {
	r.Helper()
	for late := time.Now().Add(d); time.Now().Before(late); time.Sleep(min(20*time.Millisecond, time.Until(late))) {
		r.check()
	}
}

// round breaks something, mends it, and waits until nothing is overdue.
func (r *run) round(i int, round Round) {
	r.Helper()
	for _, f := range round.Faults {
		if f.broker() {
			end := time.Now().Truncate(interval).Add(interval)
			r.wait(time.Until(end.Add(f.After)))
		}
	}
	began := time.Now()
	for _, f := range round.Faults {
		r.Logf("%4d %s", i, f)
		r.crew.Begin(f)
	}
	for left := round.Faults; len(left) > 0; {
		soonest := 0
		for n, f := range left {
			if f.Length < left[soonest].Length {
				soonest = n
			}
		}
		f := left[soonest]
		left = append(left[:soonest:soonest], left[soonest+1:]...)
		r.wait(time.Until(began.Add(f.Length)))
		r.crew.End(f)
	}
	recovery := r.settle(began, round.What())
	r.recoveries[round.What()] = append(r.recoveries[round.What()], recovery)
}

// settle waits until no window has been overdue for a while, nor can become so by what was done until now, and returns how long after
// its begin the last was. What the next fault does is then its own.
func (r *run) settle(began time.Time, what string) (recovery time.Duration) {
	r.Helper()
	defer r.slowest.Store(0)
	for from := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		r.check()
		late, now := r.late.Load(), time.Now()
		switch overdue := late != nil && now.Sub(*late) < calm; {
		case overdue && now.Sub(from) > patience:
			complete, _ := r.observer.Complete()
			r.Fatalf("%v after %s: no window is complete that ends later than %v; last trouble in reading: %v", now.Sub(from).Round(time.Second), what, complete, r.observer.Trouble())
		case !overdue && now.Sub(from) > interval+allowed+500*time.Millisecond:
			if late != nil {
				recovery = max(0, late.Sub(began))
			}
			r.Logf("     %s: recovery %.1f s, slowest window %.2f s", what, recovery.Seconds(), time.Duration(r.slowest.Load()).Seconds())
			return recovery
		}
	}
}

// check ends the test when something is wrong already.
func (r *run) check() {
	r.Helper()
	if _, err := r.observer.Complete(); err != nil {
		r.Fatalf("wrong on the topics:\n%v", err)
	}
	r.crew.Alive()
}

// end lets everything come to rest, and compares all of it.
func (r *run) end() {
	r.Helper()
	r.crew.StopProducers()
	r.settle(time.Now(), "the producers' end")
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	if err := r.observer.CatchUp(ctx); err != nil {
		r.Fatal(err)
	}
	for seat := range seats { // counters first, so that the printers see the last batch
		if Role(seat) == "counter" && r.crew.sitting[seat] != nil {
			r.crew.sitting[seat].Stop()
			r.crew.sitting[seat] = nil
		}
	}
	open, err := r.observer.Open(ctx)
	if err != nil {
		r.Error(err)
	}
	if len(open) > 0 {
		r.Errorf("open transactions at the end:\n%s", strings.Join(open, "\n"))
	}
	if err := r.observer.CatchUp(ctx); err != nil {
		r.Fatal(err)
	}
	var last time.Time
	r.observer.Ledger(func(l *Ledger) {
		last = l.Complete()
		l.Compare(true)
		for _, p := range r.crew.published {
			acknowledged, err := p.acknowledged.Lines()
			if err != nil {
				r.Error(err)
			}
			l.Published(p.Number, acknowledged, p.Sent())
		}
		if err := l.Problems(); err != nil {
			r.Errorf("lost %d, doubled %d, torn %d:\n%v", l.Lost, l.Doubled, l.Torn, err)
		}
	})
	r.printers(last)
}

// printers demands that those that still run show the last window, that one who comes now and begins at the beginning shows all,
// and that none of all that ever ran showed anything but the windows as they are, in order, once.
func (r *run) printers(last time.Time) {
	r.Helper()
	all := r.crew.expected.Printer("a printer from the beginning")
	fresh := r.crew.programs.StartTo(r.T, nil, all, "consumer-printer", "--brokers", r.crew.cluster.Direct, "--counts-topic", r.crew.topics.Counts,
		"--batches-topic", r.crew.topics.Batches, "--metrics-addr", "", "--format", "json", "--num", "0", "--from-beginning", "--http", "")
	for _, p := range append(r.crew.Screens(), all) {
		for late := time.Now().Add(2 * time.Minute); p.Last() < last.UnixMilli(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(late) || !fresh.Running() {
				r.Fatalf("%s came to the window that ends %d of %d", p.Name, p.Last(), last.UnixMilli())
			}
		}
	}
	fresh.Stop()
	r.crew.StopOthers()
	windows := 0
	for _, p := range append(r.crew.shown, all) {
		n, err := p.Check()
		if err != nil {
			r.Error(err)
		}
		windows += n
	}
	shown, _ := all.Check()
	r.observer.Ledger(func(l *Ledger) {
		if int64(shown) != l.Windows {
			r.Errorf("a printer from the beginning showed %d windows of %d", shown, l.Windows)
		}
	})
	r.Logf("%d printers showed %d windows in all", len(r.crew.shown)+1, windows)
}
