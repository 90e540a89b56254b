package embedded

import (
	"errors"
	"net"
	"sync"
	"time"
)

// listener hands kfake connections that are wrapped (conn.go), and can refuse
// and cut them.
type listener struct {
	net.Listener
	addr        net.Addr
	appendTimes *appendTimes
	openOffsets *openOffsets
	failed      chan error // capacity 1

	mu          sync.Mutex
	closed      bool
	unreachable bool
	conns       map[*conn]struct{}
}

func listen(addr string) (*listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &listener{
		Listener:    l,
		addr:        advertised(l.Addr()),
		appendTimes: newAppendTimes(),
		openOffsets: newOpenOffsets(),
		failed:      make(chan error, 1),
		conns:       make(map[*conn]struct{}),
	}, nil
}

// Addr is the address that metadata responses give to clients.
func (l *listener) Addr() net.Addr { return l.addr }

// advertised replaces an unspecified host, to which nobody can connect, by localhost.
func advertised(addr net.Addr) net.Addr {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return addr
	}
	return hostPort(net.JoinHostPort("localhost", port))
}

type hostPort string

func (hostPort) Network() string  { return "tcp" }
func (a hostPort) String() string { return string(a) }

// Accept waits out temporary errors (too many open files): kfake would stop
// listening at the first.
func (l *listener) Accept() (net.Conn, error) {
	const pause = 50 * time.Millisecond
	for {
		nc, err := l.Listener.Accept()
		switch {
		case err == nil:
			if c := l.admit(nc); c != nil {
				return c, nil
			}
			nc.Close()
		case l.isClosed():
			return nil, err
		case isTemporary(err):
			time.Sleep(pause)
		default:
			select {
			case l.failed <- err:
			default:
			}
			return nil, err
		}
	}
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

func (l *listener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *listener) admit(nc net.Conn) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.unreachable {
		return nil
	}
	c := &conn{Conn: nc, listener: l}
	l.conns[c] = struct{}{}
	return c
}

func (l *listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

func (l *listener) setReachable(reachable bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unreachable = !reachable
	if reachable {
		return
	}
	for c := range l.conns {
		c.Conn.Close()
		delete(l.conns, c)
	}
}

// Close stops listening. It leaves the connections to kfake, which closes them when it is closed.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.Listener.Close()
}
