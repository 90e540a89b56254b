package printer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"wordcount/internal/wire"
)

// FromBeginning is the window end after which a Joiner shows windows when it is to show all.
const FromBeginning int64 = math.MinInt64

// Batch is a window of which every partition's share is known or known to be incomplete for ever.
type Batch struct {
	WindowStart, WindowEnd int64       // milliseconds since the epoch
	Lines, LateLines       int64       // of the whole batch
	Words, DistinctWords   int64       // of the whole batch
	ClosedAt               int64       // when the last share was closed, milliseconds since the epoch
	AppendedAt             int64       // when Kafka appended the last share's record, milliseconds since the epoch
	Matching               int64       // distinct words that may be shown: all of them, or those that pass the filter
	Top                    []WordCount // the words to show, in order
	Page                   *pageWords  // for the page; nil when there is none
	// Cut tells what retention has removed of the batch, which cannot be shown then: everything above but the window may be wrong.
	// It is empty for a complete batch.
	Cut string
}

// More tells whether the batch has words that may be shown and are not in Top.
func (b *Batch) More() bool { return b.Matching > int64(len(b.Top)) }

// Joiner puts batches together from the records of the 2·Q partitions of word-counts and batches, of which Kafka shows each
// transaction partition by partition, in any order. It yields windows in order of time, each at most once.
//
// It relies on this: within a partition windows come in order of time, because one reduce task writes them; and a batches record
// in partition q tells how many rows partition q of word-counts has of its window. So
//
//   - the shares of a window are all announced, and all windows before it are known, once every batches/q has shown this window
//     or a later one; a batches/q that then has no record of it lost it to retention;
//   - a share is complete when word-counts/q has shown as many rows as were announced. It never will be when word-counts/q has
//     shown a later window, or when nothing is left to read of it and its reading began behind the log's start.
//
// Rows and records of windows that are over (shown, cut, or before the start) are dropped. It keeps nothing but the windows that are
// not over, and of those only the words that may be shown. It knows no Kafka and no clock; it is one goroutine's.
type Joiner struct {
	limit   int
	filter  *wordFilter // which words may be shown; nil: all
	page    *pageKeeper // what is kept for the page besides; nil: nothing
	over    int64       // end of the newest window that is over
	open    []*window   // the others of which something was seen, by end
	most    int         // windows that may be open; see CountsAhead
	counts  []rowLog    // what is known of word-counts/q
	batches []int64     // end of the newest window that batches/q has shown
}

type rowLog struct {
	newest   int64     // end of the newest window that was seen
	last     *window   // of the last row
	cut      bool      // its reading began, or began anew, where earlier rows may be missing
	cutUntil int64     // end of the first window seen after that: of later ones all rows are seen
	readAt   time.Time // at this time, everything in it had been read
}

type window struct {
	start, end int64
	announced  int // shares
	lines      int64
	late       int64
	closedAt   int64
	appendedAt int64
	shares     []share // by partition
	crowded    bool    // it has more words than could be kept for the page
}

// share is a partition's part of a window.
type share struct {
	rows, sum       int64 // seen
	distinct, words int64 // announced
	announced       bool
	announcedAt     time.Time
	matching        int64 // rows seen that pass the filter
	top             topWords
	page            *pageShare // nil when nothing was kept for the page
}

// NewJoiner returns a Joiner for topics of that many partitions, which yields the windows that end after a time (milliseconds since
// the epoch, or FromBeginning) with the first limit words (0: all) of each.
func NewJoiner(partitions, limit int, after int64) *Joiner {
	j := &Joiner{limit: limit, over: after, most: mostOpen, counts: make([]rowLog, partitions), batches: make([]int64, partitions)}
	for q := range partitions {
		j.counts[q].newest, j.batches[q] = math.MinInt64, math.MinInt64
	}
	return j
}

// Count takes in a record of word-counts/q. The row is not kept. An error means that the topics hold what no counter writes.
func (j *Joiner) Count(q int32, row *wire.CountRow) error {
	log := &j.counts[q]
	log.newest = max(log.newest, row.WindowEnd)
	if log.cut && log.cutUntil == math.MinInt64 {
		log.cutUntil = row.WindowEnd
	}
	if row.WindowEnd <= j.over {
		return nil
	}
	w := log.last
	if w == nil || w.end != row.WindowEnd || w.start != row.WindowStart {
		var err error
		if w, err = j.window(row.WindowStart, row.WindowEnd); err != nil {
			return err
		}
		log.last = w
	}
	s := &w.shares[q]
	s.rows++
	s.sum += row.Count
	if j.filter == nil || j.filter.matches(row.Word) {
		s.matching++
		s.top.add(row.Word, row.Count, j.limit)
	}
	if j.page != nil {
		j.page.keep(w, s, row)
	}
	return w.check(q)
}

// Batch takes in a record of batches/q that Kafka appended at a time, in milliseconds since the epoch, and that was received at
// a time of the clock that CaughtUp uses. An error means that the topics hold what no counter writes.
func (j *Joiner) Batch(q int32, b wire.Batch, appended int64, received time.Time) error {
	end := b.WindowEnd.UnixMilli()
	j.batches[q] = max(j.batches[q], end)
	if end <= j.over {
		return nil
	}
	if b.Partitions != len(j.batches) {
		return &PartitionsError{Recorded: b.Partitions, Topic: len(j.batches)}
	}
	if b.Partition != int(q) {
		return fmt.Errorf("the record is partition %d's and stands in partition %d", b.Partition, q)
	}
	w, err := j.window(b.WindowStart.UnixMilli(), end)
	if err != nil {
		return err
	}
	s := &w.shares[q]
	if w.announced > 0 && (w.lines != b.Lines || w.late != b.LateLines) ||
		s.announced && (s.distinct != b.DistinctWords || s.words != b.Words) {
		return fmt.Errorf("the window ending %s has two records that contradict each other", formatTime(end))
	}
	w.lines, w.late = b.Lines, b.LateLines
	w.closedAt = max(w.closedAt, b.ClosedAt.UnixMilli())
	w.appendedAt = max(w.appendedAt, appended)
	if !s.announced {
		w.announced++
		s.announced, s.announcedAt = true, received
	}
	s.distinct, s.words = b.DistinctWords, b.Words
	return w.check(q)
}

// Cut tells that the rows of word-counts/q that are taken in next do not follow those before: retention removed some between, or
// what stood before the first.
func (j *Joiner) Cut(q int32) {
	j.counts[q].cut, j.counts[q].cutUntil = true, math.MinInt64
}

// CaughtUp tells that at a time nothing was left in word-counts/q that has not been taken in, not even of an open transaction.
func (j *Joiner) CaughtUp(q int32, at time.Time) {
	j.counts[q].readAt = at
}

// mostOpen is how many windows are put together at a time while there are later ones: they take memory, half a KiB each besides their words.
const mostOpen = 1000

// CountsAhead tells whether word-counts/q has shown so many windows more than others that it need not be read on before some are over. It has
// then shown all that it has of the oldest open one: who does as this says waits for nobody in vain.
func (j *Joiner) CountsAhead(q int32) bool { return j.ahead(j.counts[q].newest) }

// BatchesAhead is the same for batches/q.
func (j *Joiner) BatchesAhead(q int32) bool { return j.ahead(j.batches[q]) }

func (j *Joiner) ahead(newest int64) bool {
	return len(j.open) > j.most && newest > j.open[j.most].end
}

// Next returns the next window in order of time that is complete, or that can no longer be completed (see Batch.Cut).
func (j *Joiner) Next() (Batch, bool) {
	if len(j.open) == 0 {
		return Batch{}, false
	}
	w := j.open[0]
	for q := range j.batches {
		if j.batches[q] < w.end { // may still show this window, or an earlier one
			return Batch{}, false
		}
	}
	b := Batch{WindowStart: w.start, WindowEnd: w.end, Lines: w.lines, LateLines: w.late, ClosedAt: w.closedAt, AppendedAt: w.appendedAt}
	waiting := false
	for q := range w.shares {
		s := &w.shares[q]
		switch {
		case !s.announced:
			b.Cut = fmt.Sprintf("the record in partition %d", q)
		case s.rows < s.distinct && j.lost(q, w):
			b.Cut = fmt.Sprintf("%d of the %d rows in partition %d", s.distinct-s.rows, s.distinct, q)
		case s.rows < s.distinct:
			waiting = true
		}
		b.Words += s.words
		b.DistinctWords += s.distinct
		b.Matching += s.matching
	}
	switch {
	case b.Cut == "" && waiting:
		return Batch{}, false
	case b.Cut == "":
		b.Top = mergeTop(w.shares, j.limit)
	}
	if j.page != nil {
		b.Page = j.page.take(w)
	}
	j.over = w.end
	j.open[0] = nil
	j.open = j.open[1:]
	return b, true
}

// lost tells whether word-counts/q will never show the rows that a window lacks.
func (j *Joiner) lost(q int, w *window) bool {
	log := &j.counts[q]
	if log.newest > w.end {
		return true
	}
	mayBeCut := log.cut && (log.cutUntil == math.MinInt64 || w.end <= log.cutUntil)
	return mayBeCut && log.readAt.After(w.shares[q].announcedAt)
}

// window finds an open window, or opens it.
func (j *Joiner) window(start, end int64) (*window, error) {
	i, found := len(j.open), false
	if i > 0 && j.open[i-1].end >= end {
		i, found = slices.BinarySearchFunc(j.open, end, func(w *window, end int64) int { return cmp.Compare(w.end, end) })
	}
	if !found {
		j.open = slices.Insert(j.open, i, &window{start: start, end: end, shares: make([]share, len(j.batches))})
	}
	w := j.open[i]
	if w.start != start {
		return nil, fmt.Errorf("the window ending %s starts at %s, and elsewhere at %s", formatTime(end), formatTime(start), formatTime(w.start))
	}
	return w, nil
}

// check compares what was announced of a share with what was seen of it.
func (w *window) check(q int32) error {
	s := &w.shares[q]
	switch {
	case !s.announced || s.rows < s.distinct:
		return nil
	case s.rows > s.distinct:
		return fmt.Errorf("the window ending %s has %d rows in partition %d, and its record says %d", formatTime(w.end), s.rows, q, s.distinct)
	case s.sum != s.words:
		return fmt.Errorf("the window ending %s has counts that add up to %d in partition %d, and its record says %d", formatTime(w.end), s.sum, q, s.words)
	}
	return nil
}

// PartitionsError says that a record was written when the topics had another number of partitions than now.
type PartitionsError struct{ Recorded, Topic int }

func (e *PartitionsError) Error() string {
	return fmt.Sprintf("the record is of %d partitions, the topic has %d", e.Recorded, e.Topic)
}
