package counter

import (
	"slices"
	"sync"
	"time"

	"wordcount/internal/wire"
)

const (
	checkAhead = 20 * time.Millisecond // between two questions how far reduces of other counters are
	checkHere  = time.Second           // and those of this one, which say it themselves
)

// reduces is how far the reduces have closed: those of this counter say it when they have committed, and Kafka is asked for the others.
// All slots share it.
type reduces struct {
	mu     sync.Mutex
	closed []int64       // by reduce, ms since the epoch; wire.NoWatermark: not known
	here   []bool        // the reduce is this counter's
	asked  time.Time     // when Kafka was asked last
	moved  chan struct{} // closed when the least has risen
}

func newReduces(partitions int) *reduces {
	return &reduces{
		closed: slices.Repeat([]int64{wire.NoWatermark}, partitions),
		here:   make([]bool, partitions),
		moved:  make(chan struct{}),
	}
}

// run notes that a reduce is this counter's, until the function that it returns is called.
func (p *reduces) run(reduce int32) (stop func()) {
	set := func(here bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.here[reduce] = here
	}
	set(true)
	return func() { set(false) }
}

// close notes that a reduce has committed that it has closed until then.
func (p *reduces) close(reduce int32, until int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := slices.Min(p.closed)
	p.closed[reduce] = max(p.closed[reduce], until)
	if slices.Min(p.closed) > before {
		close(p.moved)
		p.moved = make(chan struct{})
	}
}

// least returns up to where all reduces have closed, wire.NoWatermark when that is not known.
func (p *reduces) least() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Min(p.closed)
}

// news returns what is closed when the least rises.
func (p *reduces) news() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved
}

// ask tells whether it is time to ask Kafka, and takes it that the caller does.
func (p *reduces) ask() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	every, least := checkHere, slices.Min(p.closed)
	for reduce, closed := range p.closed {
		if closed == least && !p.here[reduce] {
			every = checkAhead
		}
	}
	if time.Since(p.asked) < every {
		return false
	}
	p.asked = time.Now()
	return true
}
