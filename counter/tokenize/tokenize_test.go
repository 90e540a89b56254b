package tokenize

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"wordcount/counter/words"
)

func split(t *testing.T, tokenizer Tokenizer, line []byte) []string {
	t.Helper()
	var got []string
	text, spans := tokenizer.Words(nil, line)
	for _, w := range spans {
		got = append(got, string(text[w.Start:w.End]))
	}
	return got
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		tokenizer, line string
		want            []string
	}{
		// As Python's line.split(" ").
		{"space", "hello spark streaming", []string{"hello", "spark", "streaming"}},
		{"space", "", []string{""}},
		{"space", " ", []string{"", ""}},
		{"space", "a  b", []string{"a", "", "b"}},
		{"space", " a ", []string{"", "a", ""}},
		{"space", "tab\there", []string{"tab\there"}},
		{"space", "no\u00a0break\u2003em", []string{"no\u00a0break\u2003em"}},
		{"space", "漢字 it's", []string{"漢字", "it's"}},

		{"fields", "", nil},
		{"fields", " \t \r\n", nil},
		{"fields", "a  b\tc\u2003d\u00a0e", []string{"a", "b", "c", "d", "e"}},
		{"fields", "it's, ok", []string{"it's,", "ok"}},

		{"words", "", nil},
		{"words", "Hello, SPARK-streaming!", []string{"hello", "spark", "streaming"}},
		{"words", "it's 3.14", []string{"it", "s", "3", "14"}},
		{"words", "ÄÖÜ straße ΣΑΣ", []string{"äöü", "straße", "σασ"}},
		{"words", "漢字 かな", []string{"漢字", "かな"}},
		{"words", "Cafe\u0301 x", []string{"cafe\u0301", "x"}},       // a combining mark belongs to its letter
		{"words", "\u0301a", []string{"a"}},                          // a mark without one is no word
		{"words", "हिन्दी भाषा", []string{"हिन्दी", "भाषा"}},         // vowel signs are marks
		{"words", "٣٤ ৫", []string{"٣٤", "৫"}},                       // digits of other scripts
		{"words", "a\ufffdb", []string{"a", "b"}},                    // what was not UTF-8 is no letter
		{"words", "K\u212aelvin \u0130x", []string{"kkelvin", "ix"}}, // lower case of another length

		{"regexp:[a-z]+", "ab12cd", []string{"ab", "cd"}},
		{"regexp:[a-z]*", "1a2", []string{"a"}}, // empty matches are no words
		{`regexp:\w+|[^\w\s]+`, "hi, you!", []string{"hi", ",", "you", "!"}},
		{"regexp:x", "", nil},
		{"regexp:.", "é漢", []string{"é", "漢"}},
	} {
		tokenizer, err := New(c.tokenizer)
		if err != nil {
			t.Fatal(err)
		}
		if got := split(t, tokenizer, []byte(c.line)); !slices.Equal(got, c.want) {
			t.Errorf("%s of %q: %q, want %q", c.tokenizer, c.line, got, c.want)
		}
		// A tokenizer keeps nothing of the line before.
		split(t, tokenizer, []byte("Something Else Entirely, and longer"))
		if got := split(t, tokenizer, []byte(c.line)); !slices.Equal(got, c.want) {
			t.Errorf("%s of %q the second time: %q, want %q", c.tokenizer, c.line, got, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, name := range []string{"", "Space", "spaces", "regexp", "regexp:[", "regexp:(?=x)"} {
		if _, err := New(name); err == nil {
			t.Errorf("tokenizer %q was accepted", name)
		} else if !strings.Contains(err.Error(), "tokenizer") {
			t.Errorf("tokenizer %q: %v does not say what is wrong", name, err)
		}
	}
}

// The words of one line do not change when the next word is appended.
func TestWordsAppends(t *testing.T) {
	for _, name := range []string{"space", "fields", "words", "regexp:[a-z]+"} {
		tokenizer, _ := New(name)
		before := words.Span{Start: 7, End: 9}
		text, got := tokenizer.Words([]words.Span{before}, []byte("a b"))
		if len(got) != 3 || got[0] != before || string(text[got[1].Start:got[1].End]) != "a" || string(text[got[2].Start:got[2].End]) != "b" {
			t.Errorf("%s appended to %v", name, got)
		}
	}
}

// line draws a line of letters, marks, spaces and other bytes.
func line(r *rand.Rand) []byte {
	parts := []string{" ", " ", "a", "B", "é", "e\u0301", "漢", "\t", "\u2003", "9", ",", "\U0001F600", "İ", "", "\ufffd"}
	var b []byte
	for range r.IntN([]int{20, 200}[r.IntN(2)]) {
		b = append(b, parts[r.IntN(len(parts))]...)
	}
	return b
}

// The simple versions are the standard library's. What stands behind a line is not of it.
func TestWordsAreTheStandardLibrarys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for name, simple := range map[string]func(string) []string{
		"space":  func(s string) []string { return strings.Split(s, " ") },
		"fields": strings.Fields,
	} {
		tokenizer, _ := New(name)
		for range 10_000 {
			l := line(r)
			want := simple(string(l))
			l = append(l, bytes.Repeat([]byte(" x"), r.IntN(50))...)[:len(l)]
			if got := split(t, tokenizer, l); !slices.Equal(got, want) {
				t.Fatalf("%s of %q: %q, want %q", name, l, got, want)
			}
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, seed := range []string{"", "a b", "Hello, WORLD", "Cafe\u0301", "a\xffb", "\xe2\x82 x"} {
		f.Add([]byte(seed))
	}
	var tokenizers []Tokenizer
	for _, name := range []string{"space", "fields", "words", `regexp:\pL+`} {
		tokenizer, err := New(name)
		if err != nil {
			f.Fatal(err)
		}
		tokenizers = append(tokenizers, tokenizer)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		valid, _ := Valid(nil, line)
		for i, tokenizer := range tokenizers {
			text, spans := tokenizer.Words(nil, valid)
			for _, w := range spans {
				word := text[w.Start:w.End]
				if !utf8.Valid(word) {
					t.Errorf("%T of %q: %q is not UTF-8", tokenizer, valid, word)
				}
				if i > 0 && len(word) == 0 {
					t.Errorf("%T of %q has an empty word", tokenizer, valid)
				}
				if i == 2 && bytes.ContainsFunc(word, func(r rune) bool {
					return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) || r != unicode.ToLower(r)
				}) {
					t.Errorf("words of %q: %q", valid, word)
				}
			}
		}
		if got, want := split(t, tokenizers[0], valid), strings.Split(string(valid), " "); !slices.Equal(got, want) {
			t.Errorf("space of %q is %q, want %q", valid, got, want)
		}
		if got, want := split(t, tokenizers[1], valid), strings.Fields(string(valid)); !slices.Equal(got, want) {
			t.Errorf("fields of %q is %q, want %q", valid, got, want)
		}
	})
}

func BenchmarkWords(b *testing.B) {
	text := []byte("The splitting of a line into words must not take longer than counting them does")
	for _, name := range []string{"space", "fields", "words", `regexp:\w+`} {
		b.Run(name, func(b *testing.B) {
			tokenizer, err := New(name)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			var found []words.Span
			for b.Loop() {
				_, found = tokenizer.Words(found[:0], text)
			}
		})
	}
	b.Run("bytes.Split", func(b *testing.B) { // the simple version of space
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			bytes.Split(text, []byte(" "))
		}
	})
}
