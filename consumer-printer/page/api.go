package page

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"wordcount/internal/wire"
)

// mux returns what is served where.
func (p *Page) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for path, serve := range map[string]http.HandlerFunc{
		"/api/batches":         p.serveBatches,
		"/api/words":           p.serveWord,
		"/api/words/{word...}": p.serveWord,
		"/api/events":          p.serveEvents,
	} {
		mux.HandleFunc("GET "+path, serve)
		mux.HandleFunc(path, refuseMethod)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "there is no such thing: want /api/batches, /api/words/WORD or /api/events")
	})
	addAssets(mux)
	return mux
}

// serveBatches answers with the newest batches, newest first.
func (p *Page) serveBatches(w http.ResponseWriter, r *http.Request) {
	limit, err := number(r, "limit", 60, 1, MostBatches)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	words, err := number(r, "words", 10, 0, MostWords)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	var after int64
	if text := r.FormValue("after"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("after: %.40q is not accepted: want a window_end, such as 2026-01-21T21:25:30Z", text))
			return
		}
		after = t.UnixMilli()
	}
	answer := p.begin()
	answer = append(answer, `,"batches":[`...)
	for i, e := range p.history.last(limit, after) {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = append(append(append(answer, '{'), e.json...), ',')
		answer = append(appendWords(answer, e.Top, words, e.DistinctWords), '}')
	}
	reply(w, append(answer, "]}\n"...))
}

// serveWord answers with the counts of a word in the newest batches, newest first. A word that nobody wrote is no error: its counts
// are 0.
func (p *Page) serveWord(w http.ResponseWriter, r *http.Request) {
	limit, err := number(r, "limit", 60, 1, MostBatches)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	word := r.PathValue("word")
	if r.Pattern == "GET /api/words" {
		if !r.URL.Query().Has("word") {
			refuse(w, http.StatusBadRequest, "word: missing: want /api/words/WORD or /api/words?word=WORD")
			return
		}
		word = r.URL.Query().Get("word")
	}
	if !utf8.ValidString(word) {
		refuse(w, http.StatusBadRequest, "word: not UTF-8: bytes that are not are counted as U+FFFD (%EF%BF%BD)")
		return
	}
	history := p.history.word(word, limit, p.partition)
	var sum int64
	unknown := 0
	for _, s := range history {
		sum += s.count
		if !s.known {
			unknown++
		}
	}
	answer := wire.AppendString(append(p.begin(), `,"word":`...), word)
	answer = strconv.AppendInt(append(answer, `,"count":`...), sum, 10)
	answer = strconv.AppendInt(append(answer, `,"unknown_batches":`...), int64(unknown), 10)
	answer = append(answer, `,"batches":[`...)
	reply(w, append(appendSeen(answer, history), "]}\n"...))
}

// begin begins an answer with the time here.
func (p *Page) begin() []byte {
	return append(wire.AppendTime([]byte(`{"now":"`), p.now().UnixMilli()), '"')
}

// number reads a parameter that is a number within limits.
func number(r *http.Request, name string, initial, least, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return initial, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s: %.40q is not accepted: want a number from %d to %d", name, text, least, most)
	}
	return n, nil
}

func reply(w http.ResponseWriter, answer []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer) // nobody is left to be told
}

// refuse answers with an error, as JSON.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(wire.AppendString([]byte(`{"error":`), text), "}\n"...))
}

func refuseMethod(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	refuse(w, http.StatusMethodNotAllowed, r.Method+" is not accepted: want GET")
}
