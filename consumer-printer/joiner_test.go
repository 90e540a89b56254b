package printer

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"wordcount/internal/wire"
)

// checkResults compares what a Joiner has yielded with what it should have, from all that it was given: every window after a
// time that is complete, and each other one of which a record was there as cut, in order.
func (r *reading) checkResults(limit int, after int64) error {
	if r.err != nil {
		return r.err
	}
	results := r.results
	settled := r.settled()
	for i := range r.windows {
		w := &r.windows[i]
		complete, announced := r.state(w)
		if len(results) > 0 && results[0].WindowEnd == w.end && results[0].Cut != "" && !announced {
			results = results[1:] // only rows are left of it: it may be noticed or not
			continue
		}
		if w.end <= after || w.end > settled || !announced {
			continue
		}
		if len(results) == 0 {
			return fmt.Errorf("window %d is missing", w.end)
		}
		switch got := results[0]; {
		case got.WindowEnd != w.end:
			return fmt.Errorf("window %d is due, not %d", w.end, got.WindowEnd)
		case complete && !equal(got, r.shown(w, limit)):
			return fmt.Errorf("got %+v, want %+v", got, r.shown(w, limit))
		case !complete && got.Cut == "":
			return fmt.Errorf("window %d is shown, and is not complete: %+v", w.end, got)
		}
		results = results[1:]
	}
	if len(results) > 0 {
		return fmt.Errorf("not expected: %+v", results)
	}
	return nil
}

func equal(a, b Batch) bool {
	if len(a.Top) == 0 && len(b.Top) == 0 {
		a.Top, b.Top = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func TestAnySchedule(t *testing.T) {
	shown, cut := 0, 0
	for seed := range uint64(6000) {
		random := rand.New(rand.NewPCG(seed, 1))
		limit := random.IntN(5)
		retention := seed%2 == 1
		r := read(newLogs(random), limit, FromBeginning)
		if r.holds = seed%3 == 1; r.holds {
			r.joiner.most = int(seed % 4)
		}
		r.run(random.IntN(400), retention)
		early := len(r.results)
		r.finish()
		if err := r.checkResults(limit, FromBeginning); err != nil {
			t.Fatalf("seed %d (%d results before the end): %v", seed, early, err)
		}
		for _, b := range r.results {
			if b.Cut == "" {
				shown++
			} else {
				cut++
			}
		}
		if len(r.joiner.open) > 0 && r.joiner.open[0].end <= r.settled() {
			t.Fatalf("seed %d: window %d is still kept", seed, r.joiner.open[0].end)
		}
	}
	if shown < 10000 || cut < 1000 {
		t.Errorf("%d windows shown, %d cut: too few to mean anything", shown, cut)
	}
}

// However many windows the topics hold, few are open at a time, and nobody waits in vain, not even for a partition that is away for long.
func TestAhead(t *testing.T) {
	const windows, fetch = 5000, 300
	j := NewJoiner(2, 1, FromBeginning)
	j.most = 100
	var batches, counts [2]int // read of each partition
	shown, most := 0, 0
	for round := 0; shown < windows; round++ {
		if round > 100*windows {
			t.Fatalf("%d windows shown; batches read to %v, counts to %v", shown, batches, counts)
		}
		for q := range int32(2) {
			away := q == 1 && round < 200
			for range fetch {
				if n := batches[q]; !away && n < windows && !j.BatchesAhead(q) {
					batches[q]++
					if err := j.Batch(q, testBatch(testEnd+5000*int64(n), int(q), 2, 1, 1), 0, tick(1)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if n := counts[q]; n < windows && !j.CountsAhead(q) { // windows with many words: a fetch is one window's
				counts[q]++
				if err := j.Count(q, testRow(testEnd+5000*int64(n), "word", 1)); err != nil {
					t.Fatal(err)
				}
			}
		}
		most = max(most, len(j.open))
		for b, ok := j.Next(); ok; b, ok = j.Next() {
			if want := testEnd + 5000*int64(shown); b.WindowEnd != want || b.Cut != "" || b.Words != 2 {
				t.Fatalf("showed %+v, want %d", b, want)
			}
			shown++
		}
	}
	if most > j.most+2 { // with fetches of several windows a fetch more
		t.Errorf("%d windows were open", most)
	}
}

// A printer that starts in the middle shows all windows after the newest one that is visible, and needs for that only the rows after
// the oldest of the newest records of each partition.
func TestAnyStart(t *testing.T) {
	shown := 0
	for seed := range uint64(4000) {
		random := rand.New(rand.NewPCG(seed, 2))
		l := newLogs(random)
		for range random.IntN(100) {
			l.now++
			l.reduce(random.IntN(len(l.counts)))
		}
		after, oldest := FromBeginning, int64(math.MaxInt64)
		for q := range l.batches {
			b := &l.batches[q]
			b.position = b.stable
			if b.stable > 0 {
				after = max(after, b.records[b.stable-1].WindowEnd.UnixMilli())
				oldest = min(oldest, b.times[b.stable-1])
			}
		}
		r := read(l, 0, after)
		for q := range l.counts {
			c := &l.counts[q]
			for l.batches[q].stable > 0 && c.position < c.stable && c.times[c.position] < oldest {
				c.position++
			}
			if c.position > 0 {
				r.joiner.Cut(int32(q))
			}
		}
		r.run(random.IntN(400), false)
		r.finish()
		if err := r.checkResults(0, after); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		due := 0
		for _, w := range r.windows {
			if w.end > after {
				due++
			}
		}
		for _, b := range r.results {
			if b.Cut != "" {
				t.Fatalf("seed %d: cut: %+v", seed, b)
			}
		}
		if due != len(r.results) {
			t.Fatalf("seed %d: %d windows shown, %d were closed", seed, len(r.results), due)
		}
		shown += due
	}
	if shown < 3000 {
		t.Errorf("%d windows shown: too few to mean anything", shown)
	}
}

const testEnd = 1769030730000

func testRow(end int64, word string, n int64) *wire.CountRow {
	return &wire.CountRow{WindowStart: end - 5000, WindowEnd: end, Word: []byte(word), Count: n}
}

func testBatch(end int64, partition, partitions int, words, distinct int64) wire.Batch {
	return wire.Batch{
		WindowStart: time.UnixMilli(end - 5000), WindowEnd: time.UnixMilli(end), Partition: partition, Partitions: partitions,
		Lines: 7, Words: words, DistinctWords: distinct, ClosedAt: time.UnixMilli(end + 100),
	}
}

func TestContradictions(t *testing.T) {
	for _, tc := range []struct {
		name  string
		steps func(j *Joiner) error
		want  string // "" for none
	}{
		{"the same record twice", func(j *Joiner) error {
			return errors.Join(j.Batch(0, testBatch(testEnd, 0, 2, 1, 1), 0, tick(0)), j.Batch(0, testBatch(testEnd, 0, 2, 1, 1), 0, tick(0)))
		}, ""},
		{"another record of the same share", func(j *Joiner) error {
			return errors.Join(j.Batch(0, testBatch(testEnd, 0, 2, 1, 1), 0, tick(0)), j.Batch(0, testBatch(testEnd, 0, 2, 2, 1), 0, tick(0)))
		}, "the window ending 2026-01-21T21:25:30Z has two records that contradict each other"},
		{"lines differ", func(j *Joiner) error {
			b := testBatch(testEnd, 1, 2, 1, 1)
			b.Lines++
			return errors.Join(j.Batch(0, testBatch(testEnd, 0, 2, 1, 1), 0, tick(0)), j.Batch(1, b, 0, tick(0)))
		}, "two records that contradict each other"},
		{"late lines differ", func(j *Joiner) error {
			b := testBatch(testEnd, 1, 2, 1, 1)
			b.LateLines++
			return errors.Join(j.Batch(0, testBatch(testEnd, 0, 2, 1, 1), 0, tick(0)), j.Batch(1, b, 0, tick(0)))
		}, "two records that contradict each other"},
		{"record of another number of partitions", func(j *Joiner) error {
			return j.Batch(0, testBatch(testEnd, 0, 4, 1, 1), 0, tick(0))
		}, "the record is of 4 partitions, the topic has 2"},
		{"the same before the start", func(j *Joiner) error {
			return j.Batch(0, testBatch(testEnd-5000, 0, 4, 1, 1), 0, tick(0))
		}, ""},
		{"record in a wrong partition", func(j *Joiner) error {
			return j.Batch(0, testBatch(testEnd, 1, 2, 1, 1), 0, tick(0))
		}, "the record is partition 1's and stands in partition 0"},
		{"more rows than announced", func(j *Joiner) error {
			return errors.Join(j.Batch(1, testBatch(testEnd, 1, 2, 1, 1), 0, tick(0)), j.Count(1, testRow(testEnd, "a", 1)), j.Count(1, testRow(testEnd, "b", 1)))
		}, "has 2 rows in partition 1, and its record says 1"},
		{"the same, the record last", func(j *Joiner) error {
			return errors.Join(j.Count(1, testRow(testEnd, "a", 1)), j.Count(1, testRow(testEnd, "b", 1)), j.Batch(1, testBatch(testEnd, 1, 2, 1, 1), 0, tick(0)))
		}, "has 2 rows in partition 1, and its record says 1"},
		{"another sum than announced", func(j *Joiner) error {
			return errors.Join(j.Batch(1, testBatch(testEnd, 1, 2, 3, 1), 0, tick(0)), j.Count(1, testRow(testEnd, "a", 2)))
		}, "has counts that add up to 2 in partition 1, and its record says 3"},
		{"another interval", func(j *Joiner) error {
			row := testRow(testEnd, "a", 1)
			row.WindowStart -= 5000
			return errors.Join(j.Batch(1, testBatch(testEnd, 1, 2, 1, 1), 0, tick(0)), j.Count(1, row))
		}, "the window ending 2026-01-21T21:25:30Z starts at 2026-01-21T21:25:20Z, and elsewhere at 2026-01-21T21:25:25Z"},
	} {
		err := tc.steps(NewJoiner(2, 10, testEnd-5000))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// What arrives again of a window that is over shows nothing again.
func TestNothingTwice(t *testing.T) {
	j := NewJoiner(1, 10, FromBeginning)
	shown := 0
	for range 3 {
		if err := errors.Join(j.Batch(0, testBatch(testEnd, 0, 1, 2, 1), 0, tick(0)), j.Count(0, testRow(testEnd, "a", 2))); err != nil {
			t.Fatal(err)
		}
		for _, ok := j.Next(); ok; _, ok = j.Next() {
			shown++
		}
	}
	if shown != 1 || len(j.open) != 0 {
		t.Errorf("shown %d times, %d windows kept", shown, len(j.open))
	}
}

func TestCutIsSaid(t *testing.T) {
	j := NewJoiner(2, 10, FromBeginning)
	next := func(want string) {
		t.Helper()
		b, ok := j.Next()
		if got := fmt.Sprint(ok, " ", b.Cut); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// Partition 1 has lost a record, then partition 0 some rows, then all rows without a later one.
	j.Batch(0, testBatch(testEnd, 0, 2, 0, 0), 0, tick(0))
	next("false ")
	j.Batch(1, testBatch(testEnd+5000, 1, 2, 0, 0), 0, tick(0))
	next("true the record in partition 1")
	j.Batch(0, testBatch(testEnd+5000, 0, 2, 3, 3), 0, tick(0))
	j.Count(0, testRow(testEnd+5000, "a", 1))
	next("false ")
	j.Count(0, testRow(testEnd+10000, "a", 1))
	next("true 2 of the 3 rows in partition 0")
	j.Batch(0, testBatch(testEnd+10000, 0, 2, 1, 1), 0, tick(5))
	j.Batch(1, testBatch(testEnd+10000, 1, 2, 1, 1), 0, tick(5))
	j.CaughtUp(1, tick(6))
	next("false ") // nothing says that rows were removed
	j.Cut(1)
	j.CaughtUp(1, tick(5))
	next("false ") // the fetch was sent before the record was known
	j.CaughtUp(1, tick(6))
	next("true 1 of the 1 rows in partition 1")
	next("false ")
}

// A backlog of a week and a batches topic that is read long before word-counts: memory is bounded by the open windows.
func BenchmarkJoiner(b *testing.B) {
	const partitions, words = 4, 1000
	var rows [][]byte
	for i := range words {
		rows = append(rows, fmt.Appendf(nil, "word-%d", i))
	}
	random := rand.New(rand.NewPCG(1, 1))
	j := NewJoiner(partitions, 10, FromBeginning)
	end := int64(testEnd)
	n := 0
	for b.Loop() {
		end += 5000
		for q := range partitions {
			sum := int64(0)
			for _, word := range rows {
				row := wire.CountRow{WindowStart: end - 5000, WindowEnd: end, Word: word, Count: 1 + random.Int64N(1000)}
				sum += row.Count
				if err := j.Count(int32(q), &row); err != nil {
					b.Fatal(err)
				}
				n++
			}
			if err := j.Batch(int32(q), testBatch(end, q, partitions, sum, words), 0, tick(0)); err != nil {
				b.Fatal(err)
			}
		}
		if _, ok := j.Next(); !ok {
			b.Fatal("not complete")
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}
