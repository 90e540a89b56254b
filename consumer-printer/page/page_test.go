package page

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

const testEnd = 1769030730000 // 2026-01-21T21:25:30Z

// byLength is a partitioner of tests.
func byLength(word string, partitions int) int { return len(word) % partitions }

// batch is one of five seconds, the numberth, with these words, each by its place in the list: the first stands there most often.
func batch(number int, words ...string) Batch {
	end := int64(testEnd + 5000*number)
	b := Batch{WindowStart: end - 5000, WindowEnd: end, Lines: int64(len(words)), LateLines: int64(number), ClosedAt: end + 251,
		AppendedAt: end + 260, DistinctWords: int64(len(words)), All: make([]Words, 2)}
	for i, word := range words {
		count := int64(len(words) - i)
		b.Words += count
		if i < MostWords {
			b.Top = append(b.Top, Word{word, count})
		}
		b.All[byLength(word, 2)].Append([]byte(word), count)
	}
	return b
}

func newPage(batches ...Batch) *Page {
	p := New(byLength)
	p.now = func() time.Time { return time.UnixMilli(testEnd + 7_000) }
	for _, b := range batches {
		p.Add(b)
	}
	return p
}

func ask(p *Page, method, target string) *http.Response {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const hostile = "<script>alert(\"1\")</script>'\n\x00"

func TestAPI(t *testing.T) {
	p := newPage(batch(0, "spark", "hello"), batch(1), batch(2, hostile, "spark", "a/b", "", ".."))
	const now = `"now":"2026-01-21T21:25:37Z"`
	const first = `{"window_start":"2026-01-21T21:25:25Z","window_end":"2026-01-21T21:25:30Z","lines":2,"late_lines":0,"words":3,"distinct_words":2,` +
		`"closed_at":"2026-01-21T21:25:30.251Z","appended_at":"2026-01-21T21:25:30.26Z","shown_at":"2026-01-21T21:25:37Z",` +
		`"scheduling_delay_seconds":0.251,"processing_seconds":0.009,"total_delay_seconds":0.26,`
	window := func(number int, count string) string {
		const layout = "2006-01-02T15:04:05Z"
		end := time.UnixMilli(int64(testEnd + 5000*number)).UTC()
		return fmt.Sprintf(`{"window_start":%q,"window_end":%q,"count":%s}`, end.Add(-5*time.Second).Format(layout), end.Format(layout), count)
	}
	for _, tc := range []struct{ target, want string }{ // a want without { is a part of the answer
		{"/api/batches?limit=3&words=1", first + `"top":[{"word":"spark","count":2}],"more":true}]}`},
		{"/api/batches", `"top":[{"word":"<script>alert(\"1\")</script>'\n\u0000","count":5},`},
		{"/api/batches?words=0", `"top":[],"more":false}`},
		{"/api/batches?after=2026-01-21T21:25:40Z", `{` + now + `,"batches":[]}`},
		{"/api/words/spark?limit=2", `{` + now + `,"word":"spark","count":4,"unknown_batches":0,"batches":[` + window(2, "4") + "," + window(1, "0") + `]}`},
		{"/api/words?word=spark", `"count":6,"unknown_batches":0`},
		{"/api/words/nobody", `"count":0,"unknown_batches":0,"batches":[` + window(2, "0") + "," + window(1, "0") + "," + window(0, "0") + `]}`},
		{"/api/words/a%2Fb?limit=1", `"word":"a/b","count":3`},
		{"/api/words/a/b?limit=1", `"word":"a/b","count":3`},
		{"/api/words/?limit=1", `"word":"","count":2`},
		{"/api/words?word=&limit=1", `"word":"","count":2`},
		{"/api/words?word=..&limit=1", `"word":"..","count":1`},
		{"/api/words?word=" + url.QueryEscape(hostile), `"word":"<script>alert(\"1\")</script>'\n\u0000","count":5`},
		{"/api/words?word=" + strings.Repeat("x", 100_000), `"count":0`},
	} {
		r := ask(p, "GET", tc.target)
		text := body(t, r)
		if !strings.Contains(text, tc.want) || strings.HasPrefix(tc.want, "{"+now) && text != tc.want+"\n" {
			t.Errorf("%.100s:\n%.1000s\nwant\n%s", tc.target, text, tc.want)
		}
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/json" || !json.Valid([]byte(text)) {
			t.Errorf("%.100s: %s, %s, JSON %t", tc.target, r.Status, r.Header.Get("Content-Type"), json.Valid([]byte(text)))
		}
	}
}

func TestRefused(t *testing.T) {
	p := newPage(batch(0, "spark"))
	for _, tc := range []struct {
		method, target string
		status         int
		want           string
	}{
		{"GET", "/api/batches?limit=0", 400, `limit: \"0\" is not accepted: want a number from 1 to 720`},
		{"GET", "/api/batches?limit=721", 400, `limit: \"721\"`},
		{"GET", "/api/batches?words=x", 400, `words: \"x\" is not accepted: want a number from 0 to 100`},
		{"GET", "/api/batches?after=now", 400, `after: \"now\" is not accepted`},
		{"GET", "/api/words/spark?limit=-1", 400, `limit: \"-1\"`},
		{"GET", "/api/words", 400, "word: missing"},
		{"GET", "/api/words/%ff", 400, "word: not UTF-8"},
		{"GET", "/api/events?last_event_id=x", 400, "Last-Event-ID"},
		{"GET", "/api/nothing", 404, "want /api/batches"},
		{"GET", "/api/", 404, "want /api/batches"},
		{"POST", "/api/batches", 405, "POST is not accepted: want GET"},
		{"DELETE", "/api/words/spark", 405, "DELETE"},
	} {
		r := ask(p, tc.method, tc.target)
		text := body(t, r)
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Error == "" || !strings.Contains(text, tc.want) ||
			r.StatusCode != tc.status || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %s, %s, %q, %v; want %d %q", tc.method, tc.target, r.Status, r.Header.Get("Content-Type"), text, err, tc.status, tc.want)
		}
		if (tc.status == 405) != (r.Header.Get("Allow") == "GET, HEAD") {
			t.Errorf("%s %s: Allow: %s", tc.method, tc.target, r.Header.Get("Allow"))
		}
	}
}

// The page is whole in the program: every file that one of its files names is served, with its type; nothing is inline and nothing
// is elsewhere.
func TestAssets(t *testing.T) {
	p := newPage()
	named := regexp.MustCompile(`(?:src|href)="([^"#]*)"`)
	html := body(t, ask(p, "GET", "/"))
	kinds := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
	files := 0
	for _, m := range named.FindAllStringSubmatch(html, -1) {
		if strings.HasPrefix(m[1], "api/") {
			continue
		}
		files++
		r := ask(p, "GET", "/"+m[1])
		if kind := kinds[m[1][strings.LastIndex(m[1], ".")+1:]]; r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != kind {
			t.Errorf("%s: %s, %s", m[1], r.Status, r.Header.Get("Content-Type"))
		}
		again := httptest.NewRequest("GET", "/"+m[1], nil)
		again.Header.Set("If-None-Match", r.Header.Get("ETag"))
		w := httptest.NewRecorder()
		p.ServeHTTP(w, again)
		if w.Code != http.StatusNotModified {
			t.Errorf("%s, unchanged: %d", m[1], w.Code)
		}
	}
	if files < 4 {
		t.Errorf("%d files", files)
	}
	for _, wrong := range []string{"<style", "style=", " onclick", "javascript:", "http://", "https://"} {
		if strings.Contains(html, wrong) {
			t.Errorf("index.html holds %s", wrong)
		}
	}
	if inline := regexp.MustCompile(`<script(?:[^>]*)>[^<]`).FindString(html); inline != "" {
		t.Errorf("a script in index.html: %s", inline)
	}
	scripts, err := fs.Glob(assets, "assets/*.js")
	if err != nil || len(scripts) < 2 {
		t.Fatal(scripts, err)
	}
	imported := regexp.MustCompile(`from "\./([^"]*)"`)
	for _, file := range scripts {
		script, err := assets.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			if strings.Contains(string(script), wrong) {
				t.Errorf("%s uses %s", file, wrong)
			}
		}
		for _, m := range imported.FindAllSubmatch(script, -1) {
			if r := ask(p, "GET", "/"+string(m[1])); r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != kinds["js"] {
				t.Errorf("%s: %s, %s", m[1], r.Status, r.Header.Get("Content-Type"))
			}
		}
	}
	for _, target := range []string{"/", "/page.js", "/api/batches", "/api/nothing", "/nothing"} {
		h := ask(p, "GET", target).Header
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; ") || h.Get("X-Content-Type-Options") != "nosniff" ||
			strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: %v", target, h)
		}
	}
	if r := ask(p, "GET", "/nothing"); r.StatusCode != http.StatusNotFound {
		t.Errorf("/nothing: %s", r.Status)
	}
}

func TestWords(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var words Words
	want := make(map[string]int64)
	size := 0
	for range 3000 {
		word := make([]byte, random.IntN(1+random.IntN(300)))
		for i := range word {
			word[i] = byte(random.IntN(256))
		}
		if want[string(word)] == 0 {
			want[string(word)] = 1 + random.Int64N(1<<random.IntN(62))
			size += words.Append(word, want[string(word)])
		}
	}
	for word, count := range want {
		if got := words.Count(word); got != count {
			t.Fatalf("%q: %d, want %d", word, got, count)
		}
	}
	if words.Count("never") != 0 || words.Count(strings.Repeat("x", 1000)) != 0 || size != words.Size() {
		t.Errorf("there is what is not; or %d bytes, not %d", words.Size(), size)
	}
}

// Of words that are long fewer batches are kept, the newest one always.
func TestBoundOfLongWords(t *testing.T) {
	p := New(byLength)
	p.history.most = 100_000
	kept := func() (bytes int) {
		for _, e := range p.history.batches {
			for _, w := range e.Top {
				bytes += len(w.Word)
			}
		}
		return bytes
	}
	for i := range 100 {
		p.Add(batch(i, strings.Repeat("x", 8000), strings.Repeat("y", 8000)))
		if want := min(i+1, 6); len(p.history.batches) != want || kept() != want*16_000 {
			t.Fatalf("%d batches with %d bytes after %d, want %d batches", len(p.history.batches), kept(), i+1, want)
		}
	}
	p.Add(batch(100, strings.Repeat("z", 200_000)))
	if len(p.history.batches) != 1 || kept() != 200_000 {
		t.Errorf("%d batches with %d bytes: want the newest one alone", len(p.history.batches), kept())
	}
}

// A month of batches takes no more than its limits: that many batches, that many bytes of words. What is not known is said to be so.
func TestBounds(t *testing.T) {
	p := New(byLength)
	p.history.limit = 20_000
	for i := range 5000 {
		words := []string{"always"}
		for k := range 300 {
			words = append(words, fmt.Sprintf("%d-%d", k, i))
		}
		p.Add(batch(i, words...))
		if p.history.bytes > p.history.limit || len(p.history.batches) > MostBatches {
			t.Fatalf("%d bytes, %d batches", p.history.bytes, len(p.history.batches))
		}
	}
	count := 0
	for _, e := range p.history.batches {
		for q := range e.All {
			count += e.All[q].Size()
		}
	}
	if len(p.history.batches) != MostBatches || count != p.history.bytes || count < p.history.limit/2 {
		t.Errorf("%d batches with %d bytes of words, %d were counted", len(p.history.batches), count, p.history.bytes)
	}
	type answer struct {
		Count   int64
		Unknown int `json:"unknown_batches"`
		Batches []struct{ Count *int64 }
	}
	for target, check := range map[string]func(a answer) bool{
		"/api/words/always?limit=720":   func(a answer) bool { return a.Unknown == 0 && a.Count == 720*301 },               // among the first of each
		"/api/words/299-4999?limit=720": func(a answer) bool { return a.Unknown > 700 && a.Unknown < 720 && a.Count == 1 }, // the last of the newest
		"/api/words/0-4300?limit=720":   func(a answer) bool { return a.Count == 300 },
		"/api/words/nowhere?limit=1":    func(a answer) bool { return a.Unknown == 0 },
		"/api/words/299-4300?limit=720": func(a answer) bool { return a.Count == 0 && a.Batches[699].Count == nil && a.Batches[0].Count != nil },
	} {
		var a answer
		if err := json.Unmarshal([]byte(body(t, ask(p, "GET", target))), &a); err != nil || !check(a) {
			t.Errorf("%s: %v, %d, %d unknown of %d", target, err, a.Count, a.Unknown, len(a.Batches))
		}
	}
}
