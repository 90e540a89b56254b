package producer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wordcount/internal/service"
)

const (
	dialTimeout  = 5 * time.Second
	firstBackoff = 100 * time.Millisecond // from one attempt's start to the next; it doubles
	maxBackoff   = 2 * time.Second

	quietTime = 500 * time.Millisecond // an outage that passes within it is not worth a line in the log
	sayAgain  = 10 * time.Second       // how often the log says that it lasts
)

// socketPart is the source's name in /readyz: ready while there is a connection.
const socketPart = "source"

var errServerClosed = errors.New("the server closed the connection")

// socket is a client of the server that lines come from, as Spark's socketTextStream is. It connects again whenever the
// server goes away; the end of a connection ends a line.
type socket struct {
	addr      string
	name      string
	log       *slog.Logger
	health    *service.Health
	connected prometheus.Counter
	dial      dial

	outage   outage
	refused  bool // the last attempt made no connection
	announce bool // the next connection that follows a refusal is worth a line in the log
}

type dial func(ctx context.Context, addr string) (net.Conn, error)

// outage is a time without lines. A server that accepts and closes at once is no better than one that refuses, so only a
// connection that brought something, or lasted, ends it.
type outage struct {
	attempts    int
	since, said time.Time
}

// newSocket returns the lines of a server at addr, host:port. They never end.
func newSocket(addr string, rt service.Runtime, m *metrics) *streamSource {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return newSocketWith(func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }, addr, rt, m)
}

// newSocketWith is newSocket for tests, which dial in memory.
func newSocketWith(dial dial, addr string, rt service.Runtime, m *metrics) *streamSource {
	rt.Health.SetReady(socketPart, false)
	c := &socket{addr: addr, name: fromSocket + addr, log: rt.Log, health: rt.Health, connected: m.connected, dial: dial, refused: true, announce: true}
	return newStreamSource(c.name, rt.Log, m.refused, c.run)
}

// run connects, reads, and connects again until ctx ends; the error is ctx's.
func (c *socket) run(ctx context.Context, s *streamSource) error {
	for {
		began := time.Now()
		failure := c.connect(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		timer := time.NewTimer(time.Until(began.Add(c.backoff(failure))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// connect reads one connection to its end and returns how it ended.
func (c *socket) connect(ctx context.Context, s *streamSource) error {
	conn, err := c.dial(ctx, c.addr)
	if err != nil {
		c.refused = true
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a read

	c.connected.Inc()
	c.health.SetReady(socketPart, true)
	defer c.health.SetReady(socketPart, false)
	if c.refused && c.announce {
		c.log.Info("read lines from " + c.name + ": connected")
		c.announce = false
	}
	c.refused = false
	began := time.Now()
	n, err := s.receive(ctx, conn)
	if n > 0 || time.Since(began) >= maxBackoff {
		c.outage = outage{}
	}
	if err == io.EOF {
		return errServerClosed
	}
	return err
}

// backoff notes that there is no connection, says so when that lasts, and returns the time from the last attempt's start to
// the next one's: 100 ms, doubled up to 2 s, give or take a quarter.
func (c *socket) backoff(failure error) time.Duration {
	now := time.Now()
	o := &c.outage
	if o.attempts == 0 {
		o.since = now
	}
	o.attempts++
	if now.Sub(o.since) >= quietTime && (o.said.IsZero() || now.Sub(o.said) >= sayAgain) {
		o.said = now
		c.announce = true
		c.log.Warn("read lines from "+c.name+": waiting for the server", "since", now.Sub(o.since).Round(time.Millisecond), "error", failure)
	}
	d := min(firstBackoff<<min(o.attempts-1, 10), maxBackoff)
	return d + time.Duration((rand.Float64()-0.5)/2*float64(d))
}
