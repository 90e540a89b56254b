package service

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

const patience = 20 * time.Second // for what takes milliseconds

// running is a program under start.
type running struct {
	t       *testing.T
	signals chan os.Signal
	stdout  *bytes.Buffer
	lines   chan string // of stderr
	status  chan int
}

func launch(t *testing.T, p program, env variables, args ...string) *running {
	stderr, writer := io.Pipe()
	r := &running{t: t, signals: make(chan os.Signal, 2), stdout: new(bytes.Buffer), lines: make(chan string, 100), status: make(chan int, 1)}
	go r.read(stderr)
	go func() {
		r.status <- p.start(host{args: args, lookupEnv: env.lookup, stdin: strings.NewReader("typed"), stdout: r.stdout, stderr: writer, signals: r.signals})
		writer.Close()
	}()
	return r
}

func (r *running) read(stderr io.Reader) {
	defer close(r.lines)
	for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
		r.lines <- scanner.Text()
	}
}

var urlInLog = regexp.MustCompile(`url=(http://\S+)/metrics`)

// url returns where the program says that its endpoint is.
func (r *running) url() string {
	r.t.Helper()
	return urlInLog.FindStringSubmatch(r.line("serving metrics"))[1]
}

// line waits for a line of stderr with that text.
func (r *running) line(text string) string {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("the program ended, and said nothing of %q", text)
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-deadline:
			r.t.Fatalf("no line on stderr says %q", text)
		}
	}
}

// end waits for the exit status and returns it with the lines of stderr that nobody has waited for.
func (r *running) end() (status int, stderr []string) {
	r.t.Helper()
	select {
	case status = <-r.status:
	case <-time.After(patience):
		r.t.Fatal("the program doesn't end")
	}
	for line := range r.lines {
		stderr = append(stderr, line)
	}
	return status, stderr
}

func get(t *testing.T, url string, header ...string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}
