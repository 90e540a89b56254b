package counter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/service"
	"wordcount/internal/wire"
)

// quiet is a schedule in which nothing goes wrong, with one counter whose tasks a test takes in hand.
func quiet(t *testing.T, lines, partitions int) (*schedule, *process) {
	s := &schedule{t: t, seed: 1, random: rand.New(rand.NewPCG(1, 1)), again: make(chan struct{}, 1), partitions: partitions, limits: production, session: 6 * time.Second}
	s.calm.Store(true)
	s.cfg.Settings = Settings{BatchInterval: 5 * time.Second, Grace: 250 * time.Millisecond, Group: "g", Tokenizer: "space", ReportEmpty: time.Hour}
	s.cfg.LinesTopic, s.cfg.CountsTopic, s.cfg.BatchesTopic = "lines", "counts", "batches"
	s.kafka = newMemoryKafka(s)
	s.kafka.grow("lines", lines, false)
	for _, topic := range []string{"g-shuffle", "counts", "batches"} {
		s.kafka.grow(topic, partitions, false)
	}
	s.kafka.generation, s.kafka.members["m"] = 1, true
	s.start()
	return s, s.processes[0]
}

// task makes a task of a slot with its lines partitions.
func (p *process) task(slot int32, known int, lines ...int32) task {
	return task{job: p.job, slot: slot, lines: lines, known: known,
		assignment: assignment{Generation: kafkaio.Generation{Group: "g", ID: 1, MemberID: "m"}, heartbeat: p.heartbeat(1, "m")}}
}

func (s *schedule) commit(topic string, partition int32, offset int64, metadata string) {
	s.kafka.offsets[topicPartition{topic, partition}] = kafkaio.Offset{Topic: topic, Partition: partition, Offset: offset, Metadata: metadata}
}

func (s *schedule) send(partition int, records ...[]byte) {
	var b kafkaio.RecordBatch
	for _, record := range records {
		b.Append(0, nil, record)
	}
	s.kafka.append(s.kafka.topics["g-shuffle"][partition], &b, nil, false)
}

func (s *schedule) lines(partition int, n int) {
	for range n {
		var b kafkaio.RecordBatch
		b.Append(0, nil, []byte("line"))
		s.kafka.append(s.kafka.topics["lines"][partition], &b, nil, false)
	}
}

const (
	aTime       = 1769030725000
	anInterval  = 5000
	aWatermark  = `{"v":1,"watermark":1769030725000,"lines_partitions":4}`
	aLater      = `{"v":1,"watermark":1769030730000,"lines_partitions":4}`
	aReduce     = `{"v":1,"closed":1769030720000,"last_non_empty":1,"interval_ms":5000,"partitions":2,"lines_partitions":4}`
	aReduceToo  = `{"v":1,"closed":1769030715000,"last_non_empty":1,"interval_ms":5000,"partitions":2,"lines_partitions":4}`
	noWatermark = wire.NoWatermark
)

func said(slot int, time int64, partitions int) []byte {
	return wire.AppendWatermark(nil, wire.Watermark{Slot: slot, Interval: anInterval, Time: time, Partitions: partitions})
}

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
		{"its partition is not seen", func(s *schedule) { s.commit("lines", 1, 0, aWatermark) }, nil, 1,
			resumption{}, nil, "", false, "lines/1 was read before and is not assigned"},
		{"a partition that the broker does not know yet", func(s *schedule) {
			s.commit("lines", 1, 0, aWatermark)
		}, []int32{1, 9}, 10, resumption{}, nil, "", false, "lines/9"},

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
		other.logs[l] = true
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
		if _, err := task.read(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if err := task.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		committed := s.kafka.offsets[topicPartition{"g-shuffle", 1}]
		state, err := wire.ParseReduceState(committed.Metadata)
		if err != nil || committed.Offset != 2 || state.Closed != aTime || state.LinesPartitions != 2 {
			t.Errorf("committed %+v, %v", committed, err)
		}
		if start := s.kafka.topics["g-shuffle"][1].start; start != 2 {
			t.Errorf("the log starts at %d, want 2", start)
		}
	})
}

// TestAvailable: where the backlog ends and when its newest line is, whatever the order of times.
func TestAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 2)
		if there, err := p.job.available(t.Context()); there != nil || err != nil {
			t.Errorf("an empty topic has %+v, %v", there, err)
		}
		s.lines(0, 2)
		s.kafka.topics["lines"][0].start = 2
		if there, err := p.job.available(t.Context()); there != nil || err != nil {
			t.Errorf("a topic whose lines are gone has %+v, %v", there, err)
		}
	})
	r := rand.New(rand.NewPCG(5, 5))
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			s, p := quiet(t, 0, 2)
			s.kafka.grow("lines", 3, true)
			newest := int64(0)
			var ends []int64
			for _, l := range s.kafka.topics["lines"] {
				for range r.IntN(20) {
					var b kafkaio.RecordBatch
					at := aTime - r.Int64N(1<<r.IntN(40))
					if r.IntN(50) == 0 {
						at = []int64{0, -1, aTime + 1<<40}[r.IntN(3)]
					}
					b.Append(at, nil, []byte("line"))
					s.kafka.append(l, &b, nil, false)
					newest = max(newest, at)
				}
				ends = append(ends, l.end())
			}
			there, err := p.job.available(t.Context())
			switch {
			case err != nil:
				t.Error(err)
			case there == nil:
				if fmt.Sprint(ends) != "[0 0 0]" {
					t.Errorf("nothing is there, but ends are %v", ends)
				}
			case there.newest != newest || fmt.Sprint(there.ends) != fmt.Sprint(ends):
				t.Errorf("%+v, want the newest line at %d and ends %v", there, newest, ends)
			}
		})
	}
}

// A position beyond the end of the log is another log's, or one that has lost its end: no guessing.
func TestOutOfRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 1, 1)
		s.lines(0, 5)
		task := &combineTask{task: p.task(0, 1, 0), inputs: []input{{partition: 0, position: 1}}}
		task.reader = p.job.broker.NewReader([]kafkaio.Position{{Topic: "lines", Offset: 1}})
		err := task.outOfRange(&task.inputs[0], &kafkaio.OffsetOutOfRangeError{Topic: "lines", Offset: 1, LogStart: 3, LogEnd: 5})
		if err != nil || task.inputs[0].position != 3 {
			t.Errorf("retention: position %d, %v; want 3", task.inputs[0].position, err)
		}
		err = task.outOfRange(&task.inputs[0], &kafkaio.OffsetOutOfRangeError{Topic: "lines", Offset: 9, LogStart: 3, LogEnd: 5})
		if !final(err) || !strings.Contains(err.Error(), "truncated or made anew") {
			t.Errorf("a log that ends before: %v", err)
		}
		other := errors.New("corrupt record batch")
		if err = task.outOfRange(&task.inputs[0], other); err != other {
			t.Errorf("another error: %v", err)
		}
	})
}

// The first start of a slot is the window of its first line; a partition without a leader is waited for, without haste.
func TestFirstTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := quiet(t, 3, 1)
		s.lines(1, 3)
		first := s.kafka.now()
		time.Sleep(time.Minute)
		s.lines(0, 2)
		s.kafka.topics["lines"][2].leaderless = true
		time.AfterFunc(10*time.Second, func() { s.heal() })
		task := &combineTask{task: p.task(0, 3, 0, 1, 2)}
		for partition := range int32(3) {
			task.inputs = append(task.inputs, input{partition: partition})
		}
		counting := &countingReader{reader: p.job.broker.NewReader([]kafkaio.Position{{Topic: "lines"}, {Topic: "lines", Partition: 1}, {Topic: "lines", Partition: 2}})}
		task.reader = counting
		began := time.Now()
		got, err := task.firstTime(t.Context())
		if err != nil || got != first {
			t.Errorf("%d, %v; want %d", got, err, first)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("took %v", took)
		}
		if counting.polls > 1000 {
			t.Errorf("%d fetches in 10 s", counting.polls)
		}
		// Nothing of what was looked at is lost.
		seen := make(map[int32]int)
		for range 10 {
			fetched, err := task.reader.Poll(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fetched {
				var rec kafkaio.Record
				for f.Next(&rec) {
					seen[f.Partition]++
				}
			}
		}
		if seen[0] != 2 || seen[1] != 3 {
			t.Errorf("lines %v are left, want 2 and 3", seen)
		}
	})
}

type countingReader struct {
	reader
	polls int
}

func (r *countingReader) Poll(ctx context.Context, wait time.Duration) ([]*kafkaio.Fetched, error) {
	r.polls++
	return r.reader.Poll(ctx, wait)
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := quiet(t, 1, 1)
		now := time.Now().UnixMilli()
		offsets := []kafkaio.Offset{{Metadata: wire.CombineState{Watermark: now + 7000}.Encode()}, {Metadata: "?"}}
		end := func(at int64) int64 { return p.job.interval.End(p.job.interval.Of(at)) }
		if got := p.job.until(now-60_000, offsets); got != end(now-60_000) {
			t.Errorf("LogAppendTime: %d", got)
		}
		p.job.createTime = true
		if got := p.job.until(now-60_000, offsets); got != end(now+7000) {
			t.Errorf("CreateTime, late lines are in the watermark's window: %d", got)
		}
		if got := p.job.until(math.MaxInt64, nil); got != end(now+60_000) {
			t.Errorf("CreateTime, a line far ahead counts as now: %d", got)
		}
	})
}
