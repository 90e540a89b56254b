package counter

import (
	"slices"
	"sync"
	"time"

	"wordcount/internal/wire"
)

const (
	checkAhead = 20 * time.Millisecond // between two questions how far reduces of other counters are
	checkOwn   = time.Second           // the same where only own ones are behind: another counter may have taken one over already
)

// reduces is how far the reduces have closed, which never falls: those of this counter say it when they have committed, and Kafka is asked
// for the others. All slots share it.
type reduces struct {
	mu     sync.Mutex
	closed []int64       // by reduce, ms since the epoch; wire.NoWatermark: not known
	own    []bool        // the reduce is this counter's, and says how far it is
	asked  time.Time     // when Kafka was asked last
	moved  chan struct{} // closed when the least has risen
}

func newReduces(partitions int) *reduces {
	return &reduces{
		closed: slices.Repeat([]int64{wire.NoWatermark}, partitions),
		own:    make([]bool, partitions),
		moved:  make(chan struct{}),
	}
}

// listen takes it that a reduce will say how far it is, until the function that it returns is called.
func (r *reduces) listen(reduce int32) (stop func()) {
	set := func(own bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.own[reduce] = own
	}
	set(true)
	return func() { set(false) }
}

// close notes that a reduce has committed that it has closed until then.
func (r *reduces) close(reduce int32, until int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := slices.Min(r.closed)
	r.closed[reduce] = max(r.closed[reduce], until)
	if slices.Min(r.closed) > before {
		close(r.moved)
		r.moved = make(chan struct{})
	}
}

// least returns up to where all reduces have closed, wire.NoWatermark when that is not known.
func (r *reduces) least() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Min(r.closed)
}

// news returns what is closed when the least rises.
func (r *reduces) news() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moved
}

// ask tells whether it is time to ask Kafka, and takes it that the caller does.
func (r *reduces) ask() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	every, least := checkOwn, slices.Min(r.closed)
	for reduce, closed := range r.closed {
		if closed == least && !r.own[reduce] {
			every = checkAhead
		}
	}
	if time.Since(r.asked) < every {
		return false
	}
	r.asked = time.Now()
	return true
}
