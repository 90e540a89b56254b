package printer

import (
	"cmp"
	"slices"
)

// WordCount is how often a word stood in the lines of a window.
type WordCount struct {
	Word  string
	Count int64
}

// compareShown is the order in which words are shown: the most frequent first, and among equals by the bytes of their UTF-8, which
// is the order of their code points, in which Python compares strings too.
func compareShown(a, b WordCount) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Word, b.Word))
}

// topWords keeps the first words, in the order of compareShown, of all that were added. At its limit it is a heap with the last of
// them at the root, so that most words of a large batch cost one comparison and no memory.
type topWords []WordCount

// add takes a word in if it is among the first limit ones; limit 0 takes all. The limit must be the same in all calls.
func (t *topWords) add(word []byte, count int64, limit int) {
	words := *t
	if limit == 0 || len(words) < limit {
		*t = append(words, WordCount{string(word), count})
		if len(*t) == limit {
			t.heapify()
		}
		return
	}
	last := &words[0]
	if count < last.Count || count == last.Count && string(word) >= last.Word {
		return
	}
	*last = WordCount{string(word), count}
	words.sink(0)
}

func (t topWords) heapify() {
	for i := len(t)/2 - 1; i >= 0; i-- {
		t.sink(i)
	}
}

// sink moves the word at i down to where none below it is shown later.
func (t topWords) sink(i int) {
	for {
		later := 2*i + 1
		if later >= len(t) {
			return
		}
		if right := later + 1; right < len(t) && compareShown(t[right], t[later]) > 0 {
			later = right
		}
		if compareShown(t[i], t[later]) >= 0 {
			return
		}
		t[i], t[later] = t[later], t[i]
		i = later
	}
}

// mergeTop returns the first limit words (0: all) of shares that have no word in common, in the order in which they are shown.
func mergeTop(shares []share, limit int) []WordCount {
	n := 0
	for i := range shares {
		n += len(shares[i].top)
	}
	merged := make([]WordCount, 0, n)
	for i := range shares {
		merged = append(merged, shares[i].top...)
	}
	slices.SortFunc(merged, compareShown)
	if limit > 0 && len(merged) > limit {
		merged = merged[:limit]
	}
	return merged
}
