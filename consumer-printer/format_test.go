package printer

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

// formatCases are the batches of the golden files, in order.
var formatCases = []Batch{
	{ // the one of TestPprint
		WindowStart: testEnd - 5000, WindowEnd: testEnd, Lines: 2, Words: 6, DistinctWords: 3, Matching: 3, ClosedAt: testEnd + 262, AppendedAt: testEnd + 266,
		Top: []WordCount{{"spark", 3}, {"streaming", 2}, {"hello", 1}},
	},
	{WindowStart: testEnd, WindowEnd: testEnd + 5000, ClosedAt: testEnd + 5250, AppendedAt: testEnd + 5251}, // an empty one
	{ // more words than are shown, and late lines
		WindowStart: testEnd + 5000, WindowEnd: testEnd + 10000, Lines: 1234567, LateLines: 7, Words: 12345678901, DistinctWords: 3, Matching: 3, ClosedAt: testEnd + 10001, AppendedAt: testEnd + 71500,
		Top: []WordCount{{"", 12345678900}, {"tab\there", 1}},
	},
	{ // fractions of a second, and what repr and JSON escape
		WindowStart: testEnd + 9900, WindowEnd: testEnd + 10100, Lines: 5, Words: 9, DistinctWords: 6, Matching: 6, ClosedAt: testEnd + 10110, AppendedAt: testEnd + 11360,
		Top: []WordCount{{"it's", 4}, {`"`, 1}, {"\\\x00\r", 1}, {"<b>&", 1}, {"\u2028\u00a0\u00ad", 1}, {"漢字\U0001f600", 1}},
	},
}

// tableCases are more batches of the golden files of tables.
var tableCases = []Batch{
	{ // scripts, widths, and what must not reach a terminal
		WindowStart: testEnd + 15000, WindowEnd: testEnd + 20000, Lines: 40, Words: 100, DistinctWords: 31, Matching: 31, ClosedAt: testEnd + 20300, AppendedAt: testEnd + 3*3600_000,
		Top: []WordCount{{"日本語", 40}, {"привет", 20}, {"می\u200cخواهم", 10}, {"हिन्दी", 5}, {"👩\u200d🚀", 3}, {"café\u0301", 2},
			{"\x1b[31mred", 2}, {"\u202eevil", 1}, {"", 1}, {"a b", 1}, {"'quoted'", 1}, {`back\slash`, 1}, {strings.Repeat("long", 25000), 1}, {strings.Repeat("漢", 50), 1}},
	},
}

func sized(columns, rows int) func() (int, int) {
	return func() (int, int) { return columns, rows }
}

func TestFormatsGolden(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	formats := map[string]formatter{"pprint": newPprint(time.UTC), "pprint-berlin": newPprint(berlin), "json": appendJSON}
	for name, t := range map[string]table{
		"table":           {},
		"table-32":        {size: sized(10, 100)}, // as narrow as it gets
		"table-40":        {size: sized(40, 24)},
		"table-120":       {size: sized(300, 24), colours: true}, // as wide as it gets
		"table-refreshed": {size: sized(60, 9), refresh: true},
	} {
		t.zone = time.UTC
		if t.size == nil {
			t.size = terminal{}.size
		}
		formats[name] = t.format
	}
	for name, format := range formats {
		cases := formatCases
		if strings.HasPrefix(name, "table") {
			cases = slices.Concat(cases, tableCases)
		}
		var got []byte
		for i := range cases {
			got = format(got, &cases[i])
		}
		path := "testdata/" + name + ".golden"
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s:\n%s", name, path, got)
		}
	}
}

// Spark's text, to the byte.
func TestPprint(t *testing.T) {
	const want = `-------------------------------------------
Time: 2026-01-21 21:25:30
-------------------------------------------
('spark', 3)
('streaming', 2)
('hello', 1)

`
	if got := string(newPprint(time.UTC)(nil, &formatCases[0])); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The header is what Python prints of a datetime.
func TestTimeAsPython(t *testing.T) {
	const script = `
import datetime, sys
for line in sys.stdin:
    print("Time: %s" % (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=int(line))))
`
	times := []int64{0, 1, 100, 999, testEnd, testEnd + 20}
	random := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		times = append(times, random.Int64N(250e9)*1000+random.Int64N(2)*random.Int64N(1000))
	}
	var stdin []byte
	for _, ms := range times {
		stdin = append(strconv.AppendInt(stdin, ms, 10), '\n')
	}
	for i, want := range python(t, script, stdin) {
		if got := strings.Split(string(newPprint(time.UTC)(nil, &Batch{WindowEnd: times[i]})), "\n")[1]; got != want {
			t.Errorf("%d ms: %q, Python prints %q", times[i], got, want)
		}
	}
}

func TestJSONIsJSON(t *testing.T) {
	type word struct {
		Word  string `json:"word"`
		Count int64  `json:"count"`
	}
	type object struct {
		WindowStart   time.Time `json:"window_start"`
		WindowEnd     time.Time `json:"window_end"`
		Lines         int64     `json:"lines"`
		LateLines     int64     `json:"late_lines"`
		Words         int64     `json:"words"`
		DistinctWords int64     `json:"distinct_words"`
		ClosedAt      time.Time `json:"closed_at"`
		Counts        []word    `json:"counts"`
		More          bool      `json:"more"`
	}
	for i := range formatCases {
		b := &formatCases[i]
		line := appendJSON(nil, b)
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		var o object
		if err := decoder.Decode(&o); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got := Batch{WindowStart: o.WindowStart.UnixMilli(), WindowEnd: o.WindowEnd.UnixMilli(), Lines: o.Lines, LateLines: o.LateLines,
			Words: o.Words, DistinctWords: o.DistinctWords, ClosedAt: o.ClosedAt.UnixMilli()}
		for _, w := range o.Counts {
			got.Top = append(got.Top, WordCount(w))
		}
		want := *b
		want.Matching, want.AppendedAt = 0, 0 // it does not say these
		if !equal(got, want) || o.More != b.More() || o.Counts == nil || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%s\nis %+v, want %+v", line, o, want)
		}
	}
}
