package soak

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Feed makes the lines of one producer's life, each with a number of its own that its words carry, so that counting them counts
// the numbers, too:
//
//	s12 a003 b123 c456 w7 w0
//
// is line 3123456 of feed 12. It is the producer's standard input; reading never waits and ends, with a whole line, after Stop.
type Feed struct {
	Number int

	random  *rand.Rand
	waiting []byte
	sent    atomic.Int64
	stopped atomic.Bool
}

// NewFeed starts with line 0.
func NewFeed(number int) *Feed {
	return &Feed{Number: number, random: rand.New(rand.NewPCG(uint64(number), 1))}
}

// Sent is how many lines were made at most: their numbers are less.
func (f *Feed) Sent() int64 { return f.sent.Load() }

// Stop ends the lines.
func (f *Feed) Stop() { f.stopped.Store(true) }

func (f *Feed) Read(p []byte) (int, error) {
	if len(f.waiting) == 0 {
		if f.stopped.Load() {
			return 0, io.EOF
		}
		n := f.sent.Load()
		const lines = 100
		f.sent.Add(lines) // before anyone can see them
		f.waiting = f.waiting[:0]
		for i := range int64(lines) {
			f.waiting = f.appendLine(f.waiting, n+i)
		}
	}
	n := copy(p, f.waiting)
	f.waiting = f.waiting[n:]
	return n, nil
}

func (f *Feed) appendLine(b []byte, n int64) []byte {
	b = fmt.Appendf(b, "s%d a%03d b%03d c%03d", f.Number, n/1e6, n/1e3%1e3, n%1e3)
	for range 1 + f.random.IntN(3) {
		b = fmt.Appendf(b, " w%d", int(f.random.ExpFloat64()*20))
	}
	return append(b, '\n')
}

// parseLine returns the feed and the number of a line.
func parseLine(line string) (feed int, n int64, err error) {
	words := strings.SplitN(line, " ", 5)
	if len(words) != 5 {
		return 0, 0, fmt.Errorf("%.100q is no line of a feed", line)
	}
	for i, letter := range "sabc" {
		digits, ok := strings.CutPrefix(words[i], string(letter))
		value, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil {
			return 0, 0, fmt.Errorf("%.100q is no line of a feed", line)
		}
		if i == 0 {
			feed = int(value)
		} else {
			n = n*1000 + value
		}
	}
	return feed, n, nil
}

// Acknowledged follows what a producer says it has published: the lines that it sends to the clients of --listen, each once Kafka
// has it and those before it.
type Acknowledged struct {
	lines  atomic.Int64 // numbers below are acknowledged
	mu     sync.Mutex
	wrong  error
	closed chan struct{}
	gone   chan struct{}
	done   sync.WaitGroup
}

// Follow connects to a producer's --listen address until Gone or Close, again and again.
func Follow(feed int, address string) *Acknowledged {
	a := &Acknowledged{closed: make(chan struct{}), gone: make(chan struct{})}
	a.done.Go(func() {
		for {
			if c, err := net.Dial("tcp4", address); err == nil {
				stop := make(chan struct{})
				go func() {
					select {
					case <-a.closed:
						c.Close()
					case <-stop:
					}
				}()
				a.read(feed, c)
				close(stop)
				c.Close()
			}
			select {
			case <-a.closed:
				return
			case <-a.gone:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return a
}

// read takes lines until the connection ends.
func (a *Acknowledged) read(feed int, from io.Reader) {
	lines := bufio.NewScanner(from)
	for next := int64(-1); lines.Scan(); {
		of, n, err := parseLine(lines.Text())
		if err == nil && (of != feed || next >= 0 && n != next) {
			err = fmt.Errorf("feed %d: line %d of feed %d was acknowledged after line %d", feed, n, of, next-1)
		}
		if err != nil {
			a.mu.Lock()
			a.wrong = err
			a.mu.Unlock()
			return
		}
		next = n + 1
		a.lines.Store(max(a.lines.Load(), next))
	}
}

// Lines is how many are acknowledged at least: their numbers are less. The error is about lines out of order.
func (a *Acknowledged) Lines() (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lines.Load(), a.wrong
}

// Gone tells that the producer has been killed: what it has sent is read to its end, and its address may be another one's soon.
func (a *Acknowledged) Gone() { close(a.gone) }

// Close ends the following.
func (a *Acknowledged) Close() {
	close(a.closed)
	a.done.Wait()
}
