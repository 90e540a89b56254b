package counter

import (
	"context"
	"flag"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/wire"
)

// The simulation: counters as they run in production ((*job).count and all below it) against a Kafka in memory, in the time
// of testing/synctest, through schedules drawn from a seed: processes are killed, frozen and restarted in the middle of any
// request, the group rebalances, partitions are idle, lose their leader, are added. Whatever happens, the windows must be
// the oracle's, each once and in order.

var (
	simulations = flag.Int("simulations", 200, "how many random schedules TestSimulation runs")
	simulate    = flag.Uint64("simulate", 0, "run only the schedule of this seed, and print what happens")
)

func TestSimulation(t *testing.T) {
	total := runSchedules(t, *simulations, (*schedule).run)
	if *simulate == 0 && !testing.Short() {
		total.check(t)
	}
}

// TestSimulationAvailableNow: counters with --available-now end, and by then everything that was there when the last of them
// started is in closed windows. What came meanwhile is counted by the next ones.
func TestSimulationAvailableNow(t *testing.T) {
	runSchedules(t, *simulations/4, (*schedule).runAvailableNow)
}

// runSchedules runs n schedules, on all processors.
func runSchedules(t *testing.T, n int, run func(*schedule)) (total outcome) {
	t.Helper()
	name, first := t.Name(), uint64(1)
	if *simulate != 0 {
		first, n = *simulate, 1
	} else if testing.Short() {
		n /= 10
	}
	var mu sync.Mutex
	workers := min(runtime.GOMAXPROCS(0), n)
	started := time.Now()
	t.Run("schedules", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				var sum outcome
				for seed := first + uint64(worker); seed < first+uint64(n); seed += uint64(workers) {
					synctest.Test(t, func(t *testing.T) {
						s := newSchedule(t, seed)
						defer func() {
							if t.Failed() {
								t.Logf("seed %d: go test -run '^%s$' -simulate %d shows what happened", seed, name, seed)
							}
						}()
						run(s)
						sum.add(s.outcome)
					})
				}
				mu.Lock()
				defer mu.Unlock()
				total.add(sum)
			})
		}
	})
	took := time.Since(started)
	t.Logf("%d schedules in %v, %.0f a second: %+v", n, took.Round(time.Millisecond), float64(n)/took.Seconds(), total)
	return total
}

// outcome counts what schedules went through, so that a simulation that exercises nothing is noticed.
type outcome struct {
	lines, late, windows, empty, skipped     int
	kills, freezes, rebalances, added, exact int
	aborted                                  int // lines

	times map[string]int // what else happened how often
}

func (o *outcome) add(p outcome) {
	o.lines, o.late, o.windows, o.empty, o.skipped = o.lines+p.lines, o.late+p.late, o.windows+p.windows, o.empty+p.empty, o.skipped+p.skipped
	o.kills, o.freezes, o.rebalances, o.added, o.exact = o.kills+p.kills, o.freezes+p.freezes, o.rebalances+p.rebalances, o.added+p.added, o.exact+p.exact
	o.aborted += p.aborted
	for what, n := range p.times {
		o.happened(what, n)
	}
}

func (o *outcome) happened(what string, times int) {
	if o.times == nil {
		o.times = make(map[string]int)
	}
	o.times[what] += times
}

func (o *outcome) check(t *testing.T) {
	for name, n := range map[string]int{"lines": o.lines, "late lines": o.late, "windows": o.windows, "empty windows": o.empty,
		"skipped windows": o.skipped, "kills": o.kills, "freezes": o.freezes, "rebalances": o.rebalances, "added partitions": o.added, "exact schedules": o.exact, "aborted lines": o.aborted} {
		if n == 0 {
			t.Errorf("the simulation had no %s", name)
		}
	}
}

// run goes through the schedule and checks what was counted.
func (s *schedule) run() {
	ctx, stopProducing := context.WithCancel(s.t.Context())
	var producing sync.WaitGroup
	producing.Go(func() { s.produce(ctx) })
	if s.random.IntN(2) == 0 { // a backlog
		time.Sleep(time.Duration(s.random.Int64N(int64(20 * s.cfg.BatchInterval))))
	}
	for range 1 + s.random.IntN(3) {
		s.start()
	}
	for range s.random.IntN(8) {
		time.Sleep(time.Duration(s.random.Int64N(int64(4 * s.cfg.BatchInterval))))
		s.event()
	}
	stopProducing()
	producing.Wait()
	s.calm.Store(true)
	s.heal()
	if len(s.living()) == 0 {
		s.start()
	}
	s.finish()
}

// finish waits until everything is counted, stops all, and checks what was printed.
func (s *schedule) finish() {
	s.drain()
	for _, p := range s.processes {
		p.leave()
	}
	for _, p := range s.processes {
		<-p.over
	}
	time.Sleep(time.Second) // the last markers
	if !s.t.Failed() {
		s.check()
	}
}

func (s *schedule) runAvailableNow() {
	s.foreign = false // the oracle has what was decided, also when it is not visible yet
	ctx, stopProducing := context.WithCancel(s.t.Context())
	var producing sync.WaitGroup
	producing.Go(func() { s.produce(ctx) })
	time.Sleep(time.Duration(s.random.Int64N(int64(30 * s.cfg.BatchInterval))))
	if s.random.IntN(2) == 0 {
		stopProducing()
	}
	s.cfg.AvailableNow = true
	var atStart oracle
	start := func() {
		s.kafka.mu.Lock()
		atStart.lines = slices.Clone(s.oracle.lines)
		s.kafka.mu.Unlock()
		s.start()
	}
	start()
	for range s.random.IntN(3) {
		time.Sleep(time.Duration(s.random.Int64N(int64(3 * s.cfg.BatchInterval))))
		start()
	}
	began := time.Now()
	for deadline := began.Add(5 * time.Minute); ; {
		s.calm.Store(time.Since(began) > 20*s.cfg.BatchInterval+2*s.session)
		for len(s.dead()) > 0 {
			start()
		}
		if len(s.living()) == 0 {
			break
		}
		time.Sleep(s.session)
		if time.Now().After(deadline) {
			s.t.Errorf("stuck: closed until %d of %v", s.closed(), s.oracle.newest)
			for _, p := range s.processes {
				p.leave()
			}
		}
	}
	for _, p := range s.processes {
		<-p.over
	}
	time.Sleep(time.Second) // the last markers
	if s.t.Failed() {
		stopProducing()
		producing.Wait()
		return
	}
	_, got, err := s.printed()
	if err != nil {
		s.t.Error(err)
	}
	counted, want := sum(got), sum(atStart.windows(s.cfg.interval()))
	for word, n := range want.words {
		if counted.words[word] < n {
			s.t.Errorf("%q was counted %d times, was there %d times", word, counted.words[word], n)
		}
	}
	stopProducing()
	producing.Wait()
	s.cfg.AvailableNow = false
	s.calm.Store(true)
	s.start()
	s.finish()
}

// drain waits until every line is counted, and then until every window that may have one is closed.
func (s *schedule) drain() {
	until := int64(math.MaxInt64)
	for deadline := time.Now().Add(5 * time.Minute); ; {
		if until == math.MaxInt64 && s.counted() {
			until = s.cfg.interval().End(s.cfg.interval().Of(max(s.kafka.now(), s.oracle.newest)))
		}
		time.Sleep(min(time.Second, s.cfg.BatchInterval))
		closed := s.closed()
		if closed >= until {
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("stuck: closed until %d, lines until %d, broker's time %d", closed, until, s.kafka.now())
			return
		}
	}
}

// counted tells whether the committed offsets are at the ends of all lines partitions.
func (s *schedule) counted() bool {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	for _, l := range s.kafka.topics["lines"] {
		if s.kafka.offsets[l.name].Offset < l.end() {
			return false
		}
	}
	return true
}

// closed returns the least time up to which the reduces have committed.
func (s *schedule) closed() int64 {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	var least []int64
	for q := range s.partitions {
		state, err := wire.ParseReduceState(s.kafka.offsets[topicPartition{"g-shuffle", int32(q)}].Metadata)
		if err != nil {
			return -1
		}
		least = append(least, state.Closed)
	}
	return slices.Min(least)
}
