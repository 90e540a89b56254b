package soak

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"wordcount/e2e/oracle"
)

// Ledger holds what has been read of the topics against what the oracle says of the lines, window by window while they come,
// and forgets what agrees: it is for runs that are too long to be kept. One goroutine's.
//
// Where lines are late, which only a broker that dies with the only copy that consumers may not see yet brings about
// (docs/delivery.md), a window may have fewer lines than the oracle says and a later one so many more: the ledger carries them
// over, and demands that late_lines says of each where it went.
type Ledger struct {
	interval   time.Duration
	partitions int // of each topic
	output     *oracle.Output
	feeds      map[int]*numbers
	windows    map[int64]*oracle.Window // not compared yet
	newest     map[int32]int64          // time of the newest line in each partition
	compared   int64                    // windows that end until here have been

	owed     map[string]int64 // words of late lines that are not counted yet
	owedLine int64

	Lines, Words, Windows, Empty, Late int64
	Lost, Doubled, Torn                int64
	problems                           []error

	// Printed is called with what a printer must show of each window, without the time at which it was closed.
	Printed func(end int64, json string)
}

// numbers are which lines of a feed are on the topic.
type numbers struct {
	bits  []uint64
	count int64
	end   int64 // one more than the greatest
}

// NewLedger is for topics of so many partitions each, that of lines too.
func NewLedger(interval time.Duration, partitions int) *Ledger {
	return &Ledger{interval: interval, partitions: partitions, output: oracle.NewOutput(interval, partitions), feeds: make(map[int]*numbers),
		windows: make(map[int64]*oracle.Window), newest: make(map[int32]int64), owed: make(map[string]int64),
		Printed: func(int64, string) {}}
}

// Problems are the first of what is wrong.
func (l *Ledger) Problems() error { return errors.Join(l.problems...) }

func (l *Ledger) problem(tally *int64, n int64, format string, args ...any) {
	*tally += n
	if len(l.problems) < 20 {
		l.problems = append(l.problems, fmt.Errorf(format, args...))
	}
}

// Lines are lines of the topic, counted apart from the ledger: that is most of the work, and who waits for the ledger must not wait
// for it.
type Lines struct {
	lines   []oracle.Line
	windows map[int64]*oracle.Window
}

// CountLines counts the next lines of the topic.
func CountLines(lines []oracle.Line, interval time.Duration) Lines {
	return Lines{lines, oracle.Windows(lines, interval, oracle.Space)}
}

// Take takes the next lines of the topic.
func (l *Ledger) Take(lines Lines) {
	for _, line := range lines.lines {
		l.note(line)
		l.newest[line.Partition] = line.Time.UnixMilli()
	}
	for end, w := range lines.windows {
		l.Lines += w.Lines
		l.Words += w.Words()
		if end <= l.compared { // the counter had closed it, too
			l.owe(w.Counts, w.Lines)
			continue
		}
		sum := l.windows[end]
		if sum == nil {
			l.windows[end] = w
			continue
		}
		sum.Lines += w.Lines
		for word, n := range w.Counts {
			sum.Counts[word] += n
		}
	}
}

func (l *Ledger) note(line oracle.Line) {
	feed, n, err := parseLine(string(line.Value))
	if err != nil {
		l.problem(&l.Torn, 1, "line at %d/%d: %w", line.Partition, line.Offset, err)
		return
	}
	seen := l.feeds[feed]
	if seen == nil {
		seen = new(numbers)
		l.feeds[feed] = seen
	}
	for int64(len(seen.bits))*64 <= n {
		seen.bits = append(seen.bits, 0)
	}
	if bit := uint64(1) << (n % 64); seen.bits[n/64]&bit != 0 {
		l.problem(&l.Doubled, 1, "line %d of feed %d is on the topic TWICE, again at %d/%d", n, feed, line.Partition, line.Offset)
	} else {
		seen.bits[n/64] |= bit
		seen.count++
		seen.end = max(seen.end, n+1)
	}
}

// Published demands that of a feed at least the lines below acknowledged are on the topic, and none from sent on.
func (l *Ledger) Published(feed int, acknowledged, sent int64) {
	seen := l.feeds[feed]
	if seen == nil {
		seen = new(numbers)
	}
	missing, first := int64(0), int64(-1)
	for n := range acknowledged {
		if n/64 >= int64(len(seen.bits)) || seen.bits[n/64]&(1<<(n%64)) == 0 {
			if missing++; first < 0 {
				first = n
			}
		}
	}
	if missing > 0 {
		l.problem(&l.Lost, missing, "feed %d: %d of %d acknowledged lines are not on the topic, first line %d", feed, missing, acknowledged, first)
	}
	if seen.end > sent {
		l.problem(&l.Torn, 1, "feed %d: line %d is on the topic, and %d were sent", feed, seen.end-1, sent)
	}
}

// Count takes the next record of word-counts.
func (l *Ledger) Count(partition int32, key, value []byte) {
	if err := l.output.Count(partition, key, value); err != nil {
		l.problem(&l.Doubled, 1, "word-counts/%d: %w", partition, err)
	}
}

// Batch takes the next record of batches.
func (l *Ledger) Batch(partition int32, key, value []byte) {
	if err := l.output.Batch(partition, key, value); err != nil {
		l.problem(&l.Doubled, 1, "batches/%d: %w", partition, err)
	}
}

// Complete is the end of the newest window that readers can see whole.
func (l *Ledger) Complete() time.Time { return l.output.Complete() }

// Compare compares the windows that are complete, and whose lines have all come: every partition has newer ones. At the end,
// when all that is there has been taken, all are.
func (l *Ledger) Compare(atEnd bool) {
	until := l.output.Complete().UnixMilli()
	if !atEnd {
		if len(l.newest) < l.partitions {
			return
		}
		for _, newest := range l.newest {
			until = min(until, newest)
		}
	}
	for _, end := range l.output.Reported() {
		if end.UnixMilli() > until {
			break
		}
		l.compare(end)
	}
	if !atEnd {
		return
	}
	for _, end := range slices.Sorted(maps.Keys(l.windows)) {
		l.problem(&l.Lost, l.windows[end].Lines, "the window that ends %s has %d lines and is not reported", oracle.Stamp(time.UnixMilli(end)), l.windows[end].Lines)
	}
	if l.owedLine != 0 || len(l.owed) != 0 {
		l.problem(&l.Lost, l.owedLine, "%d late lines, %d words of them, were never counted", l.owedLine, len(l.owed))
	}
	if err := l.output.Rest(); err != nil {
		l.problem(&l.Torn, 1, "%w", err)
	}
}

func (l *Ledger) compare(end time.Time) {
	ms := end.UnixMilli()
	got, late, err := l.output.Take(end)
	if err != nil {
		l.problem(&l.Torn, 1, "window that ends %s: %w", oracle.Stamp(end), err)
	}
	want := l.windows[ms]
	if want == nil {
		want = &oracle.Window{End: end, Counts: map[string]int64{}}
	}
	delete(l.windows, ms)
	l.compared = ms
	l.Windows++
	if got.Lines == 0 {
		l.Empty++
	}
	l.Late += late
	l.Printed(ms, oracle.JSONLate(end, l.interval, got, late, 0))

	if more := got.Lines - late - want.Lines; more > 0 {
		l.problem(&l.Doubled, more, "window that ends %s: %d lines, %d of them late; there were %d", oracle.Stamp(end), got.Lines, late, want.Lines)
	}
	l.owe(want.Counts, want.Lines)
	l.owedLine -= got.Lines
	for word, n := range got.Counts {
		switch left := l.owed[word] - n; {
		case left < 0:
			l.problem(&l.Doubled, -left, "window that ends %s: %.60q counted %d times, there are %d", oracle.Stamp(end), word, n, l.owed[word])
			delete(l.owed, word)
		case left == 0:
			delete(l.owed, word)
		default:
			l.owed[word] = left
		}
	}
	switch {
	case l.owedLine < 0:
		l.problem(&l.Doubled, -l.owedLine, "window that ends %s: %d lines more than there are", oracle.Stamp(end), -l.owedLine)
		l.settle()
	case l.owedLine == 0 && len(l.owed) > 0:
		l.problem(&l.Lost, int64(len(l.owed)), "window that ends %s: all lines, and %d words less than they have", oracle.Stamp(end), len(l.owed))
		l.settle()
	}
}

func (l *Ledger) owe(words map[string]int64, lines int64) {
	for word, n := range words {
		l.owed[word] += n
	}
	l.owedLine += lines
}

// settle forgets what was reported, so that it is not reported again with every window.
func (l *Ledger) settle() {
	clear(l.owed)
	l.owedLine = 0
}
