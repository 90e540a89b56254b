package producer

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// serving is a socket server at a free port.
type serving struct {
	*socketServer
	t        *testing.T
	out, log *output
	registry *prometheus.Registry
}

func serve(t *testing.T) *serving {
	t.Helper()
	s := &serving{t: t, out: &output{}, registry: prometheus.NewRegistry()}
	log, out := quietLog()
	s.log = out
	var err error
	if s.socketServer, err = listen("127.0.0.1:0", s.out, log, newMetrics(s.registry)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// connect returns a client that the server has welcomed.
func (s *serving) connect() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	s.shows(fmt.Sprintf("[SocketServer] client connected: %v\n", conn.LocalAddr()))
	return conn
}

// shows waits until standard output has the line.
func (s *serving) shows(line string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%q", line), func() bool { return strings.Contains(s.out.String(), line) })
}

// eventually waits for what another goroutine or the operating system does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s", what)
		}
	}
}

func TestListenSendsToEveryClient(t *testing.T) {
	s := serve(t)
	s.send([]byte("before\n")) // to nobody
	first := s.connect()
	s.send([]byte("a\n\nb\n"))
	second := s.connect()
	s.send([]byte("c\n"))
	io.WriteString(second, "what a client says is of no interest\n")
	s.close()
	for conn, want := range map[net.Conn]string{first: "a\n\nb\nc\n", second: "c\n"} {
		got, err := io.ReadAll(conn)
		if string(got) != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		s.shows(fmt.Sprintf("[SocketServer] client disconnected: %v\n", conn.LocalAddr()))
	}
	if s.log.String() != "" {
		t.Errorf("logged: %s", s.log)
	}
}

// A client that goes is noticed at once, not with the next line.
func TestListenNoticesALeave(t *testing.T) {
	s := serve(t)
	conn := s.connect()
	if n := s.values()["wordcount_producer_socket_clients"]; n != 1 {
		t.Errorf("%v clients", n)
	}
	conn.Close()
	s.shows(fmt.Sprintf("[SocketServer] client disconnected: %v\n", conn.LocalAddr()))
	s.send([]byte("to nobody\n"))
	if n := s.values()["wordcount_producer_socket_clients"]; n != 0 {
		t.Errorf("%v clients", n)
	}
}

func (s *serving) values() map[string]float64 {
	s.t.Helper()
	got := values(s.t, s.registry)
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		got[f.GetName()] += f.GetMetric()[0].GetGauge().GetValue()
	}
	return got
}

// A client that does not read is disconnected when its buffer is full; the others get everything, and nobody waits for it.
func TestListenSlowClient(t *testing.T) {
	s := serve(t)
	s.limit = 1 << 20
	slow, good := s.connect(), s.connect()
	lines := bytes.Repeat([]byte(strings.Repeat("x", 999)+"\n"), 100)
	const rounds = 300 // 30 MB, far beyond the limit and what the operating system takes
	reader := bufio.NewReader(good)
	buffer := make([]byte, len(lines))
	for range rounds {
		s.send(lines)
		if _, err := io.ReadFull(reader, buffer); err != nil || !bytes.Equal(buffer, lines) {
			t.Fatalf("the client that reads: %v", err)
		}
	}
	s.shows(fmt.Sprintf("[SocketServer] client disconnected: %v\n", slow.LocalAddr()))
	if n := s.values()["wordcount_producer_slow_clients_total"]; n != 1 {
		t.Errorf("%v slow clients", n)
	}
	if want := fmt.Sprintf("client=%v", slow.LocalAddr()); strings.Count(s.log.String(), "\n") != 1 || !strings.Contains(s.log.String(), want) {
		t.Errorf("logged: %s", s.log)
	}
	if got, _ := io.ReadAll(slow); len(got) > rounds*len(lines)/2 {
		t.Errorf("the slow client got %d bytes", len(got))
	}
}

// What comes together, because all of it had to wait for one partition, does not make a client slow.
func TestListenLargePiece(t *testing.T) {
	s := serve(t)
	s.limit = 1 << 10
	client := s.connect()
	first, piece := []byte("x\n"), bytes.Repeat([]byte("0123456\n"), 1<<10)
	s.send(first) // still under way, mostly, when the next one comes
	s.send(piece)
	want := append(first, piece...)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d: %v", n, len(want), err)
	}
}

// The end waits for a client that takes its time, not for one that takes nothing.
func TestListenEnds(t *testing.T) {
	s := serve(t)
	stuck, good := s.connect(), s.connect()
	s.send(bytes.Repeat([]byte("0123456\n"), 1<<19)) // 4 MiB
	read := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, good)
		read <- n
	}()
	begin := time.Now()
	s.close()
	if n := <-read; n != 4<<20 {
		t.Errorf("the client that reads got %d bytes", n)
	}
	if d := time.Since(begin); d > lastWrites+5*time.Second {
		t.Errorf("took %v", d)
	}
	if text := s.log.String(); strings.Count(text, "\n") > 1 || strings.Contains(text, fmt.Sprint(good.LocalAddr())) {
		t.Errorf("logged: %s", text)
	}
	stuck.Close()
}

func TestListenRefusesTooManyClients(t *testing.T) {
	s := serve(t)
	for range maxClients {
		s.connect()
	}
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := io.Copy(io.Discard, conn); n != 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if want := regexp.MustCompile(`refused.*connected=64`); !want.MatchString(s.log.String()) {
		t.Errorf("logged: %s", s.log)
	}
}

func TestListenPortInUse(t *testing.T) {
	s := serve(t)
	addr := s.listener.Addr().String()
	log, _ := quietLog()
	_, err := listen(addr, io.Discard, log, newMetrics(prometheus.NewRegistry()))
	if err == nil || strings.Count(err.Error(), addr) != 1 || !strings.Contains(err.Error(), "address already in use; choose another with --listen") {
		t.Errorf("error %v", err)
	}
}
