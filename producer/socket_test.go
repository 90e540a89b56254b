package producer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wordcount/internal/service"
)

// fakeServer is a socket server in memory; nobody is served while serve is nil.
type fakeServer struct {
	mu    sync.Mutex
	serve func(conn net.Conn)
	dials []time.Time
}

func (f *fakeServer) dial(ctx context.Context, addr string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials = append(f.dials, time.Now())
	if f.serve == nil {
		return nil, fmt.Errorf("dial tcp %s: connection refused", addr)
	}
	ours, theirs := net.Pipe()
	go f.serve(ours)
	return theirs, nil
}

// client returns the lines of the server, of at most 100 bytes.
func (f *fakeServer) client(t *testing.T) (*streamSource, *output, *prometheus.Registry, *service.Health) {
	t.Helper()
	log, out := quietLog()
	registry, health := prometheus.NewRegistry(), &service.Health{}
	s := newSocketWith(f.dial, "somewhere:7777", service.Runtime{Log: log, Health: health}, newMetrics(registry))
	if err := s.Limit(100); err != nil {
		t.Fatal(err)
	}
	return s, out, registry, health
}

func next(t *testing.T, s Source, want string) {
	t.Helper()
	if line, err := one(t.Context(), s); string(line) != want || err != nil {
		t.Fatalf("%q, %v; want %q", line, err, want)
	}
}

// The end of a connection ends the last line; the lines of the next one follow.
func TestSocketConnectsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		f := &fakeServer{serve: func(conn net.Conn) {
			n++
			fmt.Fprintf(conn, "hello %d\r\n\nlast", n)
			conn.Close()
		}}
		s, log, registry, _ := f.client(t)
		for i := range 5 {
			next(t, s, fmt.Sprint("hello ", i+1))
			next(t, s, "")
			next(t, s, "last")
		}
		s.Close()
		synctest.Wait()
		if got := values(t, registry)["wordcount_producer_source_connections_total"]; got != float64(n) || n < 5 {
			t.Errorf("%v connections counted of %d", got, n)
		}
		for i := range f.dials[1:] {
			if d := f.dials[i+1].Sub(f.dials[i]); d < firstBackoff*3/4 || d > firstBackoff*5/4 {
				t.Errorf("%v from one connection to the next, of a server that works", d)
			}
		}
		if want := "level=INFO msg=\"read lines from tcp://somewhere:7777: connected\"\n"; log.String() != want {
			t.Errorf("logged:\n%s", log)
		}
	})
}

// A server that is away is asked ever more seldom; the log says so after half a second, every ten, and at the end.
func TestSocketServerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{}
		s, log, registry, health := f.client(t)
		defer s.Close()
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if got := fmt.Sprint(health.NotReady()); got != "[source]" {
			t.Errorf("not ready: %s", got)
		}
		const waiting = "level=WARN msg=\"read lines from tcp://somewhere:7777: waiting for the server\""
		if n := strings.Count(log.String(), "\n"); n != 3 || strings.Count(log.String(), waiting) != 3 || !strings.Contains(log.String(), "connection refused") {
			t.Errorf("%d lines logged:\n%s", n, log)
		}
		if n := len(f.dials); n < 25/2 || n > 25 {
			t.Errorf("%d attempts in 25 s", n)
		}
		if d := f.dials[len(f.dials)-1].Sub(f.dials[len(f.dials)-2]); d < maxBackoff*3/4 || d > maxBackoff*5/4 {
			t.Errorf("%v from one attempt to the next in the end", d)
		}

		f.mu.Lock()
		f.serve = func(conn net.Conn) { io.Copy(io.Discard, conn) } // nothing to say
		f.mu.Unlock()
		time.Sleep(2 * maxBackoff)
		synctest.Wait()
		if got := health.NotReady(); len(got) != 0 {
			t.Errorf("not ready: %v", got)
		}
		if text := log.String(); !strings.HasSuffix(text, "level=INFO msg=\"read lines from tcp://somewhere:7777: connected\"\n") || strings.Count(text, "\n") != 4 {
			t.Errorf("logged:\n%s", text)
		}
		if n := values(t, registry)["wordcount_producer_source_connections_total"]; n != 1 {
			t.Errorf("%v connections counted", n)
		}
	})
}

// A connection that lasted was one that worked, though nothing came: an outage after it is a new one.
func TestSocketServerWithNothingToSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{serve: func(conn net.Conn) {
			time.Sleep(time.Hour)
			conn.Close()
		}}
		s, log, _, _ := f.client(t)
		time.Sleep(10*time.Hour + time.Minute)
		synctest.Wait()
		if n := len(f.dials); n != 11 {
			t.Errorf("%d connections in ten hours", n)
		}
		if strings.Contains(log.String(), "waiting") {
			t.Errorf("logged:\n%s", log)
		}
		s.Close()
		time.Sleep(time.Hour) // until the server has ended, too
	})
}

// One that accepts and closes is no better than one that refuses.
func TestSocketServerThatCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{serve: func(conn net.Conn) { conn.Close() }}
		s, log, _, health := f.client(t)
		defer s.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(f.dials); n < 25 || n > 45 {
			t.Errorf("%d connections in a minute", n)
		}
		if n := strings.Count(log.String(), "\n"); n > 1+60/10 || !strings.Contains(log.String(), "error=\"the server closed the connection\"") {
			t.Errorf("%d lines logged:\n%s", n, log)
		}
		if got := fmt.Sprint(health.NotReady()); got != "[source]" {
			t.Errorf("not ready: %s", got)
		}
	})
}

// A stop ends whatever the source does, and leaves nothing behind.
func TestSocketStops(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"waiting for a server":   nil,
		"waiting for a line":     func(conn net.Conn) { io.Copy(io.Discard, conn) },
		"waiting for the reader": func(conn net.Conn) { io.Copy(conn, &endless{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which waits for all goroutines
				s, _, _, _ := (&fakeServer{serve: serve}).client(t)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				for {
					if _, err := s.Next(ctx, 1); err != nil {
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Error(err)
						}
						break
					}
					time.Sleep(time.Millisecond)
				}
				s.Close()
			})
		})
	}
}
