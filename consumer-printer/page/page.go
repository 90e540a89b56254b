// Package page serves the live page of the word count and the JSON API behind it (docs/api.md): the recent batches, the history of a
// word, and a stream of server-sent events that tells of each batch as it closes. It knows no Kafka: whoever reads the batches
// adds them, in order of time.
//
// What it keeps is bounded: the last MostBatches batches with the first MostWords words of each, fewer where these do not fit into KeptBytes, and
// all words of the newest batches as far as they fit into KeptBytes, too.
package page

import (
	"net/http"
	"sync"
	"time"
)

const (
	// MostBatches is how many batches are kept: an hour of them at the default interval of 5 s.
	MostBatches = 720
	// MostWords is how many words of each batch are kept, the most frequent ones.
	MostWords = 100
	// KeptBytes is how much memory the words of the newest batches may take that are kept in full, and how much the first words of all.
	KeptBytes = 64 << 20
	// RecentSpan is how long the "last minutes" are.
	RecentSpan = 5 * time.Minute
)

// Batch is a complete batch. Times are milliseconds since the epoch; none of it changes once it is added.
type Batch struct {
	WindowStart, WindowEnd int64
	Lines, LateLines       int64
	Words, DistinctWords   int64
	ClosedAt               int64   // when the counter closed the window
	AppendedAt             int64   // when Kafka had the counts
	Top                    []Word  // the first MostWords of its words, in the order in which they are shown
	All                    []Words // all of its words, by partition of the counts topic; nil when they were too many to keep
}

// Word is how often a word stood in the lines of a batch.
type Word struct {
	Word  string
	Count int64
}

// Page is what viewers are shown. All methods may be called concurrently.
type Page struct {
	history   history
	partition func(word string, partitions int) int
	viewers   chan struct{} // holds one for each open stream
	closing   chan struct{}
	close     sync.Once
	now       func() time.Time
	routes    http.Handler
}

// New returns a page without batches. partition tells which partition of the counts topic holds a word.
func New(partition func(word string, partitions int) int) *Page {
	p := &Page{
		partition: partition,
		viewers:   make(chan struct{}, mostViewers),
		closing:   make(chan struct{}),
		now:       time.Now,
	}
	p.history.changed = make(chan struct{})
	p.history.limit, p.history.most = KeptBytes, KeptBytes
	p.routes = secure(p.mux())
	return p
}

// Add shows a batch, which ends after all that were added before.
func (p *Page) Add(b Batch) { p.history.add(b, p.now().UnixMilli()) }

// Close ends all streams, so that a graceful stop need not wait for viewers. They come back when there is a page again.
func (p *Page) Close() {
	p.close.Do(func() { close(p.closing) })
}

// ServeHTTP serves the page and its API.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.routes.ServeHTTP(w, r) }
