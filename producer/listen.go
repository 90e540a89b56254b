package producer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// clientBytes is how far behind a client is that gets no more lines, but is disconnected: neither may it slow the producer, nor get lines with a gap.
	// One that is not gets all that come next, however many: what had to wait for one partition comes in one piece.
	clientBytes = 8 << 20
	// maxClients bounds the memory of all.
	maxClients = 64
	// lastWrites is how long clients may take for what waits for them when the producer ends.
	lastWrites = 2 * time.Second
	// lastReads is how long a client may take to close, then, once it has been told that no more lines come.
	lastReads = 200 * time.Millisecond
)

// socketServer sends the published lines to every client that is connected, as the lab's server does: from the first line
// that is handed on after it has connected.
type socketServer struct {
	listener net.Listener
	stdout   io.Writer
	log      *slog.Logger
	clients  prometheus.Gauge
	slow     prometheus.Counter
	limit    int // bytes that wait for a client

	mu        sync.Mutex
	connected map[*client]struct{}
	ending    bool
	complain  complaint
	working   sync.WaitGroup // the accepting and the clients' goroutines
}

// client is a connection that lines are written to. Its fields are the server's mutex's.
type client struct {
	conn    net.Conn
	waiting []byte
	writing int // bytes under way
	ending  bool
	changed chan struct{} // capacity 1: lines wait, or ending
}

// listen accepts clients from now on.
func listen(addr string, stdout io.Writer, log *slog.Logger, m *metrics) (*socketServer, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) { // says "listen" and the address a second time
			err = op.Err
		}
		return nil, fmt.Errorf("listen on --listen %s: %w; choose another with --listen", addr, err)
	}
	s := &socketServer{listener: listener, stdout: stdout, log: log, clients: m.clients, slow: m.slow, limit: clientBytes,
		connected: make(map[*client]struct{})}
	s.say("listening on %v", listener.Addr())
	s.working.Go(s.accept)
	return s, nil
}

// say shows a line on standard output. Lines that cannot be shown are no reason to stop publishing.
func (s *socketServer) say(format string, args ...any) {
	fmt.Fprintf(s.stdout, "[SocketServer] "+format+"\n", args...)
}

func (s *socketServer) accept() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as too many open files
			s.log.Warn("accept a socket client", "error", err)
			time.Sleep(time.Second)
		default:
			s.welcome(conn)
		}
	}
}

// welcome serves a client, unless there are too many.
func (s *socketServer) welcome(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending || len(s.connected) >= maxClients {
		if others, due := s.complain.due(time.Now()); due && !s.ending {
			s.log.Warn("a socket client was refused: there are as many as may be", "client", conn.RemoteAddr(), "connected", len(s.connected), "others_since_last_said", others)
		}
		conn.Close()
		return
	}
	c := &client{conn: conn, changed: make(chan struct{}, 1)}
	s.connected[c] = struct{}{}
	s.clients.Inc()
	s.say("client connected: %v", conn.RemoteAddr())
	s.working.Go(func() { s.write(c) })
	s.working.Go(func() {
		io.Copy(io.Discard, conn) // until the client closes, if only its half, or we do
		s.leave(c)
	})
}

// send gives lines to every client, and disconnects those that are too far behind. It does not wait for them.
func (s *socketServer) send(lines []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connected {
		if behind := len(c.waiting) + c.writing; behind >= s.limit {
			s.tooSlow(c, behind)
			s.forget(c)
			continue
		}
		c.waiting = append(c.waiting, lines...)
		signal(c.changed)
	}
}

// write writes what waits for a client until there is no more to come.
func (s *socketServer) write(c *client) {
	if s.writeAll(c) == nil && s.endLines(c) == nil {
		return // the client closes, or its time is over
	}
	s.leave(c)
}

// endLines tells a client that no more lines come. Closing the connection would do that too, but where the client has said
// something that nobody has read, a close takes lines away that are still on their way (RFC 1122, 4.2.2.13).
func (s *socketServer) endLines(c *client) error {
	c.conn.SetReadDeadline(time.Now().Add(lastReads))
	return c.conn.(*net.TCPConn).CloseWrite()
}

// writeAll returns nil when the client has everything at the server's end.
func (s *socketServer) writeAll(c *client) error {
	var lines []byte
	for range c.changed {
		s.mu.Lock()
		lines, c.waiting = c.waiting, lines[:0]
		c.writing = len(lines)
		ending := c.ending
		s.mu.Unlock()
		if len(lines) > 0 {
			if _, err := c.conn.Write(lines); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					s.tooSlow(c, len(lines))
				}
				return err
			}
		}
		if ending {
			return nil
		}
		s.mu.Lock()
		c.writing = 0
		s.mu.Unlock()
	}
	return nil
}

func (s *socketServer) tooSlow(c *client, behind int) {
	s.slow.Inc()
	s.log.Warn("a socket client is disconnected: it does not keep up with the lines", "client", c.conn.RemoteAddr(), "bytes_behind", behind)
}

// leave ends a connection, once.
func (s *socketServer) leave(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(c)
}

func (s *socketServer) forget(c *client) {
	if _, there := s.connected[c]; !there {
		return
	}
	delete(s.connected, c)
	s.clients.Dec()
	c.conn.Close()
	c.ending = true
	signal(c.changed)
	s.say("client disconnected: %v", c.conn.RemoteAddr())
}

// close ends the server once every client has what was sent, or lastWrites has passed.
func (s *socketServer) close() {
	s.listener.Close()
	s.mu.Lock()
	s.ending = true
	for c := range s.connected {
		c.conn.SetWriteDeadline(time.Now().Add(lastWrites))
		c.ending = true
		signal(c.changed)
	}
	s.mu.Unlock()
	s.working.Wait()
}
