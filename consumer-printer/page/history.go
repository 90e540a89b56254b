package page

import (
	"cmp"
	"slices"
	"sync"
	"unsafe"
)

// history is the batches that are kept, oldest first, and what is made of them for viewers.
type history struct {
	mu      sync.Mutex
	batches []*entry
	limit   int           // bytes of the words that are kept in full
	bytes   int           // of them
	known   int           // the batches from this index on may have all their words; those before have not
	most    int           // bytes of all batches' first words
	tops    int           // bytes of them
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

// topSize returns how many bytes of memory the batch's first words take.
func (e *entry) topSize() (size int) {
	for _, w := range e.Top {
		size += int(unsafe.Sizeof(w)) + len(w.Word)
	}
	return size
}

// add takes a batch in and forgets what is too old or too much.
func (h *history) add(b Batch, shownAt int64) {
	e := &entry{Batch: b, shownAt: shownAt}
	e.json = appendBatch(nil, e)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batches = append(h.batches, e)
	h.tops += e.topSize()
	for len(h.batches) > MostBatches || h.tops > h.most && len(h.batches) > 1 {
		h.forgetOldest()
	}
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

func (h *history) forgetOldest() {
	oldest := h.batches[0]
	h.forgetWords(oldest)
	h.tops -= oldest.topSize()
	h.batches[0] = nil
	h.batches = h.batches[1:]
	h.known = max(h.known-1, 0)
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
	words      []recentWord
}

// recentWord is a word with its counts of all batches in which it is among the words that are kept.
type recentWord struct {
	word    string
	count   int64
	missing int // batches of which not all words are kept, and not this one: it may stand there, too
}

// lately adds up the last minutes, once a batch. The mutex is held, and there is a batch.
func (h *history) lately() *recent {
	if h.recent != nil {
		return h.recent
	}
	newest := h.batches[len(h.batches)-1]
	r := &recent{end: newest.WindowEnd}
	counts := make(map[string]recentWord)
	cut := 0 // batches of which not all words are kept
	for _, e := range h.after(newest.WindowEnd - RecentSpan.Milliseconds()) {
		if r.batches == 0 {
			r.start = e.WindowStart
		}
		r.batches++
		whole := int64(len(e.Top)) == e.DistinctWords
		if !whole {
			cut++
		}
		for _, w := range e.Top {
			sum := counts[w.Word]
			sum.count += w.Count
			if !whole {
				sum.missing--
			}
			counts[w.Word] = sum
		}
	}
	for word, sum := range counts {
		sum.word = word
		sum.missing += cut
		r.words = append(r.words, sum)
	}
	slices.SortFunc(r.words, func(a, b recentWord) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.word, b.word))
	})
	r.words = slices.Clone(r.words[:min(len(r.words), eventWords)]) // the rest need not stay
	h.recent = r
	return r
}
