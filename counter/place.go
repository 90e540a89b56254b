package counter

import (
	"context"
	"sync"

	"wordcount/internal/kafkaio"
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

// after waits for a generation later than one, and returns ctx's error when none came before it ended.
func (p *place) after(ctx context.Context, generation int32) (assignment, error) {
	for {
		p.mu.Lock()
		here, moved := p.here, p.moved
		p.mu.Unlock()
		if here.ID > generation {
			return here, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return here, ctx.Err()
		}
	}
}

// Now and Next make a task a kafkaio.Place; it keeps in mind with which generation it was told.

func (t *task) Now() kafkaio.Generation {
	here := t.place.now()
	t.generation = here.ID
	return here.Generation
}

func (t *task) Next(ctx context.Context, after int32) (kafkaio.Generation, error) {
	next, err := t.place.after(ctx, after)
	if err == nil {
		t.generation = next.ID
	}
	return next.Generation, err
}
