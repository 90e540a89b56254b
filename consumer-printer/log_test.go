package printer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"wordcount/internal/wire"
)

// This is Kafka as the Joiner's contract describes it, in memory and on one goroutine: 2·Q partitions that Q reduce tasks write in
// transactions, whose markers reach the two partitions one after the other; retention; and a reader with fetches under way. Random
// decides what happens next, and a seed repeats it.

// logs is the whole of it. Time is the number of steps so far.
type logs struct {
	random  *rand.Rand
	now     int64
	windows []testWindow
	counts  []partitionLog[wire.CountRow]
	batches []partitionLog[wire.Batch]
	closed  []int // windows that reduce task q has written
	markers []int // that its last transaction still has to write: 2, 1 or 0
	first   []int // which of them comes first: 0 for counts
}

// testWindow is what was counted.
type testWindow struct {
	start, end  int64
	lines, late int64
	shares      []map[string]int64 // by partition
}

// partitionLog is a partition and its reader.
type partitionLog[T any] struct {
	records  []T
	times    []int64 // append times
	stable   int     // last stable offset
	start    int     // log start
	position int     // of the reader
	fetch    *[2]int // under way: the position and the last stable offset it found
	sentAt   int64
	caughtUp bool
}

func (p *partitionLog[T]) append(now int64, r T) {
	p.records = append(p.records, r)
	p.times = append(p.times, now)
}

func newLogs(random *rand.Rand) *logs {
	partitions := 1 + random.IntN(4)
	l := &logs{
		random:  random,
		counts:  make([]partitionLog[wire.CountRow], partitions),
		batches: make([]partitionLog[wire.Batch], partitions),
		closed:  make([]int, partitions), markers: make([]int, partitions), first: make([]int, partitions),
	}
	const interval = 5000
	end := int64(1769030725000)
	for range 1 + random.IntN(12) {
		end += interval * int64(1+random.IntN(2)*random.IntN(100)) // now and then a run of empty windows that nobody reports
		w := testWindow{start: end - interval, end: end, lines: random.Int64N(100), late: random.Int64N(3), shares: make([]map[string]int64, partitions)}
		vocabulary := random.IntN(3) * random.IntN(12)
		for q := range w.shares {
			w.shares[q] = make(map[string]int64)
			for range vocabulary {
				w.shares[q][fmt.Sprintf("word %d of %d", random.IntN(2*vocabulary), q)] = 1 + random.Int64N(4)
			}
		}
		l.windows = append(l.windows, w)
	}
	return l
}

// reduce lets reduce task q do its next step; it returns false when there is none.
func (l *logs) reduce(q int) bool {
	if l.markers[q] > 0 {
		if l.first[q]^(l.markers[q]&1) == 0 {
			l.counts[q].stable = len(l.counts[q].records)
		} else {
			l.batches[q].stable = len(l.batches[q].records)
		}
		l.markers[q]--
		return true
	}
	if l.closed[q] == len(l.windows) {
		return false
	}
	for range 1 + l.random.IntN(3) {
		if l.closed[q] == len(l.windows) {
			break
		}
		w := l.windows[l.closed[q]]
		l.closed[q]++
		b := w.record(q, l.now)
		for word, n := range w.shares[q] {
			l.counts[q].append(l.now, wire.CountRow{WindowStart: w.start, WindowEnd: w.end, Word: []byte(word), Count: n})
		}
		l.batches[q].append(l.now, b)
	}
	l.markers[q], l.first[q] = 2, l.random.IntN(2)
	return true
}

// record is the window's record in batches/q.
func (w *testWindow) record(q int, now int64) wire.Batch {
	b := wire.Batch{
		WindowStart: time.UnixMilli(w.start).UTC(), WindowEnd: time.UnixMilli(w.end).UTC(), Partition: q, Partitions: len(w.shares),
		Lines: w.lines, LateLines: w.late, DistinctWords: int64(len(w.shares[q])), ClosedAt: time.UnixMilli(w.end + now).UTC(),
	}
	for _, n := range w.shares[q] {
		b.Words += n
	}
	return b
}

// retain removes some of the visible records of a partition.
func (p *partitionLog[T]) retain(random *rand.Rand) {
	p.start += random.IntN(p.stable - p.start + 1)
}

// step does the reader's next step in a partition: it sends a fetch, or takes in what the fetch found. The partition may have moved on
// in between. A position that retention has overtaken is moved behind it, and gone is called.
func (p *partitionLog[T]) step(l *logs, gone func(), take func(T)) (caughtUp bool) {
	if p.fetch == nil {
		if p.position < p.start {
			p.position = p.start
			gone()
		}
		end := p.position + l.random.IntN(p.stable-p.position+1)
		if l.random.IntN(2) == 0 {
			end = p.stable
		}
		p.fetch = &[2]int{p.position, end}
		p.sentAt = l.now
		p.caughtUp = end == len(p.records)
		return false
	}
	for _, r := range p.records[p.fetch[0]:p.fetch[1]] {
		take(r)
	}
	p.position = p.fetch[1]
	p.fetch = nil
	return p.caughtUp
}

// reading is a Joiner that reads logs, and what it was given.
type reading struct {
	*logs
	joiner  *Joiner
	rows    []map[int64]int64      // window end → rows taken in, by partition
	records []map[int64]wire.Batch // window end → record taken in, by partition
	results []Batch
	err     error
	holds   bool // what is ahead waits
}

func read(l *logs, limit int, after int64) *reading {
	r := &reading{logs: l, joiner: NewJoiner(len(l.counts), limit, after)}
	for range l.counts {
		r.rows = append(r.rows, make(map[int64]int64))
		r.records = append(r.records, make(map[int64]wire.Batch))
	}
	return r
}

// writing is how long after its closing a share is appended, in milliseconds.
const writing = 7

func tick(n int64) time.Time { return time.Unix(0, n) }

func (r *reading) readCounts(q int) {
	if r.holds && r.joiner.CountsAhead(int32(q)) {
		return
	}
	caughtUp := r.counts[q].step(r.logs, func() { r.joiner.Cut(int32(q)) }, func(row wire.CountRow) {
		r.rows[q][row.WindowEnd]++
		if err := r.joiner.Count(int32(q), &row); err != nil && r.err == nil {
			r.err = err
		}
	})
	if caughtUp {
		r.joiner.CaughtUp(int32(q), tick(r.counts[q].sentAt))
	}
}

func (r *reading) readBatches(q int) {
	if r.holds && r.joiner.BatchesAhead(int32(q)) {
		return
	}
	r.batches[q].step(r.logs, func() {}, func(b wire.Batch) {
		r.records[q][b.WindowEnd.UnixMilli()] = b
		if err := r.joiner.Batch(int32(q), b, b.ClosedAt.UnixMilli()+writing, tick(r.now)); err != nil && r.err == nil {
			r.err = err
		}
	})
}

func (r *reading) collect() {
	for {
		b, ok := r.joiner.Next()
		if !ok {
			return
		}
		r.results = append(r.results, b)
	}
}

// run lets things happen in random order for a while: reduce tasks, fetches, retention when it is on.
func (r *reading) run(steps int, retention bool) {
	for range steps {
		r.now++
		q := r.random.IntN(len(r.counts))
		switch n := r.random.IntN(100); {
		case n < 20:
			r.reduce(q)
		case n < 55:
			r.readCounts(q)
		case n < 80:
			r.readBatches(q)
		case n < 82 && retention:
			r.counts[q].retain(r.random)
		case n < 84 && retention:
			r.batches[q].retain(r.random)
		default:
			r.collect()
		}
	}
}

// finish lets everything happen that is still to happen.
func (r *reading) finish() {
	for q := range r.counts {
		for r.reduce(q) {
			r.now++
		}
	}
	for range 100 {
		for q := range r.counts {
			r.now++
			r.readBatches(q)
			r.readCounts(q)
		}
		if r.holds {
			r.collect()
		}
	}
	r.collect()
}

// shown is what a window must look like when it is complete.
func (r *reading) shown(w *testWindow, limit int) Batch {
	b := Batch{WindowStart: w.start, WindowEnd: w.end, Lines: w.lines, LateLines: w.late}
	for q, share := range w.shares {
		b.ClosedAt = max(b.ClosedAt, r.records[q][w.end].ClosedAt.UnixMilli())
		for word, n := range share {
			b.Words += n
			b.DistinctWords++
			b.Matching++
			b.Top = append(b.Top, WordCount{word, n})
		}
	}
	b.AppendedAt = b.ClosedAt + writing
	for i := range b.Top { // the simplest sort there is
		for k := range b.Top[:i] {
			if x, y := b.Top[i], b.Top[k]; x.Count > y.Count || x.Count == y.Count && x.Word < y.Word {
				b.Top[i], b.Top[k] = y, x
			}
		}
	}
	if limit > 0 && len(b.Top) > limit {
		b.Top = b.Top[:limit]
	}
	return b
}

// complete tells whether all of a window was taken in, and announced whether any record of it was.
func (r *reading) state(w *testWindow) (complete, announced bool) {
	complete = true
	for q, share := range w.shares {
		_, ok := r.records[q][w.end]
		announced = announced || ok
		complete = complete && ok && r.rows[q][w.end] == int64(len(share))
	}
	return complete, announced
}

// settled is the end of the newest window that every batches/q has shown, it or a later one.
func (r *reading) settled() int64 {
	settled := int64(math.MaxInt64)
	for q := range r.records {
		newest := int64(math.MinInt64)
		for end := range r.records[q] {
			newest = max(newest, end)
		}
		settled = min(settled, newest)
	}
	return settled
}
