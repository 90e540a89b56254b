package soak

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Proxy passes TCP connections on to one broker, and is the network that breaks. It knows nothing of what it passes on.
type Proxy struct {
	listener net.Listener
	target   string
	serving  sync.WaitGroup

	mu      sync.Mutex
	network Network
	changed chan struct{} // closed and replaced with every change of the network
	conns   map[net.Conn]bool
	closed  bool
}

// Network is how a Proxy's network is. The zero value is well.
type Network struct {
	Cut     bool          // every connection is reset, every new one is closed at once
	Silent  bool          // nothing arrives, and no connection ends: what was sent arrives when this is over
	Latency time.Duration // of each direction
}

// NewProxy listens on a port of 127.0.0.1 for connections to target, which need not answer yet.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for connections to %s: %w", target, err)
	}
	p := &Proxy{listener: l, target: target, changed: make(chan struct{}), conns: make(map[net.Conn]bool)}
	p.serving.Go(p.accept)
	return p, nil
}

// Port is the one to connect to.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Set changes the network, from now on.
func (p *Proxy) Set(n Network) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network = n
	close(p.changed)
	p.changed = make(chan struct{})
	if n.Cut {
		p.reset()
	}
}

// Close resets every connection and takes no more.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.reset()
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	p.serving.Wait()
}

func (p *Proxy) reset() {
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0) // RST, as from a host that lost its state
		}
		c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.serving.Go(func() { p.serve(c) })
	}
}

// keep notes a connection, and closes it where the network is cut.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.network.Cut || p.closed {
		c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	c.Close()
}

func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.forget(client)
	broker, err := net.DialTimeout("tcp4", p.target, 5*time.Second)
	if err != nil || !p.keep(broker) {
		return
	}
	defer p.forget(broker)
	var answers sync.WaitGroup
	answers.Go(func() {
		p.pass(client, broker)
		client.Close()
	})
	p.pass(broker, client)
	broker.Close()
	answers.Wait()
}

// chunk is what was read, and when.
type chunk struct {
	bytes []byte
	at    time.Time
}

// pass copies until one of both ends, each chunk when the network lets it.
func (p *Proxy) pass(to io.Writer, from net.Conn) {
	chunks := make(chan chunk, 64)
	var writing sync.WaitGroup
	writing.Go(func() {
		for c := range chunks {
			if !p.await(c.at) {
				continue
			}
			if _, err := to.Write(c.bytes); err != nil {
				from.Close() // the reader ends, and then the chunks
			}
		}
	})
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			chunks <- chunk{buffer[:n], time.Now()}
		}
		if err != nil {
			close(chunks)
			writing.Wait()
			return
		}
	}
}

// await waits until what was sent at a time arrives. It is false when the connection is lost before.
func (p *Proxy) await(sent time.Time) bool {
	for {
		p.mu.Lock()
		n, changed, closed := p.network, p.changed, p.closed
		p.mu.Unlock()
		left := time.Until(sent.Add(n.Latency))
		switch {
		case n.Cut || closed:
			return false
		case n.Silent:
			<-changed
		case left <= 0:
			return true
		default:
			select {
			case <-changed:
			case <-time.After(left):
			}
		}
	}
}
