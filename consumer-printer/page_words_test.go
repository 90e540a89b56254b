package printer

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"wordcount/consumer-printer/page"
)

// Whatever happens in whatever order, the page gets the words of each batch that is shown: the first of them, and all of them unless
// they are too many; and nothing is kept of what is over.
func TestPageGetsTheWords(t *testing.T) {
	whole, crowded := 0, 0
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 3))
		r := read(newLogs(random), 1, FromBeginning)
		r.joiner.filter = parseFilter("nobody")
		r.joiner.page = &pageKeeper{limit: 100 + random.IntN(2000)}
		r.run(random.IntN(400), seed%2 == 1)
		r.finish()
		for _, b := range r.results {
			if b.Cut != "" {
				continue
			}
			i := slices.IndexFunc(r.windows, func(w testWindow) bool { return w.end == b.WindowEnd })
			if want := r.shown(&r.windows[i], page.MostWords).Top; !slices.Equal(b.Page.top, want) {
				t.Fatalf("seed %d: %v, want %v", seed, b.Page.top, want)
			}
			if b.Page.all == nil {
				crowded++
				continue
			}
			whole++
			for q, share := range r.windows[i].shares {
				for word, count := range share {
					if got := b.Page.all[q].Count(word); got != count {
						t.Fatalf("seed %d: %q %d times, want %d", seed, word, got, count)
					}
				}
			}
		}
		if len(r.joiner.open) == 0 && r.joiner.page.bytes != 0 {
			t.Fatalf("seed %d: %d bytes are kept of nothing", seed, r.joiner.page.bytes)
		}
	}
	if whole < 1000 || crowded < 100 {
		t.Errorf("%d with all words, %d with too many: too few to mean anything", whole, crowded)
	}
}

// fetch asks the page of a running printer.
func (r *running) fetch(url string, answer any) {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), "GET", url, nil)
	if err != nil {
		r.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		r.Fatalf("%s: %v: %s", url, err, text)
	}
}

// The page shows every word, whatever standard output shows, and stops with the printer though viewers watch.
func TestPageOfAPrinter(t *testing.T) {
	b := newBroker(t, 2, countsTopic, batchesTopic)
	b.close(b.counted(0, "spark spark hello"), b.counted(1, "stream"))
	urls := make(chan string, 1)
	r := startPrinter(b, func(c *Config) {
		c.FromBeginning, c.HTTP, c.Filter, c.Num = true, "127.0.0.1:0", "nobody", 1
		c.Serving = func(url string) { urls <- url }
	})
	url := <-urls
	r.expect(block(0))
	r.expect(block(1))
	<-r.shown
	<-r.shown
	var batches struct {
		Batches []struct {
			Words int64
			Top   []page.Word
		}
	}
	r.fetch(url+"api/batches", &batches)
	if got := batches.Batches; len(got) != 2 || got[0].Words != 1 || !slices.Equal(got[1].Top, []page.Word{{Word: "spark", Count: 2}, {Word: "hello", Count: 1}}) {
		t.Errorf("batches: %+v", got)
	}
	var word struct{ Count, Unknown int64 }
	if r.fetch(url+"api/words/spark", &word); word.Count != 2 {
		t.Errorf("spark: %+v", word)
	}
	viewer, err := http.Get(url + "api/events")
	b.check(err)
	defer viewer.Body.Close()
	_, err = io.ReadFull(viewer.Body, make([]byte, 20))
	b.check(err)
	r.stop()
	b.check(r.expectEnd())
	if _, err := http.Get(url); err == nil {
		t.Error("the page outlives its printer")
	}
}

func TestPageAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := newRunning(newBroker(t, 1, countsTopic, batchesTopic), func(c *Config) { c.HTTP = taken.Addr().String() })
	err = Run(context.Background(), r.config)
	want := "listen on --http " + taken.Addr().String() + ": bind: address already in use; choose another with --http, or none with --http="
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
