package counter

import (
	"context"
	"time"
)

// A process of the simulation as the host of its client: every request takes its time and may fail, the process may die in
// it or be frozen.

func (p *process) String() string { return p.name }

// travel is a request in which the process may die, be frozen, or lose its connection.
func (p *process) travel(ctx context.Context, operation string) error {
	s := p.schedule
	r := s.rand(operation, p.name)
	delay := time.Duration(r.Int64N(int64(2 * time.Millisecond)))
	if r.IntN(20) == 0 {
		delay *= 20
	}
	if err := p.sleep(ctx, delay); err != nil {
		return err
	}
	if s.calm.Load() {
		return nil
	}
	f, x := s.faults, r.Float64()
	switch {
	case x < f.kill:
		s.trace("%s dies in %s", p.name, operation)
		p.kill()
		return errKilled
	case x < f.kill+f.freeze:
		d := time.Duration(r.Int64N(int64(2 * s.session)))
		s.trace("%s freezes in %s for %v", p.name, operation, d)
		p.freeze(d)
		return p.sleep(ctx, 0)
	case x < f.kill+f.freeze+f.network:
		s.trace("%s fails in %s", p.name, operation)
		return errNetwork
	}
	return nil
}

// sleep waits, also until a frozen process wakes.
func (p *process) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		if p.wakes().IsZero() {
			return ctx.Err()
		}
	case <-p.dead:
		return errKilled
	}
	for {
		wake := p.wakes()
		left := time.Until(wake)
		if wake.IsZero() || left <= 0 {
			return nil
		}
		select {
		case <-time.After(left):
		case <-p.dead:
			return errKilled
		}
	}
}

func (p *process) await(ctx context.Context, changed <-chan struct{}, d time.Duration) error {
	select {
	case <-changed:
		return nil
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.dead:
		return errKilled
	}
}
