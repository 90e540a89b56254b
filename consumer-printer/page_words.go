package printer

import (
	"wordcount/consumer-printer/page"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// pageWords is what the page gets of a batch's words.
type pageWords struct {
	top []WordCount  // the first page.MostWords
	all []page.Words // by partition; nil when there were too many
}

// pageShare is a share's part of that.
type pageShare struct {
	top topWords
	all page.Words
}

// pageKeeper gathers words for the page while their windows are open, and keeps within limits: when all open windows have more words
// than that, the window whose turn it is keeps none but the first.
type pageKeeper struct {
	limit int // bytes
	bytes int // kept of open windows
}

// keep takes in a row of a window's share.
func (k *pageKeeper) keep(w *window, s *share, row *wire.CountRow) {
	if s.page == nil {
		s.page = new(pageShare)
	}
	s.page.top.add(row.Word, row.Count, page.MostWords)
	if w.crowded {
		return
	}
	k.bytes += s.page.all.Append(row.Word, row.Count)
	if k.bytes > k.limit {
		w.crowded = true
		k.release(w)
	}
}

// take hands out what was kept of a window that is over.
func (k *pageKeeper) take(w *window) *pageWords {
	words := &pageWords{all: make([]page.Words, len(w.shares))}
	tops := make([]share, len(w.shares))
	for q := range w.shares {
		if s := w.shares[q].page; s != nil {
			tops[q].top, words.all[q] = s.top, s.all
		}
	}
	words.top = mergeTop(tops, page.MostWords)
	k.release(w)
	if w.crowded {
		words.all = nil
	}
	return words
}

func (k *pageKeeper) release(w *window) {
	for q := range w.shares {
		if s := w.shares[q].page; s != nil {
			k.bytes -= s.all.Size()
			s.all = page.Words{}
		}
	}
}

// addToPage shows a batch to the page's viewers.
func addToPage(p *page.Page, b *Batch) {
	batch := page.Batch{
		WindowStart: b.WindowStart, WindowEnd: b.WindowEnd, Lines: b.Lines, LateLines: b.LateLines, Words: b.Words,
		DistinctWords: b.DistinctWords, ClosedAt: b.ClosedAt, AppendedAt: b.AppendedAt, All: b.Page.all,
	}
	for _, w := range b.Page.top {
		batch.Top = append(batch.Top, page.Word(w))
	}
	p.Add(batch)
}

// wordPartition tells where Kafka's default partitioner, and so the counter, puts a word.
func wordPartition(word string, partitions int) int {
	return int(kafkaio.Partition([]byte(word), partitions))
}
