package counter

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"wordcount/counter/reduce"
	"wordcount/counter/words"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// A window is not closed before it has ended, whatever the clock says; with the producers' times it may be.
func TestClosedAt(t *testing.T) {
	for _, c := range []struct {
		createTime bool
		late, want int64 // after the window's end, by the clock
	}{{false, 200, 200}, {false, -30, 0}, {true, 200, 200}, {true, -30, -30}} {
		task := &reduceTask{task: task{job: &job{partitions: 1, createTime: c.createTime}}, ends: packer{max: 1 << 20}}
		const end = aTime + anInterval
		task.write(reduce.Window{Start: aTime, End: end, Counts: new(words.Table)}, end+c.late)
		f := newFetched(topicPartition{}, 0, 0, 1, 1, time.Time{}, encodeBatch(task.ends.all()[0], batchHeader{appendTime: -1}), nil, nil)
		var rec kafkaio.Record
		if !f.Next(&rec) {
			t.Fatal(f.Err())
		}
		b, err := wire.ParseBatch(rec.Value)
		if got := b.ClosedAt.UnixMilli() - end; err != nil || got != c.want {
			t.Errorf("%+v: closed %d ms after its end, %v", c, got, err)
		}
	}
}

// BenchmarkRows: what a row costs from the sum to a compressed record batch.
func BenchmarkRows(b *testing.B) {
	const distinct = 40_000
	random := rand.New(rand.NewPCG(1, 1))
	var counts words.Table
	for seen := make(map[string]bool); len(seen) < distinct; { // half of the words stand there once, a few often; their lengths are those of English
		word := make([]byte, min(random.IntN(5)+random.IntN(5)+random.IntN(5)+2, 30))
		for i := range word {
			word[i] = 'a' + byte(random.IntN(26))
		}
		seen[string(word)] = true
		counts.Add(word, 1+int64(0.7*random.ExpFloat64()*math.Exp(random.ExpFloat64())))
	}
	t := &reduceTask{task: task{job: &job{partitions: 4}}, rows: rows{max: 1 << 20}, ends: packer{max: 1 << 20}}
	b.ReportAllocs()
	for i := 0; i < b.N; i += distinct {
		t.write(reduce.Window{Start: aTime, End: aTime + anInterval, Counts: &counts}, aTime)
		t.rows.all()
		t.rows.sent()
		t.ends.sent()
	}
}

// What no task reads again is deleted when the commits of a window are over, long before the next ones.
func TestDeletedBetweenWindows(t *testing.T) {
	for _, test := range []struct {
		interval        time.Duration // of windows
		earliest, after time.Duration // after a window's end
		most            time.Duration // between two of them
	}{
		{time.Minute, deleteAfter, 2 * time.Second, time.Minute + 2*time.Second},
		{5 * time.Second, deleteAfter, 2 * time.Second, deleteInterval + 5*time.Second + 2*time.Second},
		{200 * time.Millisecond, 0, 200 * time.Millisecond, deleteInterval + 2*time.Second}, // their commits are never over
	} {
		t.Run(test.interval.String(), func(t *testing.T) {
			whileAtWork(t, test.interval, func(t *testing.T, s *schedule, p *process, b noting) {
				end := time.Now()
				for range 6000 {
					s.lines(0, 1)
					time.Sleep(100 * time.Millisecond)
				}
				deletes := b.those(func(one sent) bool { return one.what == "delete" && one.at.After(end) })
				if len(deletes) < 9 {
					t.Fatalf("%v", deletes)
				}
				for i, one := range deletes {
					if at := one.at.Sub(end) % test.interval; at < test.earliest || at > test.after {
						t.Errorf("%v after a window's end: %v", at, one)
					}
					if i == 0 {
						continue
					}
					before := deletes[i-1]
					if gap := one.at.Sub(before.at); gap < deleteInterval || gap > test.most || one.offsets[0].Offset <= before.offsets[0].Offset {
						t.Errorf("%v after the one before: %v, %v", gap, before, one)
					}
				}
				if _, start, _ := s.committed("g-shuffle", 0); start != deletes[len(deletes)-1].offsets[0].Offset {
					t.Errorf("it starts at %d: %v", start, deletes[len(deletes)-1])
				}
			})
		})
	}
}
