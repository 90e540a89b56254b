package counter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/kafkaio"
)

// sent is what a task asked of its producer, or of its broker.
type sent struct {
	at      time.Time
	what    string // prepare, commit or delete
	stage   string
	batches int
	offsets []kafkaio.Offset
}

// noting is a broker that notes what is prepared and committed, and when.
type noting struct {
	*memoryClient
	mu       *sync.Mutex
	all      *[]sent
	polls    *atomic.Int64 // for lines
	settled  *atomic.Int64 // how often a combine has looked how its last transaction ended
	refuses  error         // what Prepare returns
	declines bool          // Prepare returns false
}

func noted(p *process) (b noting) {
	b = noting{memoryClient: p.job.broker.(*memoryClient), mu: new(sync.Mutex), all: new([]sent), polls: new(atomic.Int64), settled: new(atomic.Int64)}
	p.job.broker = b
	return b
}

func (b noting) NewTransactional(ctx context.Context, id string, f kafkaio.Footprint) (transactional, error) {
	t, err := b.memoryClient.NewTransactional(ctx, id, f)
	stage := stageReduce
	if strings.Contains(id, stageCombine) {
		stage = stageCombine
	}
	return notingTransactional{t, b, stage}, err
}

func (b noting) NewReader(positions []kafkaio.Position) reader {
	r := b.memoryClient.NewReader(positions)
	if len(positions) == 0 || positions[0].Topic != "lines" {
		return r
	}
	return countingReader{r, b.polls}
}

func (b noting) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	defer b.note("delete", stageReduce, nil, []kafkaio.Offset{{Topic: topic, Partition: partition, Offset: before}})
	return b.memoryClient.DeleteRecords(ctx, topic, partition, before)
}

func (b noting) note(what, stage string, outputs []kafkaio.Output, offsets []kafkaio.Offset) {
	batches := 0
	for _, o := range outputs {
		batches += len(o.Batches)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	*b.all = append(*b.all, sent{time.Now(), what, stage, batches, slices.Clone(offsets)})
}

type notingTransactional struct {
	transactional
	noting
	stage string
}

func (t notingTransactional) Prepare(ctx context.Context, in kafkaio.Place, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, bool, error) {
	t.note("prepare", t.stage, outputs, offsets)
	if t.refuses != nil || t.declines {
		return nil, false, t.refuses
	}
	return t.transactional.Prepare(ctx, in, outputs, offsets)
}

func (t notingTransactional) Settled(ctx context.Context) error {
	if t.stage == stageCombine {
		t.settled.Add(1)
	}
	return t.transactional.Settled(ctx)
}

func (t notingTransactional) Commit(ctx context.Context, in kafkaio.Place, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, error) {
	t.note("commit", t.stage, outputs, offsets)
	return t.transactional.Commit(ctx, in, outputs, offsets)
}

// since returns what a stage's task has prepared and committed since then.
func (b noting) since(from time.Time, stage string) []sent {
	return b.those(func(one sent) bool { return one.stage == stage && one.what != "delete" && !one.at.Before(from) })
}

func (b noting) those(wanted func(sent) bool) (some []sent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range *b.all {
		if wanted(one) {
			some = append(some, one)
		}
	}
	return some
}

// pair returns the first two things that a stage's task has sent since then, which must be a prepare and a commit, and what it has sent after them.
func (b noting) pair(t *testing.T, from time.Time, stage string) (prepared, committed sent, further []sent) {
	t.Helper()
	some := b.since(from, stage)
	if len(some) < 2 || some[0].what != "prepare" || some[1].what != "commit" || len(some[1].offsets) == 0 {
		t.Fatalf("%s: %v", stage, some)
	}
	return some[0], some[1], some[2:]
}

// untilEnd returns how long it is until the window ends.
func (p *process) untilEnd() time.Duration {
	now := p.schedule.kafka.now()
	return time.Duration(p.job.interval.End(p.job.interval.Of(now))-now) * time.Millisecond
}

// toEnd waits until the window ends, and returns when that was.
func (p *process) toEnd() time.Time {
	time.Sleep(p.untilEnd())
	return time.Now()
}

// whileAtWork calls do, at the end of a window of that length, while one slot is counted with one partition of the lines.
func whileAtWork(t *testing.T, interval time.Duration, do func(t *testing.T, s *schedule, p *process, b noting)) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		p.job.cfg.BatchInterval = interval
		p.job.interval = p.job.cfg.interval()
		b := noted(p)
		ctx, stop := context.WithCancel(t.Context())
		over := slotAtWork(ctx, p)
		defer func() {
			stop()
			<-over
		}()
		p.toEnd()
		do(t, s, p, b)
	})
}

// preparedAt is when a stage prepares the transaction in which a window closes, after its end: a combine a tenth of a second before the broker's clock
// lets it close, a reduce a grace earlier.
var preparedAt = map[string]time.Duration{stageCombine: 150 * time.Millisecond, stageReduce: -100 * time.Millisecond}

// A transaction that the broker's clock will let close a window is prepared before, and with the very offsets that are committed then: nothing but
// the reduces' records is left to send.
func TestPrepared(t *testing.T) {
	whileAtWork(t, 5*time.Second, func(t *testing.T, s *schedule, p *process, b noting) {
		for window, test := range []struct {
			lines int
			again map[string]bool // stages that commit other offsets than they have prepared
		}{
			{1, map[string]bool{stageReduce: true}}, // lines behind a window without
			{2, nil},
			{1, nil},
			{0, map[string]bool{stageReduce: true}}, // and a window without behind lines
			{0, nil},
		} {
			time.Sleep(time.Second)
			s.lines(0, test.lines)
			end := p.toEnd()
			time.Sleep(2 * time.Second)
			for _, stage := range []string{stageCombine, stageReduce} {
				prepared, committed, further := b.pair(t, end.Add(preparedAt[stage]), stage)
				if len(further) > 0 {
					t.Fatalf("window %d, %s: %v", window, stage, further)
				}
				if at := prepared.at.Sub(end); at > preparedAt[stage]+70*time.Millisecond {
					t.Errorf("window %d, %s: prepared %v after the window's end", window, stage, at)
				}
				if at := committed.at.Sub(end); at < 250*time.Millisecond || at > 350*time.Millisecond {
					t.Errorf("window %d, %s: committed %v after the window's end", window, stage, at)
				}
				if combines := stage == stageCombine; (prepared.batches > 0) != combines || (committed.batches > 0) == combines {
					t.Errorf("window %d, %s: %d batches prepared, then %d", window, stage, prepared.batches, committed.batches)
				}
				if same := slices.Equal(prepared.offsets, committed.offsets); same == test.again[stage] || len(committed.offsets) != 1 ||
					!same && committed.offsets[0].Offset <= prepared.offsets[0].Offset {
					t.Errorf("window %d, %s: prepared %v, committed %v", window, stage, prepared.offsets, committed.offsets)
				}
			}
		}
	})
}

// Where lines of the next window close one, the reduce has prepared before, and has as little left to send.
func TestPreparedWhenLinesCloseAWindow(t *testing.T) {
	whileAtWork(t, 5*time.Second, func(t *testing.T, s *schedule, p *process, b noting) {
		for window := range 3 {
			time.Sleep(time.Second)
			s.lines(0, 2)
			end := p.toEnd()
			time.Sleep(10 * time.Millisecond)
			s.lines(0, 1)
			time.Sleep(2 * time.Second)
			if window == 0 {
				continue // it follows one without lines
			}
			prepared, committed, further := b.pair(t, end.Add(preparedAt[stageReduce]), stageReduce)
			if prepared.at.After(end) || committed.at.Sub(end) >= p.job.cfg.Grace || !slices.Equal(prepared.offsets, committed.offsets) || len(further) > 0 {
				t.Errorf("window %d, end %v: prepared %+v, committed %+v, then %v", window, end, prepared, committed, further)
			}
		}
	})
}

// Lines that come all the time are read from time to time, without a fetch for each; but the one that closes a window as soon as it comes.
func TestRest(t *testing.T) {
	whileAtWork(t, 5*time.Second, func(t *testing.T, s *schedule, p *process, b noting) {
		for window := range 8 {
			b.polls.Store(0)
			b.settled.Store(0)
			end := time.Now().Add(p.untilEnd())
			time.Sleep(time.Duration(window) * 7 * time.Millisecond) // the rests are at other times then
			for time.Now().Before(end) {
				s.lines(0, 1)
				time.Sleep(10 * time.Millisecond)
			}
			if polls := b.polls.Load(); polls > 250 { // a fetch brings six of them at most
				t.Errorf("window %d: %d fetches of 500 lines", window, polls)
			}
			if b.settled.Load() == 0 {
				t.Errorf("window %d: nobody has looked how the last transaction ended", window)
			}
			s.lines(0, 1)
			came := time.Now()
			time.Sleep(100 * time.Millisecond)
			committed := b.since(end, stageCombine)
			if len(committed) == 0 || committed[0].what != "commit" || committed[0].at.Sub(came) > 8*time.Millisecond {
				t.Errorf("window %d, end %v, a line at %v: %v", window, end, came, committed)
			}
		}
	})
}

// How long a slot's lines may wait to be read. Windows are 5 s long.
func TestUntilLines(t *testing.T) {
	for at, want := range map[time.Duration]time.Duration{
		0:                       readPause,
		4850 * time.Millisecond: readPause,
		4860 * time.Millisecond: 40 * time.Millisecond, // then an early flush may be due
		4900 * time.Millisecond: readPause,
		4950 * time.Millisecond: 30 * time.Millisecond,
		4980 * time.Millisecond: 0,
		5 * time.Second:         0,
		time.Hour:               0, // behind
	} {
		synctest.Test(t, func(t *testing.T) {
			_, p := quiet(t, 1, 1)
			task := combining(p)
			time.Sleep(at)
			if got := task.untilLines(); got != want {
				t.Errorf("after %v: %v, want %v", at, got, want)
			}
		})
	}
}

// A line that comes when all is prepared is committed with it, and nothing of what was prepared holds.
func TestPreparedInVain(t *testing.T) {
	whileAtWork(t, 5*time.Second, func(t *testing.T, s *schedule, p *process, b noting) {
		time.Sleep(200 * time.Millisecond)
		began := time.Now()
		s.lines(0, 3)
		time.Sleep(time.Second)
		some := b.since(began, stageCombine)
		if len(some) != 1 || some[0].what != "commit" || some[0].offsets[0].Offset != 3 {
			t.Errorf("%v", some)
		}
	})
}

// Where nothing can be prepared, all is sent when it is due.
func TestPrepareDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		b := noted(p)
		b.declines = true
		p.job.broker = b
		ctx, stop := context.WithCancel(t.Context())
		over := slotAtWork(ctx, p)
		time.Sleep(time.Second)
		s.lines(0, 2)
		end := p.toEnd()
		time.Sleep(2 * time.Second)
		prepared, all := 0, b.since(end, stageCombine)
		for _, one := range all {
			if one.what == "prepare" {
				prepared++
			}
		}
		if last := all[len(all)-1]; prepared < 2 || last.what != "commit" || last.batches == 0 || last.at.Sub(end) > 350*time.Millisecond {
			t.Errorf("%v", all)
		}
		_, windows, err := s.printed()
		if w := windows[p.job.interval.Of(s.kafka.now())-1]; err != nil || w == nil || w.lines != 2 {
			t.Errorf("%v, %v", w, err)
		}
		stop()
		<-over
	})
}

// What was prepared for a window that does not close is committed after a while, once, and so it is when the counter stops before: nobody else has to abort it.
func TestPreparedForNothing(t *testing.T) {
	for _, stops := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, p := quiet(t, 2, 1)
			b := noted(p)
			ctx, stop := context.WithCancel(t.Context())
			over := p.counts(ctx, map[string][]int32{"lines": {0, 1}, "g-shuffle": {0}}, nil)
			time.Sleep(time.Second)
			s.leaderless(1, true)
			end := p.toEnd()
			time.Sleep(300 * time.Millisecond)
			if stops {
				stop()
				<-over
			} else {
				time.Sleep(20 * time.Second)
			}
			for _, stage := range []string{stageCombine, stageReduce} {
				prepared, committed, further := b.pair(t, end.Add(preparedAt[stage]), stage)
				late := committed.at.Sub(prepared.at)
				if stops && late > 500*time.Millisecond || !stops && (late < flushAge || late > flushAge+maxPoll) {
					t.Errorf("stops %t, %s: committed after %v", stops, stage, late)
				}
				for _, one := range further {
					if one.what == "prepare" {
						t.Errorf("stops %t, %s: prepared again: %v", stops, stage, further)
					}
				}
			}
			_, windows, err := s.printed()
			if w := windows[p.job.interval.Of(s.kafka.now()-time.Since(end).Milliseconds()-1)]; err != nil || w != nil {
				t.Errorf("stops %t: the window that the partition without a leader holds open is there: %v, %v", stops, w, err)
			}
			s.kafka.mu.Lock()
			for id, producer := range s.kafka.producers {
				if c := producer.current; c != nil && !c.decided {
					t.Errorf("stops %t: %s has a transaction", stops, id)
				}
			}
			s.kafka.mu.Unlock()
			stop()
			<-over
		})
	}
}

// An attempt whose transaction cannot be prepared ends, and the next one begins with nothing.
func TestPrepareFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 1, 1)
		b := noted(p)
		b.refuses = fmt.Errorf("commit offsets: %w", errors.New("not answered"))
		p.job.broker = b
		task := &combineTask{task: p.task(0, 1, 0)}
		task.stage = stageCombine
		if err := task.run(t.Context()); !errors.Is(err, b.refuses) {
			t.Errorf("combine: %v", err)
		}
		reduce := &reduceTask{task: p.task(0, 1, 0)}
		reduce.stage = stageReduce
		if err := reduce.run(t.Context()); !errors.Is(err, b.refuses) {
			t.Errorf("reduce: %v", err)
		}
		if !task.prepared.IsZero() || !reduce.prepared.IsZero() {
			t.Error("taken for prepared")
		}
		task.prepared = time.Now() // when it failed in another way
		if err := task.begin(t.Context()); err != nil || !task.prepared.IsZero() {
			t.Errorf("starts over: %v, taken for prepared: %t", err, !task.prepared.IsZero())
		}
	})
}

// However long the grace is, a transaction is prepared, and therefore open, for a short time only; and where lines close no window before the grace is
// over, it is not prepared for that.
func TestLead(t *testing.T) {
	for _, test := range []struct {
		grace      time.Duration
		createTime bool
		want       time.Duration
	}{
		{0, false, 100 * time.Millisecond}, {250 * time.Millisecond, false, 350 * time.Millisecond}, {time.Minute, false, time.Second},
		{250 * time.Millisecond, true, 100 * time.Millisecond},
	} {
		var cfg Config
		cfg.Grace = test.grace
		r := reduceTask{task: task{job: &job{cfg: &cfg, createTime: test.createTime}}}
		if got := r.lead(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
