package counter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/service"
	"wordcount/internal/wire"
)

// TestRecover: where slot 1 of 2 goes on, with lines partitions 1 and 3, given what is committed and announced.
func TestRecover(t *testing.T) {
	for _, c := range []struct {
		name      string
		there     func(s *schedule)
		lines     []int32
		known     int
		want      resumption
		positions []int64
		refused   string // in the error: nothing is guessed
		usage     bool   // a setting can mend it
		fails     string // in the error: starting over may mend it
	}{
		{"a new group", func(s *schedule) {}, []int32{1, 3}, 4, resumption{noWatermark, noWatermark}, []int64{0, 0}, "", false, ""},
		{"a new group, lines that retention has begun to remove", func(s *schedule) {
			s.lines(3, 5)
			s.kafka.topics["lines"][3].start = 2
		}, []int32{1, 3}, 4, resumption{noWatermark, noWatermark}, []int64{0, 2}, "", false, ""},
		{"a new group without partitions", func(s *schedule) {}, nil, 1, resumption{noWatermark, noWatermark}, nil, "", false, ""},
		{"the greatest watermark, the least closed", func(s *schedule) {
			s.lines(1, 9)
			s.lines(3, 9)
			s.commit("lines", 1, 7, aWatermark)
			s.commit("lines", 3, 5, aLater)
			s.commit("g-shuffle", 0, 3, aReduce)
			s.commit("g-shuffle", 1, 3, aReduceToo)
		}, []int32{1, 3}, 4, resumption{aTime + 5000, aTime - 10_000}, []int64{7, 5}, "", false, ""},
		{"before the reduces have committed: where the slot began", func(s *schedule) {
			s.commit("lines", 1, 0, aLater)
			s.commit("lines", 3, 0, aLater)
			s.commit("g-shuffle", 0, 3, aReduce)
			s.send(1, said(1, noWatermark, 4), said(0, aTime-60_000, 4), said(1, aTime-20_000, 4), said(1, aTime+5000, 4))
		}, []int32{1, 3}, 4, resumption{aTime + 5000, aTime - 20_000}, []int64{0, 0}, "", false, ""},
		{"a partition that was added", func(s *schedule) {
			s.kafka.grow("lines", 8, false)
			s.lines(5, 4)
			s.kafka.topics["lines"][5].start = 1
			s.commit("lines", 1, 0, aWatermark)
			s.commit("lines", 3, 0, aWatermark)
			s.commit("g-shuffle", 0, 3, aReduce)
			s.commit("g-shuffle", 1, 3, aReduce)
		}, []int32{1, 3, 5}, 8, resumption{aTime, aTime - 5000}, []int64{0, 0, 1}, "", false, ""},
		{"a partition that was added to a slot without any", func(s *schedule) {
			state := strings.Replace(aReduce, `"lines_partitions":4`, `"lines_partitions":1`, 1)
			s.commit("g-shuffle", 0, 3, state)
			s.commit("g-shuffle", 1, 3, state)
			s.send(1, said(1, aTime, 1), said(0, aTime+60_000, 1), said(1, aTime+7000, 1))
		}, []int32{1}, 2, resumption{aTime + 7000, aTime - 5000}, []int64{0}, "", false, ""},
		{"a slot without partitions promises no less than before", func(s *schedule) {
			s.send(1, said(1, noWatermark, 1), said(1, aTime, 1), said(1, aTime+1000, 1))
		}, nil, 1, resumption{aTime + 1000, aTime}, nil, "", false, ""},
		{"a watermark that did not hold when its transaction ended", func(s *schedule) {
			s.send(1, said(1, aTime, 1))
			end := s.sends(1, said(1, aTime+5000, 1))
			s.send(1, said(0, aTime+5000, 1))
			end(said(1, aTime+1000, 1))
		}, nil, 1, resumption{aTime + 1000, aTime}, nil, "", false, ""},
		{"its partition is not seen", func(s *schedule) { s.commit("lines", 1, 0, aWatermark) }, nil, 1,
			resumption{}, nil, "", false, "lines/1 was read before and is not assigned"},

		{"one offset is missing", func(s *schedule) { s.commit("lines", 1, 0, aWatermark) }, []int32{1, 3}, 4,
			resumption{}, nil, "lines/3 is lost (no offset is committed)", false, ""},
		{"all offsets are missing, the reduces' are not", func(s *schedule) {
			s.commit("g-shuffle", 0, 3, aReduce)
			s.commit("g-shuffle", 1, 3, aReduce)
		}, []int32{1, 3}, 4, resumption{}, nil, "lines/1 is lost (no offset is committed)", false, ""},
		{"all offsets are missing, but the slot has spoken", func(s *schedule) { s.send(1, said(1, aTime, 4)) }, []int32{1, 3}, 4,
			resumption{}, nil, "lines/1 is lost (no offset is committed)", false, ""},
		{"all offsets are missing, but the reduces have deleted", func(s *schedule) {
			s.send(1, said(0, aTime, 4), said(0, aTime, 4))
			s.kafka.topics["g-shuffle"][1].start = 1
		}, []int32{1, 3}, 4, resumption{}, nil, "lines/1 is lost (no offset is committed)", false, ""},
		{"an offset without metadata", func(s *schedule) {
			s.commit("lines", 1, 0, aWatermark)
			s.commit("lines", 3, 0, "")
		}, []int32{1, 3}, 4, resumption{}, nil, "lines/3 is lost (the offset was committed without metadata", false, ""},
		{"an offset of another tool", func(s *schedule) { s.commit("lines", 1, 0, "by hand") }, []int32{1}, 4,
			resumption{}, nil, "lines/1 is lost", false, ""},
		{"a newer counter's offset", func(s *schedule) { s.commit("lines", 1, 0, `{"v":2}`) }, []int32{1}, 4,
			resumption{}, nil, "version 2", false, ""},
		{"a reduce's offset without metadata", func(s *schedule) { s.commit("g-shuffle", 0, 3, "") }, []int32{1}, 4,
			resumption{}, nil, "g-shuffle/0 is lost", false, ""},
		{"another interval", func(s *schedule) {
			s.commit("g-shuffle", 0, 3, strings.Replace(aReduce, "5000", "1000", 1))
		}, []int32{1}, 4, resumption{}, nil, "--batch-interval 1s and 2 partitions, this counter has 5s and 2", true, ""},
		{"another number of slots", func(s *schedule) {
			s.commit("g-shuffle", 0, 3, strings.Replace(aReduce, `"partitions":2`, `"partitions":3`, 1))
		}, []int32{1}, 4, resumption{}, nil, "3 partitions, this counter has 5s and 2", true, ""},
		{"another tokenizer", func(s *schedule) {
			s.commit("g-shuffle", 1, 3, strings.Replace(aReduce, `"partitions":2`, `"partitions":2,"settings":"other"`, 1))
		}, []int32{1}, 4, resumption{}, nil, "another --tokenizer or --report-empty", true, ""},
		{"something else on the shuffle topic", func(s *schedule) { s.send(1, []byte("hello")) }, []int32{1}, 4,
			resumption{}, nil, "g-shuffle/1 at offset 0", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := quiet(t, 4, 2)
				c.there(s)
				task := &combineTask{task: p.task(1, c.known, c.lines...)}
				got, err := task.recover(t.Context())
				switch {
				case c.refused != "" || c.fails != "":
					var usage *service.UsageError
					if err == nil || !strings.Contains(err.Error(), c.refused+c.fails) || final(err) != (c.refused != "") || errors.As(err, &usage) != c.usage {
						t.Errorf("%+v, error %v (final: %t, usage: %t)", got, err, final(err), errors.As(err, &usage))
					}
					return
				case err != nil:
					t.Fatal(err)
				}
				if got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
				var positions []int64
				for i, in := range task.inputs {
					if in.partition != c.lines[i] {
						t.Errorf("input %d is lines/%d, want lines/%d", i, in.partition, c.lines[i])
					}
					positions = append(positions, in.position)
				}
				if fmt.Sprint(positions) != fmt.Sprint(c.positions) {
					t.Errorf("goes on at %v, want %v", positions, c.positions)
				}
			})
		})
	}
}

// A slot that promised something behind another's open transaction waits for that to end: it would promise less otherwise.
func TestRecoverWaitsForOpenTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 2)
		s.send(1, said(1, aTime, 1))
		k := s.kafka
		other := k.transaction(&memoryProducer{id: 7})
		l := k.topics["g-shuffle"][1]
		other.add(l)
		var b kafkaio.RecordBatch
		b.Append(0, nil, said(0, aTime, 1))
		k.append(l, &b, other, false)
		s.send(1, said(1, aTime+9000, 1))
		began := time.Now()
		time.AfterFunc(3*time.Second, func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.decide(other, false)
		})
		task := &combineTask{task: p.task(1, 1)}
		got, err := task.recover(t.Context())
		if err != nil || got.watermark != aTime+9000 {
			t.Errorf("watermark %d, %v; want %d", got.watermark, err, aTime+9000)
		}
		if waited := time.Since(began); waited < 3*time.Second || waited > 4*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

// TestReduceStart: where the reduce of slot 1 begins, or that it refuses to.
func TestReduceStart(t *testing.T) {
	for _, c := range []struct {
		name    string
		there   func(s *schedule)
		offset  int64
		started bool
		refused string
		usage   bool
	}{
		{"a new group", func(s *schedule) {}, 0, false, "", false},
		{"a new group whose slots have spoken", func(s *schedule) { s.send(1, said(1, aTime, 4)) }, 0, false, "", false},
		{"from the committed offset", func(s *schedule) { s.commit("g-shuffle", 1, 3, aReduce) }, 3, true, "", false},
		{"from the committed offset, the log begins there", func(s *schedule) {
			s.commit("g-shuffle", 1, 3, aReduce)
			s.kafka.topics["g-shuffle"][1].start = 3
		}, 3, true, "", false},
		{"below the log's start", func(s *schedule) {
			s.commit("g-shuffle", 1, 3, aReduce)
			s.kafka.topics["g-shuffle"][1].start = 4
		}, 0, false, "g-shuffle/1 is lost (the committed offset lies before the topic's start)", false},
		{"no offset, but records were deleted", func(s *schedule) { s.kafka.topics["g-shuffle"][1].start = 1 }, 0, false,
			"g-shuffle/1 is lost (no offset is committed)", false},
		{"no metadata", func(s *schedule) { s.commit("g-shuffle", 1, 3, "") }, 0, false, "g-shuffle/1 is lost (the offset was committed without", false},
		{"another interval", func(s *schedule) { s.commit("g-shuffle", 1, 3, strings.Replace(aReduce, "5000", "1000", 1)) }, 0, false, "--batch-interval 1s", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := quiet(t, 4, 2)
				c.there(s)
				task := &reduceTask{task: p.task(1, 4)}
				err := task.start(t.Context())
				if c.refused != "" {
					var usage *service.UsageError
					if err == nil || !strings.Contains(err.Error(), c.refused) || !final(err) || errors.As(err, &usage) != c.usage {
						t.Errorf("error %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if task.reducer.Next() != c.offset || task.reducer.Started() != c.started || task.committed != c.started {
					t.Errorf("at offset %d, started %t; want %d, %t", task.reducer.Next(), task.reducer.Started(), c.offset, c.started)
				}
			})
		})
	}
}

// The first commit of a reduce is deleted below at once, also when no window has closed: by that a group whose offsets are
// lost is known.
func TestFirstCommitDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 2, 2)
		s.send(1, said(0, noWatermark, 2), said(1, noWatermark, 2), said(0, aTime, 2), said(1, aTime, 2))
		task := &reduceTask{task: p.task(1, 4)}
		if err := task.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, _, end := s.committed("g-shuffle", 1); ; {
			f, err := task.read(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if f.Position() == end {
				break
			}
		}
		if err := task.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		committed, start, _ := s.committed("g-shuffle", 1)
		state, err := wire.ParseReduceState(committed.Metadata)
		if err != nil || committed.Offset != 4 || state.Closed != aTime || state.LinesPartitions != 2 {
			t.Errorf("committed %+v, %v", committed, err)
		}
		if start != 4 {
			t.Errorf("the log starts at %d, want 4", start)
		}
	})
}

// What is no counter's is refused when its window closes, by its offset, and the windows before that one are committed.
func TestReduceRefusesEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 2, 2)
		partial := func(k int64) []byte {
			record := wire.AppendPartial(nil, wire.Partial{Interval: anInterval, Window: aTime/anInterval + k, Lines: 1})
			return wire.AppendEntry(record, []byte("word"), 1)
		}
		short := partial(1)
		s.send(1, said(0, aTime, 2), said(1, aTime, 2), partial(0), short[:len(short)-1], partial(1), said(0, aTime+2*anInterval, 2), said(1, aTime+2*anInterval, 2))
		task := &reduceTask{task: p.task(1, 4)}
		task.stage = stageReduce
		if err := task.run(t.Context()); err == nil || !final(err) || !strings.Contains(err.Error(), "g-shuffle/1 at offset 6: malformed entries") {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Second)
		committed, _, _ := s.committed("g-shuffle", 1)
		state, err := wire.ParseReduceState(committed.Metadata)
		if err != nil || committed.Offset != 6 || state.Closed != aTime+anInterval {
			t.Errorf("committed %+v, %v", committed, err)
		}
	})
}
