package page

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// event is a server-sent event as a browser understands it.
type event struct{ id, name, data string }

// viewer is an open stream.
type viewer struct {
	*testing.T
	response *http.Response
	lines    *bufio.Scanner
}

func watch(t *testing.T, url, last string) *viewer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	v := &viewer{t, response, bufio.NewScanner(response.Body)}
	v.lines.Buffer(nil, 1<<22)
	return v
}

// next waits for the next event of a name; ok is false when the stream ends before.
func (v *viewer) next(name string) (e event, ok bool) {
	v.Helper()
	for v.lines.Scan() {
		field, value, _ := strings.Cut(v.lines.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name == name {
				return e, true
			}
			e = event{}
		}
	}
	return e, false
}

// ends returns the window ends, in seconds after the first, of the batches of the next event.
func (v *viewer) ends() (id string, ends []int) {
	v.Helper()
	e, ok := v.next("batches")
	if !ok {
		v.Fatal("the stream ended")
	}
	var data struct {
		Batches []struct {
			End time.Time `json:"window_end"`
		}
		Last struct {
			End time.Time `json:"window_end"`
			Top []Word
		}
	}
	if err := json.Unmarshal([]byte(e.data), &data); err != nil {
		v.Fatalf("%v in %s", err, e.data)
	}
	for _, b := range data.Batches {
		ends = append(ends, int(b.End.UnixMilli()-testEnd)/1000)
	}
	if e.id != fmt.Sprint(data.Last.End.UnixMilli()) {
		v.Errorf("id %s of %s", e.id, e.data)
	}
	return e.id, ends
}

func TestStream(t *testing.T) {
	p := New(byLength)
	server := httptest.NewServer(p)
	defer server.Close()
	defer p.Close()
	p.Add(batch(0, "a"))
	p.Add(batch(1, "b"))
	v := watch(t, server.URL, "")
	if kind := v.response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Error(kind)
	}
	id, ends := v.ends()
	if !slices.Equal(ends, []int{0, 5}) {
		t.Errorf("at first: %v", ends)
	}
	p.Add(batch(2, "c"))
	if _, ends := v.ends(); !slices.Equal(ends, []int{10}) {
		t.Errorf("live: %v", ends)
	}
	v.response.Body.Close()
	p.Add(batch(3, "d"))
	back := watch(t, server.URL, id) // missed two
	if _, ends := back.ends(); !slices.Equal(ends, []int{10, 15}) {
		t.Errorf("after coming back: %v", ends)
	}
	p.Close()
	if e, ok := back.next("batches"); ok {
		t.Errorf("after the page was closed: %v", e)
	}
}

// What a stream brings of words: those of the newest batch, and the sums of the last minutes.
func TestTopWords(t *testing.T) {
	p := New(byLength)
	p.Add(batch(0, "old", "x"))
	p.Add(batch(60, "a", "b", "c")) // five minutes later
	p.Add(batch(61, "b", hostile))
	sent, newest, _ := p.history.event(0)
	for _, want := range []string{
		`"last":{"window_end":"2026-01-21T21:30:35Z","top":[{"word":"b","count":2},{"word":"<script>alert(\"1\")</script>'\n\u0000","count":1}],"more":false}`,
		`"recent":{"window_start":"2026-01-21T21:30:25Z","window_end":"2026-01-21T21:30:35Z","batches":2,` +
			`"top":[{"word":"b","count":4},{"word":"a","count":3},`,
	} {
		if !strings.Contains(string(sent), want) {
			t.Errorf("no %s in\n%s", want, sent)
		}
	}
	if lines := strings.Count(string(sent), "\n"); newest != testEnd+61*5000 || lines != 4 {
		t.Errorf("%d, %d lines", newest, lines)
	}
	var many, others []string
	for i := range MostWords + 1 {
		many, others = append(many, fmt.Sprint(i)), append(others, fmt.Sprint("other ", i))
	}
	for i, want := range []string{`{"word":"0","count":101},`, `{"word":"0","count":101,"at_least":true},`} {
		p.Add(batch(62+i, [][]string{many, others}[i]...))
		if sent, _, _ := p.history.event(0); !strings.Contains(string(sent), want) {
			t.Errorf("no %s in\n%s", want, sent)
		}
	}
}

// Viewers at the same place share one event in memory, and places where a thousand others stand take none.
func TestEventsAreMadeOnce(t *testing.T) {
	p := New(byLength)
	for i := range 500 {
		p.Add(batch(i, "a"))
	}
	one, _, _ := p.history.event(testEnd + 498*5000)
	two, _, _ := p.history.event(testEnd + 498*5000)
	if &one[0] != &two[0] {
		t.Error("made twice")
	}
	for i := range 500 {
		p.history.event(int64(testEnd + 5000*i))
	}
	if n := len(p.history.events); n > mostPlaces {
		t.Errorf("%d events are kept", n)
	}
}

// slowWriter is a connection whose time is that of a synctest bubble.
type slowWriter struct {
	header   http.Header
	written  chan string
	deadline time.Time
	stuck    bool
}

func (w *slowWriter) Header() http.Header                { return w.header }
func (w *slowWriter) WriteHeader(int)                    {}
func (w *slowWriter) FlushError() error                  { return nil }
func (w *slowWriter) SetReadDeadline(time.Time) error    { return nil }
func (w *slowWriter) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }
func (w *slowWriter) Write(p []byte) (int, error) {
	if w.stuck {
		time.Sleep(time.Until(w.deadline))
		return 0, errors.New("i/o timeout")
	}
	w.written <- string(p)
	return len(p), nil
}

func TestStreamInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(byLength)
		w := &slowWriter{header: http.Header{}, written: make(chan string, 100)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/events", nil))
		}()
		expect := func(what string, parts ...string) {
			t.Helper()
			synctest.Wait()
			if len(w.written) != len(parts) {
				t.Fatalf("%s: %d events, want %d", what, len(w.written), len(parts))
			}
			for _, part := range parts {
				if got := <-w.written; !strings.Contains(got, part) {
					t.Errorf("%s: %q, want %q", what, got, part)
				}
			}
		}
		expect("at first", "retry: 1000\n\n")
		time.Sleep(heartbeat - time.Millisecond)
		expect("before a heartbeat")
		time.Sleep(time.Millisecond)
		expect("heartbeat", "event: clock\ndata: {\"now\":\"2000-01-01T00:00:15Z\"}\n\n")

		p.Add(batch(0, "a"))
		expect("a batch", "event: batches\n")
		for i := range 100 { // while a backlog is read
			p.Add(batch(1+i, "a"))
			time.Sleep(time.Millisecond)
		}
		expect("at once after a batch")
		time.Sleep(pause)
		expect("all in one", fmt.Sprintf("id: %d\n", testEnd+100*5000))
		time.Sleep(heartbeat - pause - 100*time.Millisecond)
		expect("the time, batches or not", "event: clock\ndata: {\"now\":\"2000-01-01T00:00:30Z\"}\n\n")

		w.stuck = true
		p.Add(batch(101, "a"))
		began := time.Now()
		<-ended
		if took := time.Since(began); took < patience || took > patience+pause {
			t.Errorf("a viewer that takes nothing was cut off after %v", took)
		}
	})
}

// HEAD asks what there is, and has no body that could be without end.
func TestHeadEnds(t *testing.T) {
	for _, path := range []string{"/api/events", "/api/batches", "/"} {
		if r := ask(newPage(), "HEAD", path); r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}

func TestTooManyViewers(t *testing.T) {
	p := New(byLength)
	for range mostViewers {
		p.viewers <- struct{}{}
	}
	r := ask(p, "GET", "/api/events")
	if text := body(t, r); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || !strings.Contains(text, `"error":"1000 viewers`) {
		t.Errorf("%s %s", r.Status, text)
	}
}
