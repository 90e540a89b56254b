package page

import (
	"cmp"
	"slices"
	"sync"
)

// history is the batches that are kept, oldest first, and what is made of them for viewers.
type history struct {
	mu      sync.Mutex
	batches []*entry
	limit   int           // bytes of the words that are kept in full
	bytes   int           // of them
	known   int           // the batches from this index on may have all their words; those before have not
	changed chan struct{} // closed and replaced with every batch
	events  map[int64][]byte
	recent  *recent // of the newest batch; nil when nobody has asked yet
}

// entry is a batch that is kept. It never changes but for All, which is guarded by the history's mutex.
type entry struct {
	Batch
	shownAt int64
	json    []byte // its fields, without braces and without words
}

// add takes a batch in and forgets what is too old or too much.
func (h *history) add(b Batch, shownAt int64) {
	e := &entry{Batch: b, shownAt: shownAt}
	e.json = appendBatch(nil, e)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.batches) == MostBatches {
		h.forgetWords(h.batches[0])
		h.batches[0] = nil
		h.batches = h.batches[1:]
		h.known = max(h.known-1, 0)
	}
	h.batches = append(h.batches, e)
	for q := range e.All {
		h.bytes += e.All[q].Size()
	}
	for ; h.bytes > h.limit; h.known++ {
		h.forgetWords(h.batches[h.known])
	}
	h.events, h.recent = nil, nil
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *history) forgetWords(e *entry) {
	for q := range e.All {
		h.bytes -= e.All[q].Size()
	}
	e.All = nil
}

// last returns up to n batches that end after a time, newest first.
func (h *history) last(n int, after int64) []*entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	newer := h.after(after)
	newest := slices.Clone(newer[max(len(newer)-n, 0):])
	slices.Reverse(newest)
	return newest
}

// after returns the batches that end after a time, oldest first. The mutex is held.
func (h *history) after(end int64) []*entry {
	i, _ := slices.BinarySearchFunc(h.batches, end+1, func(e *entry, end int64) int { return cmp.Compare(e.WindowEnd, end) })
	return h.batches[i:]
}

// seen is how often a word stood in a batch.
type seen struct {
	*entry
	count int64
	known bool // else the count is not known
}

// word looks a word up in the last n batches, newest first.
func (h *history) word(word string, n int, partition func(word string, partitions int) int) []seen {
	h.mu.Lock()
	batches := slices.Clone(h.batches[max(len(h.batches)-n, 0):])
	all := make([][]Words, len(batches))
	for i := range batches {
		all[i] = batches[i].All
	}
	h.mu.Unlock()

	result := make([]seen, 0, len(batches))
	for i, e := range slices.Backward(batches) {
		s := seen{entry: e}
		switch at := slices.IndexFunc(e.Top, func(w Word) bool { return w.Word == word }); {
		case at >= 0:
			s.count, s.known = e.Top[at].Count, true
		case int64(len(e.Top)) == e.DistinctWords:
			s.known = true
		case all[i] != nil:
			s.count, s.known = all[i][partition(word, len(all[i]))].Count(word), true
		}
		result = append(result, s)
	}
	return result
}

// recent is the words of the last minutes.
type recent struct {
	start, end int64
	batches    int
	exact      bool // else counts may be too low: of words that were not always among the first of their batch
	words      []Word
}

// lately adds up the last minutes, once a batch. The mutex is held, and there is a batch.
func (h *history) lately() *recent {
	if h.recent != nil {
		return h.recent
	}
	newest := h.batches[len(h.batches)-1]
	r := &recent{end: newest.WindowEnd, exact: true}
	counts := make(map[string]int64)
	for _, e := range h.after(newest.WindowEnd - RecentSpan.Milliseconds()) {
		if r.batches == 0 {
			r.start = e.WindowStart
		}
		r.batches++
		r.exact = r.exact && int64(len(e.Top)) == e.DistinctWords
		for _, w := range e.Top {
			counts[w.Word] += w.Count
		}
	}
	for word, count := range counts {
		r.words = append(r.words, Word{word, count})
	}
	slices.SortFunc(r.words, func(a, b Word) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Word, b.Word)) })
	r.words = slices.Clip(slices.Clone(r.words[:min(len(r.words), eventWords)]))
	h.recent = r
	return r
}
