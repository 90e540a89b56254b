package oracle

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func line(at int64, value string) Line { return Line{Time: time.UnixMilli(at), Value: []byte(value)} }

func TestWindows(t *testing.T) {
	got := Windows([]Line{
		line(0, "spark spark hello"), line(999, ""), // the first millisecond and the last
		line(1000, "spark"),
		line(3000, "a  b"), line(3001, "a\xff\xfe\tb"),
	}, time.Second, Space)
	want := map[int64]map[string]int64{
		1000: {"spark": 2, "hello": 1, "": 1},
		2000: {"spark": 1},
		4000: {"a": 1, "": 1, "b": 1, "a\uFFFD\uFFFD\tb": 1},
	}
	if len(got) != len(want) {
		t.Errorf("windows %v", slices.Collect(maps.Keys(got)))
	}
	for end, counts := range want {
		if !maps.Equal(got[end].Counts, counts) {
			t.Errorf("%d: %v, not %v", end, got[end].Counts, counts)
		}
	}
	if got[1000].Lines != 2 || got[1000].Words() != 4 || got[1000].End.UnixMilli() != 1000 {
		t.Errorf("%+v", got[1000])
	}
}

func TestTokenizers(t *testing.T) {
	const text = " Über  Don't\t漢字42 "
	for name, c := range map[string]struct {
		tokenize func(string) []string
		want     []string
	}{
		"space":  {Space, []string{"", "Über", "", "Don't\t漢字42", ""}},
		"fields": {Fields, []string{"Über", "Don't", "漢字42"}},
		"words":  {Words, []string{"über", "don", "t", "漢字42"}},
		"regexp": {Matches("[a-z]+"), []string{"ber", "on", "t"}},
	} {
		if got := c.tokenize(text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// The wanted are what python3 prints for bytes.decode(errors="replace").
func TestRepair(t *testing.T) {
	for word, want := range map[string]string{
		"":                          "",
		"漢字":                        "漢字",
		"\xff\xfe":                  "\uFFFD\uFFFD",
		"\xe6\xbc":                  "\uFFFD",         // 漢 without its last byte
		"\xe6\xbc x\xe6":            "\uFFFD x\uFFFD", // and with a space after it
		"\xf0\x9f\x98":              "\uFFFD",
		"\xf0\x9f\x98\xf0\x9f":      "\uFFFD\uFFFD",
		"\xe0\x80\x80":              "\uFFFD\uFFFD\uFFFD", // too long a form
		"\xed\xa0\x80":              "\uFFFD\uFFFD\uFFFD", // a surrogate
		"\xf5\x80\x80\x80":          "\uFFFD\uFFFD\uFFFD\uFFFD",
		"\x80a\xc3":                 "\uFFFDa\uFFFD",
		"replacement \uFFFD itself": "replacement \uFFFD itself",
	} {
		if got := repair(word); got != want {
			t.Errorf("%q: %q, not %q", word, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct{ name, word, want string }{
		{"exactly as long", strings.Repeat("x", 128<<10), strings.Repeat("x", 128<<10)},
		{"a byte longer", strings.Repeat("x", 128<<10+1), strings.Repeat("x", 128<<10) + "…"},
		{"a rune across the end", "x" + strings.Repeat("é", 64<<10), "x" + strings.Repeat("é", 64<<10-1) + "…"},
	} {
		if got := cut(c.word); got != c.want {
			t.Errorf("%s: %d bytes, not %d", c.name, len(got), len(c.want))
		}
	}
}

func TestPprint(t *testing.T) {
	got := Pprint(time.UnixMilli(1769030730100), map[string]int64{"b": 2, "a": 2, "it's": 1, `"'\`: 1, "\t\x01": 1, "漢字": 9}, 5)
	want := `-------------------------------------------
Time: 2026-01-21 21:25:30.100000
-------------------------------------------
('漢字', 9)
('a', 2)
('b', 2)
('\t\x01', 1)
('"\'\\', 1)
...

`
	if got != want {
		t.Errorf("\n%s", got)
	}
	if got := repr("it's"); got != `"it's"` {
		t.Error(got)
	}
}

func TestJSON(t *testing.T) {
	w := &Window{Lines: 2, Counts: map[string]int64{"<b>": 2, "\"": 1, "": 1}}
	want := `{"window_start":"2026-01-21T21:25:29.6Z","window_end":"2026-01-21T21:25:30.1Z","lines":2,"late_lines":0,"words":4,"distinct_words":3,` +
		`"counts":[{"word":"<b>","count":2},{"word":"","count":1}],"more":true}` + "\n"
	if got := JSON(time.UnixMilli(1769030730100), 500*time.Millisecond, w, 2); got != want {
		t.Error(got)
	}
}
