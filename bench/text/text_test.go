package text

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const dictionary = `
00-database-short
   A dictionary

Coagulate \Co*ag"u*late\, a. [L. coagulatus, p. p. of
   coagulare, to coagulate. See {Coagulate}.]
   Coagulated; see {Curdle}. [Obs.] --Shak.
   [1913 Webster]
`

func write(t *testing.T, content []byte) string {
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(t *testing.T, content string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadEnglish(t *testing.T) {
	long := strings.Repeat("x", 70)
	for _, c := range []struct{ name, text, want string }{
		{"wrapped anew", "a truth  universally\nacknowledged,\tthat a single man in possession of a good", "a truth universally acknowledged, that a single man in\npossession of a good\n"},
		{"60 bytes fit", strings.Repeat("123456789 ", 6) + "x", "123456789 123456789 123456789 123456789 123456789 123456789\nx\n"},
		{"a long word", "a " + long + " b", "a\n" + long + "\nb\n"},
		{"a dictionary", dictionary, "A dictionary coagulare, to coagulate. See Coagulate.]\nCoagulated; see Curdle. --Shak.\n"},
	} {
		for _, content := range [][]byte{[]byte(c.text), zipped(t, c.text)} {
			e, err := ReadEnglish(write(t, content))
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if got := string(e.File()); got != c.want {
				t.Errorf("%s:\n%swant\n%s", c.name, got, c.want)
			}
		}
	}
	if _, err := ReadEnglish(write(t, []byte(" \n"))); err == nil {
		t.Error("a text without words is taken")
	}
	if _, err := ReadEnglish(write(t, zipped(t, dictionary)[:40])); err == nil {
		t.Error("half a file is taken")
	}
}

// take returns some lines of a stream.
func take(l Lines, n int) (lines []string) {
	for range n {
		lines = append(lines, string(l.Next()))
	}
	return lines
}

func TestStreams(t *testing.T) {
	english, err := NewEnglish("letters", []byte(strings.Repeat("a b c d e f g h i j k l m n o p q r s t u v w x y z ", 100)))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []Text{english, NewZipf(1.05, 1000)} {
		first := take(text.Lines(1, 0), 50)
		if !slices.Equal(first, take(text.Lines(1, 0), 50)) {
			t.Errorf("%s: the same seed gives other lines", text.Describe())
		}
		if slices.Equal(first, take(text.Lines(2, 0), 50)) || slices.Equal(first, take(text.Lines(1, 1), 50)) {
			t.Errorf("%s: another seed or number gives the same lines", text.Describe())
		}
		if slices.Contains(first, "") {
			t.Errorf("%s: a line is empty", text.Describe())
		}
	}
}

// Each rank comes as often as 1/r^s says.
func TestZipfFrequencies(t *testing.T) {
	const n, s, lines = 100, 1.05, 200_000
	counts := make(map[string]int)
	for _, line := range take(NewZipf(s, n).Lines(1, 0), lines) {
		words := strings.Split(line, " ")
		if len(words) != zipfLineWords {
			t.Fatalf("%q", line)
		}
		for _, word := range words {
			counts[word]++
		}
	}
	sum := 0.0
	for r := 1; r <= n; r++ {
		sum += math.Pow(float64(r), -s)
	}
	for r := 1; r <= n; r++ {
		want := math.Pow(float64(r), -s) / sum * lines * zipfLineWords
		if got := float64(counts[string(appendWord(nil, uint32(r-1)))]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("rank %d came %.0f times, want about %.0f", r, got, want)
		}
	}
}

func TestWordsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for rank := range uint32(30_000) {
		word := string(appendWord(nil, rank))
		if seen[word] {
			t.Fatalf("rank %d has the word %s of another one", rank, word)
		}
		seen[word] = true
	}
}

func BenchmarkZipf(b *testing.B) {
	lines := NewZipf(1.05, 5_000_000).Lines(1, 0)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(lines.Next())))
	}
}
