package oracle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// Output is what a reader of committed data has seen of word-counts and batches, from the first record on. Each record is
// checked against those before it as it comes, Compare checks the whole. One goroutine's.
type Output struct {
	// MaxEmpty is how many windows without lines are reported in a row; those that follow may be left out. 0: all are reported.
	MaxEmpty int
	// EarlyClose says that windows may be closed before they end: their lines' times are their producers', and may be ahead.
	EarlyClose bool

	interval   time.Duration
	partitions []*share // of both topics, by number
	taken      int64    // the newest window that Take has taken
}

// share is what one partition of both topics holds.
type share struct {
	counts      map[int64]map[string]int64 // window end in ms → word → count
	countsEnd   int64                      // the window of the newest row, whose rows must stand together
	batches     map[int64]batch
	batchesEnd  int64 // the newest window in batches
	batchesFrom int64 // the first window in batches
	empty       int   // of the newest windows in batches, how many are without lines
}

// NewOutput is for topics with so many partitions each.
func NewOutput(interval time.Duration, partitions int) *Output {
	o := &Output{interval: interval}
	for range partitions {
		o.partitions = append(o.partitions, &share{counts: make(map[int64]map[string]int64), batches: make(map[int64]batch)})
	}
	return o
}

// Count takes the next record of a partition of word-counts. An error says what is wrong with it by itself or after the
// records before it.
func (o *Output) Count(partition int32, key, value []byte) error {
	s := o.partitions[partition]
	c, err := parseCount(value)
	if err != nil {
		return fmt.Errorf("%s: %w", value, err)
	}
	if err := o.window(c.start, c.end); err != nil {
		return fmt.Errorf("%s: %w", value, err)
	}
	if key == nil || string(key) != c.word {
		return fmt.Errorf("%s: the key is %q", value, key)
	}
	if want := Partition(c.word, len(o.partitions)); want != partition {
		return fmt.Errorf("%s: in partition %d, where Kafka's partitioner says %d", value, partition, want)
	}
	end := c.end.UnixMilli()
	if end <= o.taken {
		return fmt.Errorf("%s: comes when the window was complete", value)
	}
	if end < s.countsEnd {
		return fmt.Errorf("%s: partition %d had the window that ends %s already", value, partition, Stamp(time.UnixMilli(s.countsEnd)))
	}
	s.countsEnd = end
	words := s.counts[end]
	if words == nil {
		words = make(map[string]int64)
		s.counts[end] = words
	}
	if before, twice := words[c.word]; twice {
		return fmt.Errorf("%s: counted TWICE, first as %d", value, before)
	}
	words[c.word] = c.count
	return nil
}

// Batch takes the next record of a partition of batches.
func (o *Output) Batch(partition int32, key, value []byte) error {
	s := o.partitions[partition]
	b, err := parseBatch(value)
	if err != nil {
		return fmt.Errorf("%s: %w", value, err)
	}
	if err := o.window(b.start, b.end); err != nil {
		return fmt.Errorf("%s: %w", value, err)
	}
	end := b.end.UnixMilli()
	switch {
	case string(key) != Stamp(b.end):
		return fmt.Errorf("%s: the key is %q", value, key)
	case b.partition != int64(partition) || b.partitions != int64(len(o.partitions)):
		return fmt.Errorf("%s: in partition %d of %d", value, partition, len(o.partitions))
	case b.closedAt.Before(b.end) && !o.EarlyClose:
		return fmt.Errorf("%s: closed before it ended", value)
	case end == s.batchesEnd:
		return fmt.Errorf("%s: reported TWICE", value)
	case o.MaxEmpty > 0 && b.lines == 0 && s.empty == o.MaxEmpty:
		return fmt.Errorf("%s: the %d windows before it are empty, too", value, s.empty)
	case s.batchesEnd != 0 && end != s.batchesEnd+o.interval.Milliseconds() && !(o.MaxEmpty > 0 && s.empty == o.MaxEmpty && end > s.batchesEnd):
		return fmt.Errorf("%s: comes after the window that ends %s", value, Stamp(time.UnixMilli(s.batchesEnd)))
	}
	if s.batchesFrom == 0 {
		s.batchesFrom = end
	}
	s.batchesEnd = end
	s.batches[end] = b
	if s.empty++; b.lines > 0 {
		s.empty = 0
	}
	return nil
}

func (o *Output) window(start, end time.Time) error {
	if end.Sub(start) != o.interval || end.UnixMilli()%o.interval.Milliseconds() != 0 {
		return fmt.Errorf("not a window of %v", o.interval)
	}
	return nil
}

// Partition is where Kafka's own producers put a word by default: the murmur2 of their key.
func Partition(word string, partitions int) int32 {
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	return int32(kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: []byte(word)}, all...))
}

// Complete is the end of the newest window that every partition of batches has and whose rows, and those of all windows before
// it, are there. It is the zero time before the first.
func (o *Output) Complete() time.Time {
	last := o.partitions[0].batchesEnd
	for _, s := range o.partitions {
		last = min(last, s.batchesEnd)
		for end, b := range s.batches {
			if int64(len(s.counts[end])) < b.distinctWords {
				last = min(last, end-o.interval.Milliseconds())
			}
		}
	}
	if last <= 0 || last < o.partitions[0].batchesFrom {
		return time.Time{}
	}
	return time.UnixMilli(last).UTC()
}

// Reported returns the ends of the windows that the batches of every partition report.
func (o *Output) Reported() (ends []time.Time) {
	for _, end := range slices.Sorted(maps.Keys(o.partitions[0].batches)) {
		if end <= o.last() {
			ends = append(ends, time.UnixMilli(end).UTC())
		}
	}
	return ends
}

// last is the newest window that the batches of every partition report.
func (o *Output) last() int64 {
	last := o.partitions[0].batchesEnd
	for _, s := range o.partitions {
		last = min(last, s.batchesEnd)
	}
	return last
}

// Empty is how many of them are without lines.
func (o *Output) Empty() (n int) {
	for _, b := range o.partitions[0].batches {
		if b.lines == 0 {
			n++
		}
	}
	return n
}

// Compare says how the output differs from what must be there: every window of want, and no count that want does not have.
// Windows must be reported by each partition from the same first to the same last, those without lines included. Only the newest
// without lines may be missing in some: a counter that stops does not wait until all partitions are equally far.
func (o *Output) Compare(want map[int64]*Window) error {
	var differences []error
	differ := func(format string, args ...any) { differences = append(differences, fmt.Errorf(format, args...)) }
	first := o.partitions[0]
	for q, s := range o.partitions {
		lines := int64(0)
		for end, b := range s.batches {
			if end > o.last() {
				lines += b.lines
			}
		}
		if s.batchesFrom != first.batchesFrom {
			differ("partition %d reports windows that end %s and later, partition 0 %s and later", q, Stamp(time.UnixMilli(s.batchesFrom)), Stamp(time.UnixMilli(first.batchesFrom)))
		}
		if lines > 0 {
			differ("partition %d reports windows up to %s, with lines, and another only up to %s", q, Stamp(time.UnixMilli(s.batchesEnd)), Stamp(time.UnixMilli(o.last())))
		}
		for end := range s.counts {
			if _, reported := s.batches[end]; !reported {
				differ("partition %d has counts of the window that ends %s and no batch", q, Stamp(time.UnixMilli(end)))
			}
		}
	}
	for _, end := range slices.Sorted(maps.Keys(want)) {
		if _, reported := first.batches[end]; !reported {
			differ("the window that ends %s has %d lines and is not reported", Stamp(time.UnixMilli(end)), want[end].Lines)
		}
	}
	for _, reported := range o.Reported() {
		end := reported.UnixMilli()
		w := want[end]
		if w == nil {
			w = &Window{}
		}
		for _, err := range o.compareWindow(end, w) {
			differ("window that ends %s: %w", Stamp(time.UnixMilli(end)), err)
		}
	}
	if n := len(differences); n > 20 {
		differences = append(differences[:20], fmt.Errorf("… and %d more differences", n-20))
	}
	return errors.Join(differences...)
}

func (o *Output) compareWindow(end int64, want *Window) (differences []error) {
	differ := func(format string, args ...any) { differences = append(differences, fmt.Errorf(format, args...)) }
	seen := make(map[string]int64)
	for q, s := range o.partitions {
		var words int64
		for word, n := range s.counts[end] {
			words += n
			seen[word] = n // a word has one partition, or Count refused it
		}
		b := s.batches[end]
		if b.words != words || b.distinctWords != int64(len(s.counts[end])) {
			differ("batches/%d says %d words, %d distinct; word-counts/%d has %d, %d", q, b.words, b.distinctWords, q, words, len(s.counts[end]))
		}
		if b.lines != want.Lines || b.lateLine != 0 {
			differ("batches/%d says %d lines, %d late; there were %d, 0", q, b.lines, b.lateLine, want.Lines)
		}
	}
	for word, n := range want.Counts {
		if seen[word] != n {
			differ("%.60q counted %d, there were %d", word, seen[word], n)
		}
		delete(seen, word)
	}
	for word, n := range seen {
		differ("%.60q counted %d, there was none", word, n)
	}
	return differences
}
