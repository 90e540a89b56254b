package producer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// inOrder returns the topic's lines in the order in which they were chosen.
func inOrder(t *testing.T, b *broker) (lines []string) {
	t.Helper()
	records := published(t, b)
	for n := 0; ; n++ {
		p := n % len(records)
		if n/len(records) == len(records[p]) {
			return lines
		}
		lines = append(lines, string(records[p][n/len(records)].Value))
	}
}

// Whatever standard input has is published when Run returns.
func TestRunStdin(t *testing.T) {
	b := startBroker(t)
	cfg, out, _ := config(t, b, "")
	cfg.Settings = Settings{Source: "stdin"}
	content := "\n a\tb \r\n" + numbered(100_000) + "last"
	cfg.Runtime.Stdin = strings.NewReader(content)
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.Replace(content, "\r", "", 1), "\n")
	if got := inOrder(t, b); !slices.Equal(got, want) {
		t.Errorf("%d lines %.100q, want %d", len(got), got, len(want))
	}
	// Many lines come at once, of which the first are shown.
	if want := 10; strings.Count(out.String(), "\n") != want || !strings.HasPrefix(out.String(), "[producer] sent -> \n[producer] sent ->  a\\tb \n[producer] sent -> 0\n") {
		t.Errorf("shown: %.1000s", out)
	}
}

func TestRunSequential(t *testing.T) {
	b := startBroker(t)
	cfg, _, _ := config(t, b, write(t, numbered(5000)))
	cfg.Order, cfg.Seed = new("sequential"), 0
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(inOrder(t, b), "\n") + "\n"; got != numbered(5000) {
		t.Errorf("%.100q", got)
	}
}

// socketSource is a server that lines come from, with its one client.
func socketSource(t *testing.T, cfg *Config) (accept func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cfg.Settings = Settings{Source: "tcp://" + l.Addr().String()}
	return func() net.Conn {
		t.Helper()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
}

// Typed lines are shown one by one, when Kafka has them, before the next one is typed; a new connection goes on; lines that
// the topic does not take are left out; and the stop does not wait for another line.
func TestRunSocket(t *testing.T) {
	b := startBroker(t)
	if err := b.CreateTopic("lines", partitions, map[string]string{"max.message.bytes": "1000"}); err != nil {
		t.Fatal(err)
	}
	cfg, out, registry := config(t, b, "")
	accept := socketSource(t, &cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- Run(ctx, cfg) }()

	conn := accept()
	for i := range 5 {
		line := fmt.Sprintf("typed %d", i)
		io.WriteString(conn, line+"\r\n")
		eventually(t, line, func() bool { return strings.HasSuffix(out.String(), "[producer] sent -> "+line+"\n") })
	}
	io.WriteString(conn, strings.Repeat("x", 1000)+"\n\nlast")
	conn.Close()
	conn = accept()
	io.WriteString(conn, "again\nnot a line yet")
	eventually(t, "the line of the second connection", func() bool { return strings.HasSuffix(out.String(), " last\n[producer] sent -> again\n") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := []string{"typed 0", "typed 1", "typed 2", "typed 3", "typed 4", "", "last", "again"}
	if got := inOrder(t, b); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	got := values(t, registry)
	if got["wordcount_producer_refused_lines_total"] != 1 || got["wordcount_producer_source_connections_total"] != 2 {
		t.Errorf("metrics %v", got)
	}
}

// While Kafka is away, the producer stops reading; when it is back, every line is there, once and in order.
func TestRunSocketWhileKafkaIsAway(t *testing.T) {
	b := startBroker(t)
	cfg, _, _ := config(t, b, "")
	accept := socketSource(t, &cfg)
	var acknowledged atomic.Int64
	cfg.Acknowledged = func(time.Time) {
		if acknowledged.Add(1) == 1 {
			b.SetReachable(false)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- Run(ctx, cfg) }()

	conn := accept()
	io.WriteString(conn, "first\n")
	eventually(t, "the first line", func() bool { return acknowledged.Load() == 1 })
	// 80 MB, more than the producer's and the operating system's buffers hold (Linux: tcp_rmem, up to 32 MB).
	const lines = 80_000
	padding := strings.Repeat(".", 994)
	var written atomic.Int64
	go func() {
		w := bufio.NewWriterSize(conn, 1)
		for i := range lines {
			fmt.Fprintf(w, "%05d%s\n", i, padding)
			written.Add(1)
		}
		w.Flush()
		conn.Close()
	}()
	// Blocked: nothing more is taken in a second.
	for before := int64(-1); written.Load() != before; time.Sleep(time.Second) {
		before = written.Load()
	}
	if n := written.Load(); n == lines {
		t.Fatal("everything was taken while Kafka is away")
	}
	b.SetReachable(true)
	accept() // it asks for more
	eventually(t, "every line", func() bool {
		n := int64(0)
		for _, info := range b.PartitionInfos("lines") {
			n += info.HighWatermark
		}
		return n == 1+lines
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for i, line := range inOrder(t, b)[1:] {
		if line[:5] != fmt.Sprintf("%05d", i) || len(line) != 999 {
			t.Fatalf("line %d is %.20q", i, line)
		}
	}
}

// What a socket client gets is what the topic has, in the order chosen.
func TestRunListen(t *testing.T) {
	b := startBroker(t)
	cfg, out, _ := config(t, b, write(t, numbered(1000)))
	cfg.Listen, cfg.Count = "127.0.0.1:0", 50_000
	b.SetReachable(false) // until the client is there
	done := make(chan error)
	go func() { done <- Run(t.Context(), cfg) }()
	listening := regexp.MustCompile(`(?m)^\[SocketServer\] listening on (\S+)$`)
	eventually(t, "the server's address", func() bool { return listening.MatchString(out.String()) })
	conn, err := net.Dial("tcp", listening.FindStringSubmatch(out.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, "the client", func() bool { return strings.Contains(out.String(), "client connected") })
	b.SetReachable(true)
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := inOrder(t, b)
	if len(want) != 50_000 || string(got) != strings.Join(want, "\n")+"\n" {
		t.Errorf("the client got %d bytes %.50q, the topic has %d lines", len(got), got, len(want))
	}
}
