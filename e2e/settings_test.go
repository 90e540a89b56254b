package e2e

import (
	"net"
	"strings"
	"testing"
	"time"
)

// A wrong setting is one line on standard error that names the setting, and status 2.
func TestWrongSettings(t *testing.T) {
	for _, c := range []struct {
		program string
		args    []string
		names   string
	}{
		{"producer", []string{"--rate", "-1"}, "rate"},
		{"producer", []string{"--file", "/does/not/exist"}, "/does/not/exist"},
		{"producer", []string{"--file", "/dev/null"}, "/dev/null"},
		{"producer", []string{"--interval", "0s"}, "interval"},
		{"producer", []string{"--brokers", "localhost"}, "brokers"},
		{"producer", []string{"--no-such-setting"}, "no-such-setting"},
		{"producer", []string{"--source", "kafka"}, "source"},
		{"producer", []string{"--source", "tcp://localhost"}, "source"},
		{"producer", []string{"--source", "stdin", "--file", "messages.txt"}, "file"},
		{"producer", []string{"--source", "tcp://localhost:7777", "--order", "random"}, "order"},
		{"producer", []string{"--loop"}, "loop"},
		{"producer", []string{"--listen", "9999"}, "listen"},
		{"standalone", []string{"--source", "stdin", "--loop"}, "loop"},
		{"counter", []string{"--batch-interval", "50ms"}, "batch-interval"},
		{"counter", []string{"--batch-interval", "soon"}, "batch-interval"},
		{"counter", []string{"--tokenizer", "regexp:("}, "tokenizer"},
		{"counter", []string{"--tokenizer", "sentences"}, "tokenizer"},
		{"counter", []string{"--shuffle-partitions", "0"}, "shuffle-partitions"},
		{"counter", []string{"--lines-topic", "a topic"}, "lines-topic"},
		{"consumer-printer", []string{"--format", "xml"}, "format"},
		{"consumer-printer", []string{"--num", "-1"}, "num"},
		{"consumer-printer", []string{"--time-zone", "Mars/Olympus"}, "time-zone"},
		{"consumer-printer", []string{"--sort", "length"}, "sort"},
		{"consumer-printer", []string{"--http", "8080"}, "http"},
		{"standalone", []string{"--broker-addr", "nowhere"}, "broker-addr"},
	} {
		t.Run(c.program+strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			s := programs.Start(t, nil, c.program, append([]string{"--metrics-addr", ""}, c.args...)...)
			if status := s.Exit(10 * time.Second); status != 2 {
				t.Errorf("status %d, not 2", status)
			}
			var said []string
			for line := range strings.Lines(s.Stderr.String()) {
				if !strings.Contains(line, " level=INFO ") { // files are looked at when the log has begun
					said = append(said, line)
				}
			}
			if len(said) != 1 || !strings.Contains(said[0], c.names) {
				t.Errorf("not one line that names %s, but:\n%s", c.names, s.Stderr)
			}
			if s.Stdout.String() != "" {
				t.Errorf("standard output:\n%s", s.Stdout)
			}
		})
	}
}

// Where nothing answers, every service says so and waits, and stops when it is told to.
func TestNoBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	file := labFile(t)
	for program, args := range map[string][]string{"producer": {"--file", file}, "counter": nil, "consumer-printer": {"--http", ""}} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			s := programs.Start(t, nil, program, append([]string{"--metrics-addr", "", "--brokers", nobody}, args...)...)
			s.Stderr.Wait(t, 20*time.Second, "a line of the log about "+nobody, func(text string) bool { return strings.Contains(text, nobody) })
			s.Stop()
		})
	}
}
