package counter

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"wordcount/internal/kafkaio"
)

// The protocol of combine and reduce, watermarks and recovery, as it is in production, through thousands of short schedules a
// second: one goroutine calls the tasks' methods in an order drawn from a seed, on a broker that answers at once. Tasks die
// before, in and after their transactions, are replaced, wake up again with a successor. What the simulation has beyond that:
// processes with their goroutines and timers, rebalances, frozen requests, partitions that are added or have no leader.

var stages = []string{stageCombine, stageReduce}

var scripts = flag.Int("scripts", 3000, "how many random schedules TestProtocol runs")

func TestProtocol(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // what a schedule leaves behind is garbage soon
	metrics := newMetrics(nil)
	total := runSchedules(t, *scripts, func(s *schedule) { newScript(s, metrics).run() })
	if *simulate != 0 || testing.Short() {
		return
	}
	times := maps.Clone(total.times)
	times["lines"], times["late lines"], times["lines of aborted transactions"] = total.lines, total.late, total.aborted
	times["windows"], times["empty windows"], times["skipped windows"], times["exact schedules"] = total.windows, total.empty, total.skipped, total.exact
	expected := []string{"lines", "late lines", "lines of aborted transactions", "windows", "empty windows", "skipped windows", "exact schedules",
		"stopped", "went on in the next generation", "refused by generation", "fenced zombies", "refused zombies", "misled zombies", "fenced by a zombie", "fenced after a minute"}
	for _, place := range places {
		expected = append(expected, "dies "+place, "fails "+place, "overtaken "+place)
	}
	for _, what := range expected {
		if times[what] == 0 {
			t.Errorf("the schedules had none of %q", what)
		}
	}
}

func newScript(s *schedule, metrics *metrics) *script {
	s.partitions = 1 + s.random.IntN(3)
	s.topics(1 + s.random.IntN(3))
	p := &script{
		schedule: s, metrics: metrics, usurped: make(map[string]bool), expired: make(map[string]bool),
		tasks: map[string][]*scripted{stageCombine: make([]*scripted, s.partitions), stageReduce: make([]*scripted, s.partitions)},
		seen:  make(map[topicPartition]kafkaio.Offset),
	}
	s.kafka.later = func(at string, write func()) { p.markers = append(p.markers, marker{at, write}) }
	s.kafka.timeout = func(abort func()) { p.timeouts = append(p.timeouts, abort) }
	return p
}

// run goes through the schedule, brings everything to rest and checks what was counted.
func (s *script) run() {
	for range 20 + s.random.IntN(20) {
		s.step()
		if s.t.Failed() {
			return
		}
	}
	if s.rest(); s.t.Failed() {
		return
	}
	s.checkLines(s.check())
	s.checkShuffle()
}

// step is one event.
func (s *script) step() {
	r := s.random
	slot := int32(r.IntN(s.partitions))
	switch n := r.IntN(100); {
	case n < 20:
		s.append(int32(r.IntN(len(s.kafka.topics["lines"]))))
	case n < 32:
		s.pass(time.Duration(r.Int64N(int64(s.cfg.BatchInterval))))
	case n < 34:
		s.pass(time.Duration(r.Int64N(int64(8 * s.cfg.BatchInterval))))
	case n == 34:
		s.setClock()
	case n < 40:
		if len(s.undecided) > 0 {
			i := r.IntN(len(s.undecided))
			s.undecided[i]()
			s.undecided = slices.Delete(s.undecided, i, i+1)
		}
	case n < 48:
		if len(s.markers) > 0 {
			s.deliver()
		}
	case n == 48:
		s.expire()
	case n == 49: // the group has another generation: tasks are refused until their counters are in it
		s.kafka.generation++
		for _, stage := range stages {
			for _, t := range s.tasks[stage] {
				if t != nil && r.IntN(2) == 0 {
					t.move()
					s.outcome.happened("went on in the next generation", 1)
				}
			}
		}
	case n < 53: // somebody who does not know better goes on
		if len(s.zombies) > 0 {
			s.wake(s.zombies[r.IntN(len(s.zombies))])
		}
	case n < 56: // a successor, of one that is frozen perhaps
		s.begin(stages[r.IntN(2)], slot, true)
	case n < 58:
		if t := s.tasks[stages[r.IntN(2)]][slot]; t != nil {
			s.stop(t)
		}
	case n < 82:
		s.read(stageCombine, slot, r.IntN(3) == 0)
	default:
		s.read(stageReduce, slot, r.IntN(3) > 0)
	}
}

// pass lets time pass.
func (s *script) pass(d time.Duration) {
	s.trace("%v pass", d)
	time.Sleep(d)
}

// setClock sets the broker's clock.
func (s *script) setClock() {
	d := time.Duration(s.random.Int64N(int64(4*s.cfg.BatchInterval))) - 2*s.cfg.BatchInterval
	s.trace("the broker's clock is set by %v", d)
	s.brokerClock += d
	s.setBack = s.setBack || d < 0
}

// read has a slot's task read what a fetch finds, and commit if it is time to, or without need; if nobody has the slot, somebody
// takes it.
func (s *script) read(stage string, slot int32, commit bool) {
	t := s.tasks[stage][slot]
	if t == nil {
		s.begin(stage, slot, !s.calm.Load())
		return
	}
	if !s.calm.Load() {
		t.endanger()
	}
	t.do(func() error { return t.advance(commit) })
}

// advance is one turn of the loops in run.
func (t *scripted) advance(commit bool) error {
	ctx := context.Background()
	if t.reduce != nil {
		for more := true; more; {
			f, err := t.reduce.read(ctx, 0)
			if err != nil {
				return err
			}
			more = t.calm.Load() && f != nil && f.Position() < f.LastStable
		}
		switch {
		case commit:
			return t.reduce.close(ctx)
		case t.reduce.reducer.Started() && t.prepares(t.reduce.prepared):
			return t.reduce.prepareNext(ctx)
		}
		return nil
	}
	ahead, err := t.combine.ahead(ctx)
	if err != nil || ahead {
		return err
	}
	for useful := true; useful; useful = useful && t.calm.Load() && t.combine.behind() {
		if useful, err = t.combine.read(ctx, 0); err != nil {
			return err
		}
	}
	if commit || t.combine.flushNow() {
		return t.combine.flush(ctx)
	}
	if t.prepares(t.combine.prepared) {
		return t.combine.prepareNext(ctx)
	}
	return nil
}

// prepares tells whether a task prepares its next transaction, at any moment.
func (t *scripted) prepares(prepared time.Time) bool {
	return prepared.IsZero() && !t.calm.Load() && t.random.IntN(3) == 0
}

// wake has a task go on that has a successor.
func (s *script) wake(zombie *scripted) {
	s.trace("%s wakes", zombie)
	zombie.do(func() error { return zombie.advance(true) })
}

// stop ends a task as a counter that leaves does.
func (s *script) stop(t *scripted) {
	t.endanger()
	t.do(func() error {
		s.trace("%s stops", t)
		ctx := context.Background()
		if t.combine != nil {
			return t.combine.stop(ctx)
		}
		return t.reduce.stop(ctx)
	})
	if s.tasks[t.stage][t.slot] == t {
		s.tasks[t.stage][t.slot] = nil
		s.outcome.happened("stopped", 1)
	}
}

// append writes some lines, each with a word that no other has.
func (s *script) append(partition int32) {
	r, now := s.random, s.kafka.now()
	var batch kafkaio.RecordBatch
	var lines []oracleLine
	for range 1 + r.IntN(3) {
		s.outcome.lines++
		text, at := fmt.Sprintf("#%d w%d w%d", s.outcome.lines, r.IntN(5), r.IntN(5)), now
		if s.createTime {
			at -= r.Int64N(s.disorder.Milliseconds() + 1)
		}
		batch.Append(at, nil, []byte(text))
		lines = append(lines, oracleLine{at, text})
	}
	l := s.kafka.topics["lines"][partition]
	s.trace("lines/%d gets %v", partition, lines)
	// A producer with transactions, once the counters have started: where they start they see what is visible.
	if started := s.kafka.offsets[topicPartition{"g-shuffle", 0}]; started.Metadata == "" || !s.foreign || r.IntN(3) > 0 {
		s.kafka.append(l, &batch, nil, false)
		s.oracle.add(lines...)
		return
	}
	s.kafka.producerID++
	t := s.kafka.transaction(&memoryProducer{id: s.kafka.producerID})
	t.add(l)
	s.kafka.append(l, &batch, t, false)
	commit := r.IntN(3) > 0
	s.undecided = append(s.undecided, func() {
		if t.decided { // it has timed out
			s.outcome.aborted += len(lines)
			return
		}
		s.kafka.decide(t, commit)
		if commit {
			s.oracle.add(lines...)
		} else {
			s.outcome.aborted += len(lines)
		}
	})
}

// rest lets the schedule come to its end: everything is read and closed, nothing goes wrong any more but that zombies wake.
func (s *script) rest() {
	s.calm.Store(true)
	for _, decide := range s.undecided {
		decide()
	}
	s.pass(s.cfg.Grace)
	until := int64(math.MaxInt64)
	for round := 0; s.closed() < until; round++ {
		if round == 200 {
			s.t.Errorf("stuck: closed until %d, lines until %d, broker's time %d", s.closed(), until, s.kafka.now())
		}
		if s.t.Failed() {
			return
		}
		s.pass(s.cfg.BatchInterval)
		for _, stage := range stages {
			for slot := range int32(s.partitions) {
				s.read(stage, slot, stage == stageReduce) // a combine when its policy says so
			}
			for len(s.markers) > 0 {
				s.deliver()
			}
			s.expire()
		}
		if s.counted() {
			until = s.until()
		}
	}
	for _, zombie := range slices.Clone(s.zombies) {
		s.wake(zombie)
	}
}

// until returns the end of the newest window in which lines were counted.
func (s *script) until() int64 {
	var offsets []kafkaio.Offset
	for p := range s.kafka.topics["lines"] {
		offsets = append(offsets, s.kafka.offsets[topicPartition{"lines", int32(p)}])
	}
	until, err := linesUntil(offsets)
	if err != nil {
		s.t.Error(err)
	}
	return until
}
