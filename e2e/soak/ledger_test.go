package soak

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"wordcount/e2e/oracle"
)

// book is a ledger that is given what a counter writes of lines, possibly wrong.
type book struct {
	*Ledger
	offset int64
}

func newBook() *book { return &book{Ledger: NewLedger(time.Second, 2)} }

// lines publishes lines of feed 1 at a time in ms, in partition n mod 2.
func (b *book) lines(at int64, numbers ...int64) (lines []oracle.Line) {
	feed := NewFeed(1)
	for _, n := range numbers {
		text := strings.TrimSuffix(string(feed.appendLine(nil, n)), "\n")
		lines = append(lines, oracle.Line{Partition: int32(n % 2), Offset: b.offset, Time: time.UnixMilli(at), Value: []byte(text)})
		b.offset++
	}
	b.Take(CountLines(lines, time.Second))
	return lines
}

// batch writes the window that ends so, with the counts of these lines, in both partitions; skip leaves a row out.
func (b *book) batch(end int64, late int, skip string, lines ...oracle.Line) {
	w := &oracle.Window{Counts: map[string]int64{}}
	for _, line := range lines {
		w.Lines++
		for _, word := range oracle.Space(string(line.Value)) {
			w.Counts[word]++
		}
	}
	at := time.UnixMilli(end).UTC()
	for q := range int32(2) {
		var words, distinct int64
		for word, n := range w.Counts {
			if oracle.Partition(word, 2) != q {
				continue
			}
			words += n
			distinct++
			if word != skip {
				b.Count(q, []byte(word), []byte(oracle.CountRecord(at, time.Second, word, n)))
			}
		}
		b.Batch(q, []byte(oracle.Stamp(at)), fmt.Appendf(nil,
			`{"window_start":"%s","window_end":"%s","partition":%d,"partitions":2,"lines":%d,"words":%d,"distinct_words":%d,"late_lines":%d,"closed_at":"%s"}`,
			oracle.Stamp(at.Add(-time.Second)), oracle.Stamp(at), q, w.Lines, words, distinct, late, oracle.Stamp(at)))
	}
}

func TestLedger(t *testing.T) {
	for name, c := range map[string]struct {
		run                 func(b *book)
		lost, doubled, torn bool
		late                int64
	}{
		"right": {run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 1)...)
			b.batch(2000, 0, "")
			b.batch(3000, 0, "", b.lines(2500, 2, 3)...)
		}},
		"late lines, counted in the next window": {late: 1, run: func(b *book) {
			first, second := b.lines(500, 0, 1), b.lines(1500, 2)
			b.batch(1000, 0, "", first[0])
			b.batch(2000, 1, "", first[1], second[0])
		}},
		"a line that comes after its window was compared": {late: 1, run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 1)...)
			b.lines(1500, 2, 3)
			b.Compare(false)
			late := b.lines(600, 4)
			b.batch(2000, 0, "", b.lines(1600, 5)[0])
			b.batch(3000, 1, "", late...)
		}, lost: true}, // lines 2 and 3 are not counted
		"late lines that were not said to be": {doubled: true, run: func(b *book) {
			first, second := b.lines(500, 0, 1), b.lines(1500, 2)
			b.batch(1000, 0, "", first[0])
			b.batch(2000, 0, "", first[1], second[0])
		}},
		"a line is not counted": {lost: true, run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 1)[0])
		}},
		"a line is counted twice": {doubled: true, run: func(b *book) {
			lines := b.lines(500, 0, 1)
			b.batch(1000, 0, "", lines[0], lines[1], lines[1])
		}},
		"a line is counted for another": {lost: true, doubled: true, run: func(b *book) {
			lines := b.lines(500, 0, 1)
			b.batch(1000, 0, "", lines[0], lines[0])
		}},
		"a window is not reported": {lost: true, run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 1)...)
			b.lines(1500, 2, 3)
		}},
		"a batch comes twice": {doubled: true, run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 1)...)
			b.batch(1000, 0, "")
		}},
		"a row is not there": {torn: true, lost: true, run: func(b *book) {
			b.batch(1000, 0, "a000", b.lines(500, 0, 1)...)
		}},
		"a line is on the topic twice": {doubled: true, run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 0)...)
		}},
		"an acknowledged line is not on the topic": {lost: true, run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 2)...)
			b.Published(1, 3, 100)
		}},
		"a line that nobody sent": {torn: true, run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 1)...)
			b.Published(1, 0, 1)
		}},
		"more than acknowledged, less than sent": {run: func(b *book) {
			b.batch(1000, 0, "", b.lines(500, 0, 1)...)
			b.Published(1, 1, 3)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook()
			c.run(b)
			b.Compare(false)
			b.Compare(true)
			if b.Lost > 0 != c.lost || b.Doubled > 0 != c.doubled || b.Torn > 0 != c.torn || !c.lost && b.Late != c.late {
				t.Errorf("lost %d, doubled %d, torn %d, late %d:\n%v", b.Lost, b.Doubled, b.Torn, b.Late, b.Problems())
			}
			if (b.Problems() != nil) != (c.lost || c.doubled || c.torn) {
				t.Errorf("problems: %v", b.Problems())
			}
		})
	}
}

// Every line of a feed is whole and has the next number, whatever the reader's buffer is.
func TestFeed(t *testing.T) {
	f := NewFeed(42)
	var text strings.Builder
	small := make([]byte, 7)
	for range 2000 {
		n, err := f.Read(small)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(small[:n])
	}
	f.Stop()
	rest, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	text.Write(rest)
	var next int64
	for line := range strings.Lines(text.String()) {
		feed, n, err := parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil || feed != 42 || n != next || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q where line %d should be: %v", line, next, err)
		}
		next++
	}
	if next != f.Sent() {
		t.Errorf("%d lines, %d sent", next, f.Sent())
	}
	a := &Acknowledged{}
	a.read(42, strings.NewReader(text.String()))
	if lines, err := a.Lines(); lines != next || err != nil {
		t.Errorf("%d acknowledged of %d: %v", lines, next, err)
	}
	a.read(42, strings.NewReader("s42 a000 b000 c007 w1\ns42 a000 b000 c009 w1\n"))
	if _, err := a.Lines(); err == nil {
		t.Error("a gap between acknowledged lines was not noticed")
	}
	if _, n, err := parseLine("s1 a012 b345 c678 x"); n != 12345678 || err != nil {
		t.Error(n, err)
	}
}
