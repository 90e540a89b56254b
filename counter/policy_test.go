package counter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/counter/combine"
	"wordcount/counter/tokenize"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// combining makes a combine task of a slot with one input, which has started at aTime, the broker's time.
func combining(p *process) *combineTask {
	tokenizer, err := tokenize.New("space")
	if err != nil {
		panic(err)
	}
	t := &combineTask{task: p.task(0, 1, 0), inputs: []input{{partition: 0}}, flushed: time.Now()}
	t.stage = stageCombine
	t.combiner = combine.New(combine.Config{Interval: t.interval, Grace: 250, Partitions: t.partitions, Tokenizer: tokenizer,
		MaxRecord: 1 << 20, Emit: func(q int, record []byte) { t.packers[q].append(aTime, nil, record) }}, 1)
	t.combiner.Start(aTime)
	t.packers = newPackers(t.partitions, 1<<20)
	t.combiner.Flush(1)
	for q := range t.packers {
		t.packers[q].all()
		t.packers[q].sent()
	}
	t.skew.start(aTime)
	t.clock.Observe(aTime, time.Now(), time.Now())
	return t
}

// distinctWords has so many distinct words.
func distinctWords(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "w%d ", i)
	}
	return []byte(b.String())
}

// TestFlushNow: when what is pending is committed. Windows are 5 s long.
func TestFlushNow(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines int           // distinct words in the window that begins at aTime
		at    time.Duration // later, then is asked
		then  func(*combineTask)
		want  bool
	}{
		{"nothing is pending", 0, 4950 * time.Millisecond, nil, false},
		{"nothing is pending for long", 0, time.Hour, nil, false},
		{"a little is pending", 10, time.Second, nil, false},
		{"a little just before the end", 10, 4950 * time.Millisecond, nil, false},
		{"enough for an early flush, but there is time", 20, 4800 * time.Millisecond, nil, false},
		{"enough for an early flush", 20, 4950 * time.Millisecond, nil, true},
		{"enough for an early flush, at the end", 20, 5000 * time.Millisecond, nil, true},
		{"so much", 90, time.Second, nil, true},
		{"pending for 5 s, and the window is about to close", 10, flushAge, nil, false},
		{"the window should have closed", 10, flushAge + 1250*time.Millisecond, nil, false},
		{"the window does not close", 10, flushAge + 1251*time.Millisecond, nil, true},
		{"enough for an early flush after 5 s", 20, flushAge, nil, true},
		{"a window has closed", 10, time.Second, func(t *combineTask) { t.combiner.Idle(0, aTime+5250) }, true},
		{"a window has closed, nothing is pending", 0, time.Second, func(t *combineTask) { t.combiner.Idle(0, aTime+5250) }, true},
		{"a window has closed, and more is there", 10, backlogFlush - time.Millisecond, func(t *combineTask) {
			t.combiner.Idle(0, aTime+5250)
			t.inputs[0].end = 1
		}, false},
		{"a window has closed, and more is there for long", 10, backlogFlush, func(t *combineTask) {
			t.combiner.Idle(0, aTime+5250)
			t.inputs[0].end = 1
		}, true},
		{"no window has closed", 0, time.Second, func(t *combineTask) { t.combiner.Idle(0, aTime+5249) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, p := quiet(t, 1, 2)
				p.job.limits = limits{flush: 9000, early: 2000, ahead: 1 << 20}
				p.job.cfg.Grace = 250 * time.Millisecond
				task := combining(p)
				if c.lines > 0 {
					task.combiner.Line(0, aTime, aTime, distinctWords(c.lines))
				}
				time.Sleep(c.at)
				if c.then != nil {
					c.then(task)
				}
				if got := task.flushNow(); got != c.want {
					t.Errorf("%t, want %t (size %d)", got, c.want, task.combiner.Size())
				}
			})
		})
	}
	// An interval of an hour does not keep lines from being committed.
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 1, 2)
		p.job.interval = 3_600_000
		task := combining(p)
		task.combiner.Line(0, aTime, aTime, distinctWords(1))
		if time.Sleep(flushAge - time.Millisecond); task.flushNow() {
			t.Error("early")
		}
		if time.Sleep(time.Millisecond); !task.flushNow() {
			t.Errorf("not after %v", flushAge)
		}
		left := time.Duration(task.combiner.NextEnd()-task.clock.Now()) * time.Millisecond
		if time.Sleep(left - closing - time.Millisecond); !task.flushNow() {
			t.Errorf("not %v before the end", closing+time.Millisecond)
		}
		if time.Sleep(time.Millisecond); task.flushNow() {
			t.Errorf("%v before the end", closing)
		}
	})
}

// TestWait: until an idle partition may be taken as such.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 1, 2)
		task := combining(p)
		for _, c := range []struct {
			at        time.Duration
			fruitless bool
			want      time.Duration
			due       bool
		}{
			{0, false, maxPoll, false},
			{4 * time.Second, false, maxPoll, false},
			{5 * time.Second, false, 150 * time.Millisecond, false}, // the window's end: until the transaction may be prepared
			{5150 * time.Millisecond, false, 95 * time.Millisecond, false},
			{5200 * time.Millisecond, false, 45 * time.Millisecond, false}, // but not the last ms
			{5245 * time.Millisecond, false, 5 * time.Millisecond, false},
			{5249 * time.Millisecond, true, time.Millisecond, false},
			{5250 * time.Millisecond, false, 0, true},
			{5250 * time.Millisecond, true, retryIdle, true},
			{time.Hour, true, retryIdle, true},
		} {
			time.Sleep(c.at - time.Duration(task.clock.Now()-aTime)*time.Millisecond)
			if wait, due := task.wait(c.fruitless); wait != c.want || due != c.due {
				t.Errorf("after %v, fruitless %t: %v, %t; want %v, %t", c.at, c.fruitless, wait, due, c.want, c.due)
			}
		}
	})
}

func TestSkew(t *testing.T) {
	var s skew
	s.start(1000)
	want := func(closed int64, bytes int) {
		t.Helper()
		if s.closed != closed || s.bytes != bytes {
			t.Errorf("closed %d, %d bytes; want %d, %d", s.closed, s.bytes, closed, bytes)
		}
	}
	want(1000, 0)
	s.sent(2000, 0) // a watermark alone
	s.sent(2000, 10)
	s.sent(4000, 20)
	s.sent(3000, 30) // less far than before: late lines
	want(1000, 60)
	s.close(1500)
	want(1500, 60)
	s.close(2000)
	want(2000, 50)
	s.close(1000) // stale
	want(2000, 50)
	s.close(3999)
	want(3999, 50)
	s.close(4000)
	want(4000, 0)
}

// TestAhead: a slot that is too many windows or bytes ahead of the reduces commits what it has and waits for them.
func TestAhead(t *testing.T) {
	const interval = anInterval
	for _, c := range []struct {
		name      string
		watermark int64 // in windows beyond what is closed
		sent      int   // bytes
		want      bool
	}{
		{"at the limit of small windows", maxAheadSmallWindows, 100, false},
		{"beyond the limit of small windows", maxAheadSmallWindows + 1, 100, true},
		{"at the limit", maxAheadWindows, 101, false},
		{"beyond the limit", maxAheadWindows + 1, 101, true},
		{"too many bytes", 3, 2000, true},
		{"too many bytes, but in the next window", 1, 2000, false}, // the reduces may wait for this slot
		{"not too many bytes", 3, 1000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := quiet(t, 1, 2)
				p.job.limits = limits{flush: 1 << 20, early: 1 << 20, small: 100, ahead: 1000}
				task := combining(p)
				if err := task.begin(t.Context()); err != nil {
					t.Fatal(err)
				}
				closed := func(until int64) string {
					return wire.ReduceState{Closed: until, Interval: interval, Partitions: 2, LinesPartitions: 1}.Encode()
				}
				s.commit("g-shuffle", 0, 1, closed(aTime))
				s.commit("g-shuffle", 1, 1, closed(aTime+5*interval))
				task.reader = p.job.broker.NewReader([]kafkaio.Position{{Topic: "lines"}})
				task.combiner.Line(0, aTime+c.watermark*interval, aTime+c.watermark*interval, []byte("a"))
				task.skew.sent(aTime+c.watermark*interval+interval, c.sent)
				time.Sleep(time.Second) // it has not looked for a while
				got, err := task.ahead(t.Context())
				if err != nil || got != c.want {
					t.Fatalf("%t, %v; want %t", got, err, c.want)
				}
				if pending := task.combiner.Pending().Lines; (pending == 0) != c.want {
					t.Errorf("%d lines are pending", pending)
				}
				if !c.want {
					return
				}
				// Lines that close no window are committed too: the reduces may wait for them, and memory does.
				task.combiner.Line(0, aTime+c.watermark*interval, aTime+c.watermark*interval, []byte("a"))
				if _, err := task.ahead(t.Context()); err != nil || task.combiner.Pending().Lines > 0 {
					t.Errorf("%d lines are pending, %v", task.combiner.Pending().Lines, err)
				}
				// Its watermark is said again from time to time, and when the reduces have come nearer it goes on.
				_, _, before := s.committed("g-shuffle", 0)
				for began := time.Now(); time.Since(began) < flushAge+time.Second; {
					if again, err := task.ahead(t.Context()); err != nil || !again {
						t.Fatalf("%t, %v while the reduces stand still", again, err)
					}
				}
				if _, _, end := s.committed("g-shuffle", 0); end == before || end > before+4 {
					t.Errorf("%d records in %v", end-before, flushAge+time.Second)
				}
				s.commit("g-shuffle", 0, 1, closed(aTime+(c.watermark+1)*interval))
				s.commit("g-shuffle", 1, 1, closed(aTime+(c.watermark+1)*interval))
				time.Sleep(checkAhead)
				if again, err := task.ahead(t.Context()); err != nil || again {
					t.Errorf("%t, %v when the reduces have closed", again, err)
				}
				stopped, stop := context.WithCancel(t.Context())
				stop()
				task.combiner.Idle(0, aTime+(c.watermark+2*maxAheadSmallWindows)*interval)
				if _, err := task.ahead(stopped); err == nil {
					t.Error("does not end with its context")
				}
			})
		})
	}
}

// An input that lags, or cannot be read, does not let the slot's others run ahead: each is held back by itself.
func TestAheadOfALaggingInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 2, 1)
		s.lines(0, 1)
		s.lines(1, 1)
		ctx, stop := context.WithCancel(t.Context())
		p.job.limits.small = 0
		task := &combineTask{task: p.task(0, 2, 0, 1)}
		task.stage = stageCombine
		done := make(chan error, 1)
		go func() { done <- task.run(ctx) }()
		time.Sleep(time.Second)
		s.leaderless(1, true)
		const windows = 40
		for range windows * 2 {
			time.Sleep(anInterval / 2 * time.Millisecond)
			s.lines(0, 1)
		}
		read, _, _ := s.committed("lines", 0)
		if n := read.Offset / 2; n < maxAheadWindows || n > maxAheadWindows+2 {
			t.Errorf("%d windows were read while the other input had no leader, want %d", n, maxAheadWindows)
		}
		s.leaderless(1, false)
		s.lines(1, 1)
		for range windows { // the reduces close as fast as they can
			state, _, _ := s.committed("lines", 1)
			combined, err := wire.ParseCombineState(state.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			s.commit("g-shuffle", 0, 1, wire.ReduceState{Closed: p.job.interval.Floor(combined.Watermark), Interval: anInterval, Partitions: 1}.Encode())
			time.Sleep(time.Second)
		}
		if read, _, end := s.committed("lines", 0); read.Offset != end {
			t.Errorf("read until %d of %d when the other input was there again", read.Offset, end)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A restart does not forget that counts were sent for windows that are open: no more bytes than may be are added to them.
func TestAheadAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		at := p.job.interval.Floor(s.kafka.now())
		task := restarted(t, s, p, at, at-3*anInterval)
		if task.skew.bytes != task.limits.ahead {
			t.Fatalf("%d bytes are ahead, want %d", task.skew.bytes, task.limits.ahead)
		}
		task.skew.sent(at+anInterval, 1)
		if ahead, err := task.ahead(t.Context()); !ahead || err != nil {
			t.Errorf("ahead %t, %v: want it to wait", ahead, err)
		}
		s.commit("g-shuffle", 0, 0, wire.ReduceState{Closed: at + anInterval, Interval: anInterval, Partitions: 1}.Encode())
		time.Sleep(checkAhead)
		if ahead, err := task.ahead(t.Context()); ahead || err != nil || task.skew.bytes != 0 {
			t.Errorf("ahead %t, %v, %d bytes, when the windows are closed", ahead, err, task.skew.bytes)
		}
	})
}

// restarted is a slot that goes on at a watermark, with lines sent for the window behind it, where the reduces have closed all until then.
func restarted(t *testing.T, s *schedule, p *process, watermark, closed int64) *combineTask {
	s.commit("g-shuffle", 0, 0, wire.ReduceState{Closed: closed, Interval: anInterval, Partitions: 1}.Encode())
	s.commit("lines", 0, 0, wire.CombineState{Watermark: watermark, Lines: watermark + anInterval, Partitions: 1}.Encode())
	task := &combineTask{task: p.task(0, 1, 0)}
	task.stage = stageCombine
	if err := task.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return task
}

// asked is a broker that is asked for committed offsets at the very moment at which the counter stops.
type asked struct {
	*memoryClient
	stop context.CancelFunc
}

func (b asked) Committed(ctx context.Context, _, _ string, _ []int32) ([]kafkaio.Offset, error) {
	b.stop()
	return nil, ctx.Err()
}

// A slot that is stopped in the middle of a fetch, while it asks how far the reduces are, commits what it has counted, and no
// position before it: its successor would count that again.
func TestStopWithinAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		at := p.job.interval.Floor(s.kafka.now())
		task := restarted(t, s, p, at, at)
		s.lines(0, 3)
		time.Sleep((maxAheadWindows + 2) * anInterval * time.Millisecond)
		s.lines(0, 3) // the first of them is too far ahead
		ctx, stop := context.WithCancel(t.Context())
		p.job.broker = asked{p.job.broker.(*memoryClient), stop}
		var err error
		for range 2 { // a fetch for the first lines, and one for those that came later
			if _, err = task.read(ctx, maxPoll); err != nil {
				break
			}
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("it did not ask: %v", err)
		}
		counted := task.combiner.Pending().Lines
		if err := task.unlessStopped(ctx, err); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the broker tells its partitions
		if committed, _, _ := s.committed("lines", 0); counted != 4 || committed.Offset != counted {
			t.Errorf("%d lines were counted, and the committed offset is %d, want 4", counted, committed.Offset)
		}
	})
}

// A window that was passed takes little here, but as much as before where it is summed: that is what is committed in time, and what the slot is
// ahead.
func TestFlushForTheReduces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 1, 1)
		p.job.limits = limits{flush: 1 << 20, early: 1 << 20, small: 1 << 20, ahead: 8000}
		task := combining(p)
		if err := task.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		task.inputs[0].end = 1 // more is there
		for i := range int64(2) {
			if task.flushNow() {
				t.Errorf("after %d windows of 2000 bytes", i)
			}
			task.combiner.Line(0, aTime+i*anInterval, aTime+60*anInterval, distinctWords(20))
		}
		load := task.combiner.Load()
		if task.combiner.Size() > load*3/4 || !task.flushNow() {
			t.Errorf("flush %t, of %d bytes that will be %d", task.flushNow(), task.combiner.Size(), load)
		}
		if err := task.flush(t.Context()); err != nil || task.skew.bytes != load {
			t.Errorf("%d bytes ahead, want %d; %v", task.skew.bytes, load, err)
		}
	})
}

// One fetch may hold far more than memory should: it is committed in parts, each with the position that goes with it.
func TestReadFlushesInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 2)
		p.job.limits = limits{flush: 5000, early: 1 << 20, ahead: 1 << 30}
		var b kafkaio.RecordBatch
		for i := range 400 {
			b.Append(0, nil, fmt.Appendf(nil, "word%d", i))
		}
		s.kafka.append(s.kafka.topics["lines"][0], &b, nil, false)
		task := p.reads(t)
		if size := task.combiner.Size(); size >= 6000 {
			t.Errorf("%d bytes are pending", size)
		}
		time.Sleep(time.Second)
		committed, _, _ := s.committed("lines", 0)
		if pending := task.combiner.Pending().Lines; committed.Offset < 300 || committed.Offset+pending != 400 {
			t.Errorf("offset %d is committed, %d lines are pending", committed.Offset, pending)
		}
	})
}

// One fetch may hold far more windows than a slot may be ahead: it stops in the middle, and goes on there when the reduces have closed.
func TestReadStopsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		const lines = 2*maxAheadSmallWindows + 50
		time.Sleep(lines * anInterval * time.Millisecond)
		lines0 := s.kafka.topics["lines"][0]
		lines0.createTime, p.job.createTime = true, true
		first := s.kafka.now() - lines*anInterval
		var b kafkaio.RecordBatch
		for i := range lines {
			b.Append(first+int64(i)*anInterval, nil, []byte("line"))
		}
		s.kafka.append(lines0, &b, nil, false)
		task := p.reads(t)
		read := func(want int64) {
			t.Helper()
			if got := task.inputs[0].position; got != want || task.combiner.Pending().Lines > want {
				t.Errorf("%d lines were read, want %d", got, want)
			}
		}
		want := int64(maxAheadSmallWindows + 2) // one ahead of what it may, and with CreateTime its watermark lags by the grace
		read(want)
		for ; want < lines; want += maxAheadSmallWindows {
			if ahead, err := task.ahead(t.Context()); !ahead || err != nil {
				t.Fatalf("ahead %t, %v", ahead, err)
			}
			read(want)
			s.commit("g-shuffle", 0, 0, wire.ReduceState{Closed: p.job.interval.Floor(first) + (want-2)*anInterval, Interval: anInterval, Partitions: 1}.Encode())
			time.Sleep(checkAhead)
			if ahead, err := task.ahead(t.Context()); ahead || err != nil {
				t.Fatalf("ahead %t, %v", ahead, err)
			}
			if _, err := task.read(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		read(lines)
	})
}
