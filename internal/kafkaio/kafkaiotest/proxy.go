package kafkaiotest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
)

// proxy stands between clients and one broker, whose address it replaces by its own in what the broker answers. It sees
// every request and answer, and can lose them.
type proxy struct {
	addr   string
	target string
	moved  [][2][]byte // the broker's address in an answer, and ours

	mu          sync.Mutex
	unreachable bool
	conns       map[net.Conn]bool
	loseRequest map[protocol.ApiKey]int           // how many to cut the connection at instead of passing them on
	loseAnswer  map[protocol.ApiKey]int           // how many to pass on, and to cut the connection at instead of their answer
	keeping     map[protocol.ApiKey]chan []byte   // gets the next request, which is lost
	held        map[protocol.ApiKey]chan struct{} // requests wait until it is closed
	reached     map[protocol.ApiKey]chan struct{} // closed when a request is held
	requests    map[protocol.ApiKey]int
	accepted    int
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		addr:        l.Addr().String(),
		target:      target,
		conns:       make(map[net.Conn]bool),
		loseRequest: make(map[protocol.ApiKey]int),
		loseAnswer:  make(map[protocol.ApiKey]int),
		keeping:     make(map[protocol.ApiKey]chan []byte),
		held:        make(map[protocol.ApiKey]chan struct{}),
		reached:     make(map[protocol.ApiKey]chan struct{}),
		requests:    make(map[protocol.ApiKey]int),
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		p.moved = append(p.moved, [2][]byte{hostPort(t, host, target), hostPort(t, host, p.addr)})
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.setReachable(false)
		p.mu.Lock()
		for _, hold := range p.held {
			close(hold)
		}
		clear(p.held)
		p.mu.Unlock()
		serving.Wait()
	})
	return p
}

// hostPort is how an address stands in Metadata and FindCoordinator responses: string, int32.
func hostPort(t *testing.T, host, addr string) []byte {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(host)))
	return binary.BigEndian.AppendUint32(append(b, host...), uint32(n))
}

// setReachable(false) closes every connection and every new one, as a broker does that is going down.
func (p *proxy) setReachable(reachable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unreachable = !reachable
	if !reachable {
		for c := range p.conns {
			c.Close()
		}
	}
}

// lose cuts the connection at the next n requests of a kind: before the broker has them, or, answered, when it has.
func (p *proxy) lose(key protocol.ApiKey, n int, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answered {
		p.loseAnswer[key] = n
	} else {
		p.loseRequest[key] = n
	}
}

// keep cuts the connection at the next request of a kind; late has the broker get it all the same, and waits for its answer.
func (p *proxy) keep(key protocol.ApiKey) (late func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := make(chan []byte, 1)
	p.keeping[key] = kept
	return func() error {
		broker, err := net.Dial("tcp", p.target)
		if err != nil {
			return err
		}
		defer broker.Close()
		if _, err := broker.Write(<-kept); err != nil {
			return err
		}
		_, err = readFrame(broker)
		return err
	}
}

// hold lets requests of a kind wait until release; reached is closed when the first is there.
func (p *proxy) hold(key protocol.ApiKey) (reached <-chan struct{}, release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[key], p.reached[key] = make(chan struct{}), make(chan struct{})
	return p.reached[key], func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if hold := p.held[key]; hold != nil {
			close(hold)
			delete(p.held, key)
		}
	}
}

// counts returns how many requests of a kind came, and how many connections.
func (p *proxy) counts(key protocol.ApiKey) (requests, connections int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[key], p.accepted
}

// left returns how many of the losses asked for have not happened.
func (p *proxy) left(key protocol.ApiKey) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loseRequest[key] + p.loseAnswer[key]
}

func (p *proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted++
	if p.unreachable {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	if !p.track(client) {
		return
	}
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
	}()
	broker, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer broker.Close()
	asked := make(chan protocol.ApiKey, 1000) // answers come in the order of requests
	var answering sync.WaitGroup
	answering.Go(func() {
		defer client.Close()
		for {
			answer, err := readFrame(broker)
			if err != nil {
				return
			}
			key := <-asked
			if p.cut(p.loseAnswer, key) {
				return
			}
			if key == protocol.Metadata || key == protocol.FindCoordinator {
				for _, m := range p.moved {
					answer = bytes.ReplaceAll(answer, m[0], m[1])
				}
				binary.BigEndian.PutUint32(answer, uint32(len(answer)-4))
			}
			if _, err := client.Write(answer); err != nil {
				return
			}
		}
	})
	for {
		request, err := readFrame(client)
		if err != nil {
			break
		}
		key := protocol.ApiKey(binary.BigEndian.Uint16(request[4:]))
		p.wait(key)
		if p.kept(key, request) {
			break
		}
		if p.cut(p.loseRequest, key) {
			break
		}
		asked <- key
		if _, err := broker.Write(request); err != nil {
			break
		}
	}
	broker.Close()
	client.Close()
	answering.Wait()
}

// wait counts a request, and holds it if its kind is held.
func (p *proxy) wait(key protocol.ApiKey) {
	p.mu.Lock()
	p.requests[key]++
	hold := p.held[key]
	if reached := p.reached[key]; hold != nil && reached != nil {
		close(reached)
		delete(p.reached, key)
	}
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

// kept tells whether a request was kept.
func (p *proxy) kept(key protocol.ApiKey, request []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.keeping[key]
	if kept == nil {
		return false
	}
	kept <- request
	delete(p.keeping, key)
	return true
}

// cut tells whether to cut the connection here, once less often from now on.
func (p *proxy) cut(losses map[protocol.ApiKey]int, key protocol.ApiKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if losses[key] == 0 {
		return false
	}
	losses[key]--
	return true
}

// readFrame reads a request or an answer with its size before it.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, 4, 1024)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}
