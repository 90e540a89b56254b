package counter

import (
	"context"
	"sync"
)

// place is where the counter is in the group: its tasks commit as the member of the newest generation.
type place struct {
	mu    sync.Mutex
	here  assignment
	moved chan struct{} // closed when here is another
}

func newPlace() *place { return &place{moved: make(chan struct{})} }

func (p *place) now() assignment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.here
}

func (p *place) move(to assignment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.here = to
	close(p.moved)
	p.moved = make(chan struct{})
}

// after waits for a generation later than one, or for ctx's end.
func (p *place) after(ctx context.Context, generation int32) {
	for {
		p.mu.Lock()
		here, moved := p.here.ID, p.moved
		p.mu.Unlock()
		if here > generation {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}
