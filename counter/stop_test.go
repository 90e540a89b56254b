package counter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// tapped is a broker that tells of commits before they happen.
type tapped struct {
	*memoryClient
	before func(id string, outputs []kafkaio.Output, offsets []kafkaio.Offset)
}

func (b tapped) NewTransactional(ctx context.Context, id string, f kafkaio.Footprint) (transactional, error) {
	b.before(fmt.Sprint("begin ", id, f.Writes, f.Group, f.Offsets), nil, nil)
	t, err := b.memoryClient.NewTransactional(ctx, id, f)
	return tappedTransactional{t, id, b.before}, err
}

type tappedTransactional struct {
	transactional
	id     string
	before func(id string, outputs []kafkaio.Output, offsets []kafkaio.Offset)
}

func (t tappedTransactional) Commit(ctx context.Context, in kafkaio.Place, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, error) {
	t.before(t.id, outputs, offsets)
	return t.transactional.Commit(ctx, in, outputs, offsets)
}

// slotAtWork runs the tasks of slot 0 with partition 0 of the lines, and closes over when they have ended.
func slotAtWork(ctx context.Context, p *process) (over chan struct{}) {
	return p.counts(ctx, map[string][]int32{"lines": {0}, "g-shuffle": {0}}, nil)
}

// A counter that is stopped at the worst moment, when the transaction that closes a window has just begun: combine completes
// it, and reduce, which stops later, writes the window. Nothing is left open.
func TestStopOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		ctx, stop := context.WithCancel(t.Context())
		end := p.job.interval.End(p.job.interval.Of(s.kafka.now()))
		var stopped time.Time
		p.job.broker = tapped{p.job.broker.(*memoryClient), func(id string, _ []kafkaio.Output, offsets []kafkaio.Offset) {
			if !strings.Contains(id, stageCombine) || len(offsets) == 0 {
				return
			}
			state, err := wire.ParseCombineState(offsets[0].Metadata)
			if err != nil {
				t.Error(err)
			}
			if state.Watermark >= end && stopped.IsZero() {
				stopped = time.Now()
				stop()
			}
		}}
		over := slotAtWork(ctx, p)
		time.Sleep(time.Second)
		s.lines(0, 3)
		<-over
		if took := time.Since(stopped); took > 500*time.Millisecond {
			t.Errorf("stopping took %v", took)
		}
		time.Sleep(time.Second) // the last markers
		order, windows, err := s.printed()
		if err != nil || len(order) != 1 || windows[order[0]].lines != 3 {
			t.Errorf("windows %v: %v, %v; want one with 3 lines", order, windows, err)
		}
		for topic, logs := range s.kafka.topics {
			for _, l := range logs {
				if len(l.open) > 0 {
					t.Errorf("a transaction is open in %s/%d", topic, l.name.partition)
				}
			}
		}
	})
}

// What the last user of a transactional id left is settled, wherever the id writes and commits, before anything is read.
func TestBeginSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 2, 3)
		var told []string
		p.job.broker = tapped{p.job.broker.(*memoryClient), func(what string, _ []kafkaio.Output, _ []kafkaio.Offset) {
			told = append(told, what)
		}}
		combine, reduce := combineTask{task: p.task(1, 1, 1)}, reduceTask{task: p.task(1, 1, 1)}
		combine.stage, reduce.stage = stageCombine, stageReduce
		if err := combine.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := reduce.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"begin g-g-shuffle-combine-1map[g-shuffle:[0 1 2]]gmap[lines:[1]]",
			"g-g-shuffle-combine-1", "g-g-shuffle-combine-1", // nobody knows yet, and where it starts
			"begin g-g-shuffle-reduce-1map[batches:[1] counts:[1]]gmap[g-shuffle:[1]]",
		}
		if fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("%q, want %q", told, want)
		}
	})
}

// forgetting is a broker that has left out the end of each task's last transaction: the first of its producers to look is told.
type forgetting struct {
	*memoryClient
	begun map[string]int
	mu    *sync.Mutex
}

func (b forgetting) NewTransactional(ctx context.Context, id string, f kafkaio.Footprint) (transactional, error) {
	b.mu.Lock()
	b.begun[id]++
	first := b.begun[id] == 1
	b.mu.Unlock()
	t, err := b.memoryClient.NewTransactional(ctx, id, f)
	if first {
		return unsettled{t}, err
	}
	return t, err
}

type unsettled struct{ transactional }

func (unsettled) Settled(context.Context) error { return errors.New("an end is missing") }

// Where the end of a task's last transaction is missing and nothing is to be done, it starts over without waiting for what comes next: others
// wait to read what it has written.
func TestIdleTasksLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 1, 1)
		b := forgetting{p.job.broker.(*memoryClient), make(map[string]int), new(sync.Mutex)}
		p.job.broker = b
		ctx, stop := context.WithCancel(t.Context())
		over := slotAtWork(ctx, p)
		time.Sleep(2 * time.Second)
		stop()
		<-over
		if want := map[string]int{"g-g-shuffle-combine-0": 2, "g-g-shuffle-reduce-0": 2}; !maps.Equal(b.begun, want) {
			t.Errorf("begun: %v, want %v", b.begun, want)
		}
	})
}

// A slot that goes on where the reduces know it to be commits nothing before it has counted something, once the broker's time
// is known: after a rebalance windows wait for as little as can be.
func TestResumeIsQuiet(t *testing.T) {
	for _, known := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, p := quiet(t, 1, 2)
			for q := range int32(2) {
				s.commit("g-shuffle", q, 0, aReduce)
			}
			s.commit("lines", 0, 0, aLater)
			if known {
				p.job.clock.Observe(s.kafka.now(), time.Now(), time.Now())
			}
			commits := 0
			p.job.broker = tapped{p.job.broker.(*memoryClient), func(_ string, outputs []kafkaio.Output, _ []kafkaio.Offset) {
				if len(outputs) > 0 {
					commits++
				}
			}}
			combine := combineTask{task: p.task(0, 1, 0)}
			combine.stage = stageCombine
			if err := combine.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if quiet := commits == 0; quiet != known {
				t.Errorf("with the broker's time known %t: %d transactions", known, commits)
			}
		})
	}
}

// A transaction that a dead counter left open does not hold up those that stop: nobody can end it before they have.
func TestStopDoesNotWaitForTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		ctx, stop := context.WithCancel(t.Context())
		over := slotAtWork(ctx, p)
		time.Sleep(10 * time.Second)
		s.kafka.mu.Lock()
		l := s.kafka.topics["g-shuffle"][0]
		dead := s.kafka.transaction(&memoryProducer{id: 99})
		dead.add(l)
		var b kafkaio.RecordBatch
		b.Append(0, nil, said(0, aTime, 1))
		s.kafka.append(l, &b, dead, false)
		s.kafka.mu.Unlock()
		began := time.Now()
		stop()
		<-over
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("stopping took %v", took)
		}
	})
}

// Nor do those that stop wait for counters that go on: between their transactions there may never be a moment without one.
func TestStopDoesNotWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 2)
		ctx, stop := context.WithCancel(t.Context())
		over := slotAtWork(ctx, p)
		var began time.Time
		time.AfterFunc(10*time.Second, func() {
			began = time.Now()
			stop()
		})
		l := s.kafka.topics["g-shuffle"][0]
		var open *memoryTransaction
		for n := 0; ; n++ {
			s.kafka.mu.Lock()
			next := s.kafka.transaction(&memoryProducer{id: int64(90 + n)})
			next.add(l)
			var b kafkaio.RecordBatch
			b.Append(0, nil, said(1, aTime+int64(n), 2))
			s.kafka.append(l, &b, next, false)
			if open != nil {
				s.kafka.decide(open, true)
			}
			s.kafka.mu.Unlock()
			open = next
			select {
			case <-over:
				if took := time.Since(began); took > 150*time.Millisecond {
					t.Errorf("stopping took %v", took)
				}
				return
			case <-time.After(30 * time.Millisecond):
			}
		}
	})
}

// A counter without slots waits for the end of its generation.
func TestSpareCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 4, 1)
		ctx, stop := context.WithCancel(t.Context())
		over := p.counts(ctx, nil, nil)
		time.Sleep(time.Hour)
		select {
		case <-over:
			t.Error("left")
		default:
		}
		stop()
		<-over
	})
}

// A partition that was added and not assigned has the counter join again.
func TestPartitionNotAssigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 2)
		ctx, stop := context.WithCancel(t.Context())
		began := time.Now()
		var joined []time.Duration
		over := p.counts(ctx, map[string][]int32{"lines": {0}, "g-shuffle": {0, 1}}, func() {
			if joined = append(joined, time.Since(began)); len(joined) > 1 {
				stop()
			}
		})
		time.Sleep(20 * time.Second)
		s.kafka.grow("lines", 2, false)
		<-over
		if again := joined[1]; again < 20*time.Second || again > 26*time.Second {
			t.Errorf("joined at %v", joined)
		}
	})
}
