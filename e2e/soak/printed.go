package soak

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// Printed is the standard output of one printer's life, format json, all words: the windows that it shows, one after the other.
type Printed struct {
	Name     string
	expected *Expected

	mu      sync.Mutex
	partial []byte
	last    int64 // the window that was shown last
	windows []window
	wrong   error
}

type window struct {
	end  int64
	hash uint64
}

// Expected is what every printer must show of each window.
type Expected struct {
	interval time.Duration
	seed     maphash.Seed

	mu   sync.Mutex
	hash map[int64]uint64 // by window end
}

// NewExpected is for windows of that length.
func NewExpected(interval time.Duration) *Expected {
	return &Expected{interval: interval, seed: maphash.MakeSeed(), hash: make(map[int64]uint64)}
}

// Add notes what must be shown of a window.
func (e *Expected) Add(end int64, json string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hash[end] = maphash.String(e.seed, json)
}

// Printer returns the output of a printer that starts now.
func (e *Expected) Printer(name string) *Printed { return &Printed{Name: name, expected: e} }

func (p *Printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, part := range bytes.SplitAfter(b, []byte("\n")) {
		p.partial = append(p.partial, part...)
		if bytes.HasSuffix(p.partial, []byte("\n")) {
			p.line(p.partial)
			p.partial = p.partial[:0]
		}
	}
	return len(b), nil
}

func (p *Printed) line(line []byte) {
	end, rest, err := withoutClosedAt(line)
	switch {
	case err != nil:
	case p.last != 0 && end != p.last+p.expected.interval.Milliseconds():
		err = fmt.Errorf("shows the window that ends %d after that which ends %d", end, p.last)
	default:
		p.windows = append(p.windows, window{end, maphash.Bytes(p.expected.seed, rest)})
	}
	p.last = end
	p.wrong = errors.Join(p.wrong, err)
}

// withoutClosedAt returns the end of the window that a line of JSON shows, and the line without the time at which it was closed.
func withoutClosedAt(line []byte) (end int64, rest []byte, err error) {
	_, after, ok := bytes.Cut(line, []byte(`"window_end":"`))
	stamp, _, quoted := bytes.Cut(after, []byte(`"`))
	before, closed, shown := bytes.Cut(line, []byte(`"closed_at":"`))
	_, behind, whole := bytes.Cut(closed, []byte(`",`))
	at, err := time.Parse(time.RFC3339, string(stamp))
	if !ok || !quoted || !shown || !whole || err != nil {
		return 0, nil, fmt.Errorf("shows %.200q", line)
	}
	return at.UnixMilli(), append(before[:len(before):len(before)], behind...), nil
}

// Last is the end of the window that was shown last, 0 before the first.
func (p *Printed) Last() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Check demands that every window was shown as it must be, in order and once. A last line without end is that of a printer that
// was killed.
func (p *Printed) Check() (windows int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected.mu.Lock()
	defer p.expected.mu.Unlock()
	err = p.wrong
	for _, w := range p.windows {
		if want, known := p.expected.hash[w.end]; !known || want != w.hash {
			err = errors.Join(err, fmt.Errorf("shows the window that ends %d not as it is (known: %v)", w.end, known))
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", p.Name, err)
	}
	return len(p.windows), err
}
