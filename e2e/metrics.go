package e2e

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Metered is a process that serves its metrics.
type Metered struct {
	*Process
	url string // without a path
}

// MeteredCounter starts a counter with metrics.
func (p *Pipeline) MeteredCounter(more ...string) *Metered {
	p.t.Helper()
	return p.meteredCounter(p.programs, more...)
}

func (p *Pipeline) meteredCounter(programs *Programs, more ...string) *Metered {
	p.t.Helper()
	port, err := freePort()
	if err != nil {
		p.t.Fatal(err)
	}
	address := "127.0.0.1:" + port
	process := programs.Start(p.t, nil, "counter", p.counterArgs(append([]string{"--metrics-addr", address}, more...)...)...)
	return &Metered{process, "http://" + address}
}

// Value is a series' value now: the first line that begins with this name and labels. It is false when there is none, or no answer.
func (m *Metered) Value(series string) (float64, bool) {
	text, status := m.get("/metrics")
	if status != http.StatusOK {
		return 0, false
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v, err == nil
		}
	}
	return 0, false
}

// Reaches polls until a series has this value.
func (m *Metered) Reaches(within time.Duration, series string, want float64) {
	m.t.Helper()
	for late := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		got, ok := m.Value(series)
		if ok && got == want {
			return
		}
		if time.Now().After(late) {
			m.t.Fatalf("%s is %v (there: %v) after %v, not %v", series, got, ok, within, want)
		}
	}
}

// Ready is what /readyz answers, and whether that is yes.
func (m *Metered) Ready() (text string, ready bool) {
	text, status := m.get("/readyz")
	return text, status == http.StatusOK
}

// get returns a page, or status 0 when there is no answer.
func (m *Metered) get(path string) (text string, status int) {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get(m.url + path)
	if err != nil {
		return "", 0
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return "", 0
	}
	return string(page), response.StatusCode
}
