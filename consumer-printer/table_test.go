package printer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rivo/uniseg"
)

// Whatever a word holds, its cell is no wider than it may be, as wide as it says, and holds nothing that a terminal would obey.
func FuzzCell(f *testing.F) {
	for _, word := range []string{"", "spark", "漢字漢字漢字", "\x1b]0;title\a", "a\u202eb", "👩\u200d👩\u200d👧", "می\u200cخواهم", "e" + strings.Repeat("\u0301", 500), "\u200d", "it's", "\u00ad", "🇩🇪🇯🇵"} {
		f.Add(word, 12)
	}
	f.Fuzz(func(t *testing.T, word string, width int) {
		width = 4 + abs(width)%100
		word = strings.ToValidUTF8(word, "\ufffd")
		cell, columns := cellOf(word, width)
		if columns > width || columns != uniseg.StringWidth(cell) {
			t.Errorf("%q in %d columns: %q, %d columns, they say; it is %d", word, width, cell, columns, uniseg.StringWidth(cell))
		}
		for _, r := range cell {
			if !unicode.IsPrint(r) && r != '\u200c' && r != '\u200d' {
				t.Errorf("%q: %U in %q", word, r, cell)
			}
		}
		if len(cell) > 20*width+400 {
			t.Errorf("%d bytes for %d columns", len(cell), width)
		}
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

// No line of a table is wider than its terminal, and the numbers of a column end in the same one, whatever the words.
func TestTableFits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "W", "漢", "é", "e\u0301", "\x1b", "🚀", "ö", "\u200c", "'", "\\", "مر", "ไทย"}
	for range 2000 {
		b := Batch{WindowEnd: testEnd, WindowStart: testEnd - 5000, Words: 1 + random.Int64N(1e6), Lines: random.Int64N(1e12), Matching: random.Int64N(100)}
		for range random.IntN(12) {
			word := ""
			for range random.IntN(40) {
				word += pieces[random.IntN(len(pieces))]
			}
			b.Top = append(b.Top, WordCount{word, 1 + random.Int64N(b.Words)})
		}
		columns := leastColumns + random.IntN(mostColumns-leastColumns)
		text := string((&table{zone: time.UTC, size: sized(columns, 50)}).format(nil, &b))
		ends := -1
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if uniseg.StringWidth(line) > columns {
				t.Fatalf("wider than %d:\n%s", columns, text)
			}
			if before, _, ok := strings.Cut(line, "%"); ok {
				if at := uniseg.StringWidth(before); ends >= 0 && at != ends {
					t.Fatalf("not aligned:\n%s", text)
				} else {
					ends = at
				}
			}
		}
	}
}

func TestFilter(t *testing.T) {
	for _, tc := range []struct {
		filter string
		yes    []string
		no     []string
	}{
		{"spark", []string{"spark"}, []string{"sparks", "Spark", "", "spar"}},
		{"  spark  hello, ", []string{"spark", "hello,"}, []string{"hello", "", " "}},
		{"spark*", []string{"spark", "sparks"}, []string{"spar", "a spark"}},
		{"a str*", []string{"a", "str", "stream"}, []string{"ab", "st"}},
		{"*", []string{"", "a", "*"}, nil},
		{"2**", []string{"2*", "2*3"}, []string{"2", "23"}},
	} {
		f := parseFilter(tc.filter)
		for _, word := range tc.yes {
			if !f.matches([]byte(word)) {
				t.Errorf("%q hides %q", tc.filter, word)
			}
		}
		for _, word := range tc.no {
			if f.matches([]byte(word)) {
				t.Errorf("%q shows %q", tc.filter, word)
			}
		}
	}
	if parseFilter("  ") != nil {
		t.Error("an empty filter filters")
	}
}

func TestGroupedAndHowLong(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 12: "12", 999: "999", 1000: "1,000", 1234567: "1,234,567", -123: "-123", -1234: "-1,234"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	for ms, want := range map[int64]string{-5: "-5 ms", 0: "0 ms", 999: "999 ms", 1000: "1 s", 1263: "1.263 s", 60000: "1m0s", 3_723_400: "1h2m3s", 49 * 3_600_000: "2 days"} {
		if got := howLong(ms); got != want {
			t.Errorf("%d: %q", ms, got)
		}
	}
}
