package standalone

import (
	"sync"
	"time"
)

// progress knows whether everything that was published has been shown. It is safe for concurrent use.
type progress struct {
	mu       sync.Mutex
	appended time.Time     // of the newest line that Kafka acknowledged
	shown    time.Time     // end of the newest window that was printed
	changed  chan struct{} // capacity 1
}

func newProgress() *progress { return &progress{changed: make(chan struct{}, 1)} }

// acknowledged notes when the broker appended a line.
func (p *progress) acknowledged(appended time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if appended.After(p.appended) {
		p.appended = appended
	}
}

// printed notes that the batch of a window was shown.
func (p *progress) printed(windowEnd time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if windowEnd.After(p.shown) {
		p.shown = windowEnd
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// done tells whether the window of the newest line was shown: it ends after the line was appended.
func (p *progress) done() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.appended.IsZero() || p.shown.After(p.appended)
}
