package counter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

func TestReduces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReduces(2)
		asks := func(after time.Duration) {
			t.Helper()
			for _, c := range []struct {
				wait time.Duration
				want bool
			}{{0, false}, {after - time.Millisecond, false}, {time.Millisecond, true}} {
				time.Sleep(c.wait)
				if got := r.ask(); got != c.want {
					t.Errorf("ask: %t, want it every %v", got, after)
				}
			}
		}
		moves := func(reduce int32, until, least int64) {
			t.Helper()
			before, news := r.least(), r.news()
			r.close(reduce, until)
			moved := false
			select {
			case <-news:
				moved = true
			default:
			}
			if r.least() != least || moved != (least > before) {
				t.Errorf("at least %d, news %t; want %d", r.least(), moved, least)
			}
		}
		if !r.ask() {
			t.Error("asks nobody at first")
		}
		asks(checkAhead)
		stop := r.listen(0)
		asks(checkAhead)
		r.listen(1)
		asks(checkOwn)
		moves(0, 100, wire.NoWatermark)
		moves(1, 50, 50)
		moves(1, 40, 50) // stale
		stop()
		asks(checkOwn) // the one that is behind is listened to
		moves(1, 200, 100)
		asks(checkAhead)
	})
}

// A slot goes on as soon as its own counter's reduces have committed, and asks nobody.
func TestAheadHearsItsReduces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 1, 2)
		task := combining(p)
		if err := task.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		task.reader = p.job.broker.NewReader([]kafkaio.Position{{Topic: "lines"}})
		reduces := task.reduces
		for q := range int32(2) {
			defer reduces.listen(q)()
			reduces.close(q, aTime)
		}
		const windows = maxAheadSmallWindows + 1
		task.combiner.Line(0, aTime+windows*anInterval, aTime+windows*anInterval, []byte("a"))
		if ahead, err := task.ahead(t.Context()); !ahead || err != nil {
			t.Fatalf("%t, %v: want it to wait", ahead, err)
		}
		const late = checkAhead / 4
		go func() {
			time.Sleep(late)
			reduces.close(0, aTime+anInterval)
			time.Sleep(late)
			reduces.close(1, aTime+anInterval)
		}()
		began := time.Now()
		if ahead, err := task.ahead(t.Context()); !ahead || err != nil || time.Since(began) != 2*late {
			t.Errorf("%t, %v, after %v: want it to wait until both have closed", ahead, err, time.Since(began))
		}
		if ahead, err := task.ahead(t.Context()); ahead || err != nil || time.Since(began) != 2*late {
			t.Errorf("%t, %v, after %v: want it to go on", ahead, err, time.Since(began))
		}
	})
}

// A reduce says what it has committed, now and before, for as long as it runs.
func TestReduceSaysHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		committed := func() int64 {
			t.Helper()
			o, _, _ := s.committed("g-shuffle", 0)
			state, err := wire.ParseReduceState(o.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			return state.Closed
		}
		s.lines(0, 1)
		work := p.job.start(p.task(0, 1, 0))
		time.Sleep(20 * time.Second)
		if got := p.job.reduces; got.least() != committed() || !got.own[0] {
			t.Errorf("closed until %d, own %t; %d is committed", got.least(), got.own[0], committed())
		}
		p.job.stop(map[int32]*slotWork{0: work})
		if p.job.reduces.own[0] {
			t.Error("it has stopped, and is listened to")
		}
		p.job.reduces = newReduces(1)
		again := &reduceTask{task: p.task(0, 1, 0)}
		again.stage = stageReduce
		if err := again.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		again.reader.Close()
		if got := p.job.reduces.least(); got != committed() {
			t.Errorf("starts at %d; %d is committed", got, committed())
		}
		// Not what it could not commit.
		p.job.reduces, again.committed, again.producer = newReduces(1), false, refusing{again.producer}
		if _, err := again.closeSome(t.Context()); err == nil || p.job.reduces.least() != wire.NoWatermark {
			t.Errorf("%v; closed until %d when nothing was committed", err, p.job.reduces.least())
		}
	})
}

// refusing is a producer that cannot commit.
type refusing struct{ transactional }

func (refusing) Commit(context.Context, kafkaio.Place, []kafkaio.Output, []kafkaio.Offset) ([]kafkaio.Ack, error) {
	return nil, kafkaio.ErrFenced
}
