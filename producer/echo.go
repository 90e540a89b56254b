package producer

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// echoRate is up to how many lines a second are shown one by one.
const echoRate = 10

// few tells whether lines come slowly enough to be shown one by one. The zero value is ready.
type few struct {
	times [echoRate]time.Time // of the last lines, in turn
	next  int
}

// line notes a line, and tells whether it is one of at most echoRate in the second up to now.
func (f *few) line(now time.Time) bool {
	before := f.times[f.next]
	f.times[f.next] = now
	f.next = (f.next + 1) % len(f.times)
	return now.Sub(before) >= time.Second
}

// echo shows lines once Kafka has them, in the order chosen: a line waits for those before it. Lines are numbered from 0.
type echo struct {
	w io.Writer

	mu      sync.Mutex
	next    int64
	waiting map[int64][]byte
	out     []byte
}

func newEcho(w io.Writer) *echo { return &echo{w: w, waiting: make(map[int64][]byte)} }

// acknowledged shows what can be shown, by one write. It may be called concurrently.
func (e *echo) acknowledged(lines []shown) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, line := range lines {
		e.waiting[line.n] = line.text
	}
	e.out = e.out[:0]
	for {
		text, ok := e.waiting[e.next]
		if !ok {
			break
		}
		delete(e.waiting, e.next)
		e.next++
		e.out = append(e.out, "[producer] sent -> "...)
		e.out = appendShown(e.out, text)
		e.out = append(e.out, '\n')
	}
	if len(e.out) == 0 {
		return nil
	}
	if _, err := e.w.Write(e.out); err != nil {
		return fmt.Errorf("write a sent line to standard output: %w", err)
	}
	return nil
}

// appendShown appends text with what could move a terminal's cursor or worse, control characters and bytes that are not
// UTF-8, escaped as in Go and Python.
func appendShown(dst, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\x`...)
			dst = append(dst, hex[text[0]>>4], hex[text[0]&15])
		case unicode.IsControl(r):
			quoted := strconv.AppendQuoteRune(nil, r)
			dst = append(dst, quoted[1:len(quoted)-1]...)
		default:
			dst = append(dst, text[:size]...)
		}
		text = text[size:]
	}
	return dst
}

const hex = "0123456789abcdef"
