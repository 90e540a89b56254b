package oracle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Take returns what all partitions have of a window that is complete, and forgets it: for runs that are too long to be kept.
// Late is how many of its lines came after their own window was closed. The error says where the window's batch records and
// rows, or the records of two partitions, do not belong together.
func (o *Output) Take(end time.Time) (w *Window, late int64, err error) {
	w = &Window{End: end, Counts: make(map[string]int64)}
	var wrong []error
	at := end.UnixMilli()
	first := o.partitions[0].batches[at]
	for q, s := range o.partitions {
		b, there := s.batches[at]
		if !there {
			wrong = append(wrong, fmt.Errorf("batches/%d does not have it", q))
		} else if b.lines != first.lines || b.lateLine != first.lateLine {
			wrong = append(wrong, fmt.Errorf("batches/%d says %d lines, %d late; batches/0 says %d, %d", q, b.lines, b.lateLine, first.lines, first.lateLine))
		}
		var words int64
		for word, n := range s.counts[at] {
			words += n
			w.Counts[word] = n // a word has one partition, or Count refused it
		}
		if b.words != words || b.distinctWords != int64(len(s.counts[at])) {
			wrong = append(wrong, fmt.Errorf("batches/%d says %d words, %d distinct; word-counts/%d has %d, %d", q, b.words, b.distinctWords, q, words, len(s.counts[at])))
		}
		delete(s.batches, at)
		delete(s.counts, at)
	}
	o.taken = max(o.taken, at)
	w.Lines = first.lines
	return w, first.lateLine, errors.Join(wrong...)
}

// Totals adds up all windows: the words, the lines, and how many of them were late. The error is Take's.
func (o *Output) Totals() (words map[string]int64, lines, late int64, err error) {
	words = make(map[string]int64)
	var wrong []error
	for _, end := range o.Reported() {
		w, l, err := o.Take(end)
		wrong = append(wrong, err)
		for word, n := range w.Counts {
			words[word] += n
		}
		lines += w.Lines
		late += l
	}
	return words, lines, late, errors.Join(append(wrong, o.Rest())...)
}

// Rest says what was not taken, but for newest windows without lines that some partitions do not report yet (see Compare).
func (o *Output) Rest() error {
	var rest []error
	for q, s := range o.partitions {
		for _, end := range slices.Sorted(maps.Keys(s.batches)) {
			if end <= o.last() || s.batches[end].lines > 0 {
				rest = append(rest, fmt.Errorf("batches/%d has the window that ends %s, which is not complete", q, Stamp(time.UnixMilli(end))))
			}
		}
		for _, end := range slices.Sorted(maps.Keys(s.counts)) {
			if _, reported := s.batches[end]; !reported {
				rest = append(rest, fmt.Errorf("word-counts/%d has counts of the window that ends %s and no batch", q, Stamp(time.UnixMilli(end))))
			}
		}
	}
	return errors.Join(rest[:min(len(rest), 20)]...)
}
