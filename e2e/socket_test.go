package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// netcat is a server of `nc -lk` at a port, with a keyboard.
type netcat struct {
	io.Writer // what is typed
	cmd       *exec.Cmd
}

// needNetcat skips the test where there is no nc that listens as OpenBSD's does, unless E2E_DOCKER=required.
func needNetcat(t *testing.T) {
	t.Helper()
	out, err := exec.Command("nc", "-h").CombinedOutput()
	if bytes.Contains(out, []byte("OpenBSD netcat")) {
		return
	}
	missing := fmt.Sprintf("no OpenBSD netcat (package netcat-openbsd) is installed as nc: %v", err)
	if os.Getenv("E2E_DOCKER") == "required" {
		t.Fatal("E2E_DOCKER=required, and " + missing)
	}
	netcatMissing = missing
	t.Skip(missing)
}

// netcatMissing is why tests with nc were skipped.
var netcatMissing string

// startNetcat runs nc -lk until the test ends or it is killed.
func startNetcat(t *testing.T, port string) *netcat {
	t.Helper()
	cmd := exec.Command("nc", "-lk", "127.0.0.1", port)
	keyboard, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start nc: %v", err)
	}
	n := &netcat{keyboard, cmd}
	t.Cleanup(n.kill)
	return n
}

func (n *netcat) kill() {
	_ = n.cmd.Process.Kill() // it may have ended
	_ = n.cmd.Wait()
}

func (n *netcat) types(t *testing.T, lines string) {
	t.Helper()
	if _, err := io.WriteString(n, lines); err != nil {
		t.Fatalf("type into nc: %v", err)
	}
}

// shows waits until a process has printed the text.
func shows(t *testing.T, s *Process, text string) {
	t.Helper()
	s.Stdout.Wait(t, 20*time.Second, s.Name+" showing "+text, func(all string) bool { return strings.Contains(all, text) })
}

// The lab with batches of a second: lines are typed into nc, and the counts of each second are shown. The producer is started
// first, and nc may go and come back. Every line is also sent to those who connect, as the lab's server sends its lines.
func TestNetcatLab(t *testing.T) {
	needNetcat(t)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s := programs.Start(t, nil, "standalone", "--broker-addr", "127.0.0.1:0", "--metrics-addr", "", "--batch-interval", "1s", "--num", "0", "--http", "",
		"--source", "tcp://127.0.0.1:"+port, "--listen", "127.0.0.1:0")
	s.Stderr.Wait(t, 20*time.Second, "a line of the log about nc that is not there", func(text string) bool {
		return strings.Contains(text, "tcp://127.0.0.1:"+port+": waiting for the server")
	})
	listening := regexp.MustCompile(`(?m)^\[SocketServer\] listening on (\S+)$`)
	client, err := net.Dial("tcp", listening.FindStringSubmatch(s.Stdout.Wait(t, 10*time.Second, "the address of --listen", listening.MatchString))[1])
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	shows(t, s, "[SocketServer] client connected: "+client.LocalAddr().String())

	nc := startNetcat(t, port)
	nc.types(t, "hello spark streaming\n")
	shows(t, s, "[producer] sent -> hello spark streaming\n")
	nc.types(t, "hello spark\r\n\nit's  here\n")
	shows(t, s, "[producer] sent -> it's  here\n")
	nc.kill()
	nc = startNetcat(t, port)
	nc.types(t, "hello again\n")
	shows(t, s, "[producer] sent -> hello again\n")
	s.Stop()

	got, err := io.ReadAll(client)
	if want := "hello spark streaming\nhello spark\n\nit's  here\nhello again\n"; string(got) != want || err != nil {
		t.Errorf("the client of --listen got %q, %v", got, err)
	}
	sums := make(map[string]int)
	for _, match := range regexp.MustCompile(`(?m)^\(['"](.*)['"], (\d+)\)$`).FindAllStringSubmatch(s.Stdout.String(), -1) {
		var n int
		fmt.Sscan(match[2], &n)
		sums[match[1]] += n
	}
	if want := "map[:2 again:1 hello:3 here:1 it's:1 spark:2 streaming:1]"; fmt.Sprint(sums) != want {
		t.Errorf("counted %v, want %s:\n%s", sums, want, s.Stdout)
	}
}

// The services, each a process: what nc sends is on the topic line by line, and its batches of a second are the oracle's and
// those that Spark would print.
func TestProducerReadsNetcat(t *testing.T) {
	needNetcat(t)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p := NewPipeline(t, programs, embeddedBroker(t), time.Second, "space")
	printer, counter := p.Printer("--num", "10"), p.Counter()
	producer := p.Producer(nil, "--source", "tcp://127.0.0.1:"+port)
	nc := startNetcat(t, port)
	var typed []string
	for i := range 200 {
		typed = append(typed, fmt.Sprintf("line %d of  nc\twith spark", i))
	}
	nc.types(t, strings.Join(typed, "\n")+"\n")
	p.Watch.Lines(200)
	p.Watch.Batches(1)
	nc.types(t, "漢字 \xff\n")
	typed = append(typed, "漢字 \xff")
	lines := p.Watch.Lines(201)
	producer.Stop()
	p.Watch.Counted(20 * time.Second)
	counter.Stop()

	var got []string
	for _, line := range lines {
		got = append(got, string(line.Value))
	}
	slices.Sort(got)
	slices.Sort(typed)
	if !slices.Equal(got, typed) {
		t.Errorf("%d lines are on the topic, %d were typed: %.500q", len(got), len(typed), got)
	}
	p.ShowsPprint(printer, p.Watch.Check(), 10)
}

// cat file | producer --source stdin loads a file, and --order sequential does the same.
func TestProducerLoadsAFile(t *testing.T) {
	const lines = 200_000
	var content strings.Builder
	for i := range lines {
		fmt.Fprintf(&content, "line %d of a file\n", i)
	}
	file := t.TempDir() + "/lines.txt"
	if err := os.WriteFile(file, []byte(content.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := NewPipeline(t, programs, embeddedBroker(t), time.Second, "space")
	for i, producer := range []*Process{
		p.Producer(strings.NewReader(content.String()), "--source", "stdin"),
		p.Producer(nil, "--file", file, "--order", "sequential", "--rate", "0"),
	} {
		if status := producer.Exit(30 * time.Second); status != 0 {
			t.Fatalf("producer %d ended with status %d", i, status)
		}
	}
	seen := make(map[string]int)
	for _, line := range p.Watch.Lines(2 * lines) {
		seen[string(line.Value)]++
	}
	for line := range strings.Lines(content.String()) {
		if n := seen[strings.TrimSuffix(line, "\n")]; n != 2 {
			t.Fatalf("%q is there %d times, not twice", line, n)
		}
	}
}

// A stop does not wait for somebody to press a key: a terminal, or a pipe, cannot be interrupted.
func TestProducerStopsWhileStdinIsSilent(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	p := NewPipeline(t, programs, embeddedBroker(t), time.Second, "space")
	producer := p.Producer(r, "--source", "stdin")
	io.WriteString(w, "typed\n")
	shows(t, producer, "[producer] sent -> typed\n")
	producer.Stop()
}
