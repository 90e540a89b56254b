package producer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"wordcount/internal/service"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lines.txt")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The code points of which str.isspace is true in Python 3.13.
func TestStripKnowsPythonsWhiteSpace(t *testing.T) {
	var python []rune
	for _, r := range [][2]rune{{0x9, 0xd}, {0x1c, 0x20}, {0x85, 0x85}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}} {
		for c := r[0]; c <= r[1]; c++ {
			python = append(python, c)
		}
	}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) && (len(strip([]byte(string(r)))) == 0) != slices.Contains(python, r) {
			t.Errorf("%U: white space is %v", r, !slices.Contains(python, r))
		}
	}
}

// texts opens content both ways: in memory, and by an index of at most maxOffsets offsets.
func texts(t *testing.T, content string, maxOffsets int) map[string]text {
	t.Helper()
	path := write(t, content)
	open := func() *os.File {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	inMemory, a, err := readText(t.Context(), open())
	if err != nil {
		t.Fatal(err)
	}
	indexed, b, err := indexText(t.Context(), open(), int64(len(content)), maxOffsets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { indexed.close() })
	if a != b {
		t.Errorf("longest line: %v in memory, %v by index", a, b)
	}
	return map[string]text{"in memory": inMemory, "by index": indexed}
}

func all(t *testing.T, text text) []string {
	t.Helper()
	var lines []string
	var asked int64
	for asked < text.len() {
		found, err := text.choose(nil, int(text.len()-asked), func() int64 { asked++; return asked - 1 })
		if err != nil {
			t.Fatalf("line %d: %v", asked-1, err)
		}
		for _, line := range found {
			lines = append(lines, string(line))
		}
	}
	return lines
}

func TestLinesOfAFile(t *testing.T) {
	long := strings.Repeat("long ", 100_000)
	for _, c := range []struct {
		name, content string
		want          []string
	}{
		{"lines", "a\nb\nc\n", []string{"a", "b", "c"}},
		{"no line end at the end", "a\nb", []string{"a", "b"}},
		{"CRLF", "a\r\nb\r\n\r\n", []string{"a", "b"}},
		{"blank lines", "\n\n a\n \t\n\u3000\nb\n\n", []string{"a", "b"}},
		{"white space around, not within", "  hello  spark \t\n", []string{"hello  spark"}},
		{"separators", "\x1chello\x1f\n\u2028x\u00a0\n", []string{"hello", "x"}},
		{"a line like the one before it", "\u00a0a\na\n", []string{"a", "a"}},
		{"not UTF-8", "\xff\xfe \xa0\n\x85\n", []string{"\xff\xfe \xa0", "\x85"}},
		{"null bytes", "a\x00b\n\x00\n", []string{"a\x00b", "\x00"}},
		{"longer than every buffer", "a\n" + long + "\nb\n", []string{"a", strings.TrimSpace(long), "b"}},
		{"empty", "", nil},
		{"blank", " \n\t\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, text := range texts(t, c.content, 2) {
				if got := all(t, text); !slices.Equal(got, c.want) {
					t.Errorf("%s: %.200q, want %.200q", how, got, c.want)
				}
			}
		})
	}
}

// Whatever the number of lines and of offsets, the index finds each line.
func TestIndexFindsEveryLine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, lines := range []int{1, 2, 3, 4, 5, 8, 9, 100, 1000} {
		for _, maxOffsets := range []int{2, 4, 16, 128} {
			var content strings.Builder
			var want []string
			for i := range lines {
				line := fmt.Sprint("line ", i, strings.Repeat(".", random.IntN(50)))
				want = append(want, line)
				content.WriteString(strings.Repeat(" \n", random.IntN(3)) + " " + line + "\n")
			}
			text := texts(t, content.String(), maxOffsets)["by index"]
			if got := all(t, text); !slices.Equal(got, want) {
				t.Fatalf("%d lines, %d offsets: %q", lines, maxOffsets, got)
			}
			if n := len(text.(*indexedText).index.offsets); n > maxOffsets {
				t.Errorf("%d lines: the index has %d offsets, more than %d", lines, n, maxOffsets)
			}
			if n := len(text.(*indexedText).index.offsets); lines >= maxOffsets && n < maxOffsets/2 {
				t.Errorf("%d lines: the index has only %d offsets of %d", lines, n, maxOffsets)
			}
		}
	}
}

func choose(t *testing.T, s *fileSource, n int) []string {
	t.Helper()
	var lines []string
	for len(lines) < n {
		next, err := s.Next(t.Context(), 1+len(lines)%100)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range next {
			lines = append(lines, string(line))
		}
	}
	return lines[:n]
}

// Of long lines not so many are chosen together that they would fill a partition's lane while the others wait.
func TestLongLinesAreNotChosenTogether(t *testing.T) {
	for length, want := range map[int]int{1: choosesAtOnce, 500: choosesAtOnce, 30_000: 2, 100_000: 1} {
		s := openRandom(t, write(t, strings.Repeat(strings.Repeat("x", length)+"\n", 100)), 1)
		if lines, err := s.Next(t.Context(), most); err != nil || len(lines) != want {
			t.Errorf("%d lines of %d bytes, %v; want %d", len(lines), length, err, want)
		}
	}
}

func openRandom(t *testing.T, path string, seed int64) *fileSource {
	t.Helper()
	s, err := openFile(t.Context(), path, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func numbered(n int) string {
	var content strings.Builder
	for i := range n {
		fmt.Fprintln(&content, i)
	}
	return content.String()
}

func TestSeedRepeatsTheChoice(t *testing.T) {
	path := write(t, numbered(50))
	first := choose(t, openRandom(t, path, 7), 100)
	if again := choose(t, openRandom(t, path, 7), 100); !slices.Equal(first, again) {
		t.Errorf("seed 7 chose\n%q\nand then\n%q", first, again)
	}
	if other := choose(t, openRandom(t, path, 8), 100); slices.Equal(first, other) {
		t.Error("seeds 7 and 8 choose the same")
	}
	// The choice does not depend on how the file is kept.
	by := openRandom(t, path, 7)
	by.text = texts(t, numbered(50), 4)["by index"]
	if got := choose(t, by, 100); !slices.Equal(first, got) {
		t.Errorf("by index: %q", got)
	}
}

// Pearson's chi-square test of the hypothesis that each line is equally probable.
func TestChoiceIsUniform(t *testing.T) {
	const lines, draws = 50, 100_000
	const limit = 85.35 // exceeded with probability 0.001 at 49 degrees of freedom
	// Lines of very different length, between blank ones: a choice by offset would prefer long ones.
	var content strings.Builder
	for i := range lines {
		fmt.Fprintf(&content, "%d%s\n\n", i, strings.Repeat(" x", i*i))
	}
	for how, text := range texts(t, content.String(), 8) {
		s := openRandom(t, write(t, "x"), 42)
		s.text = text
		seen := make(map[string]int)
		for _, line := range choose(t, s, draws) {
			seen[line]++
		}
		chi := 0.0
		for _, n := range seen {
			d := float64(n) - draws/lines
			chi += d * d / (draws / lines)
		}
		if len(seen) != lines || chi > limit {
			t.Errorf("%s: %d of %d lines chosen, chi-square %.1f > %.1f", how, len(seen), lines, chi, limit)
		}
	}
}

func TestWrongFiles(t *testing.T) {
	for _, c := range []struct{ name, path, want string }{
		{"missing", filepath.Join(t.TempDir(), "none.txt"), "no such file"},
		{"folder", t.TempDir(), "it is a folder"},
		{"empty", write(t, ""), "at least one line that is not blank"},
		{"blank", write(t, " \r\n\t\n"), "at least one line that is not blank"},
		{"device", "/dev/null", "it is a device"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := openFile(t.Context(), c.path, 1)
			var usage *service.UsageError
			if !errors.As(err, &usage) {
				t.Fatalf("error %v is no UsageError", err)
			}
			for _, want := range []string{"--file", c.path, c.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %q", want, err)
				}
			}
			if strings.Count(err.Error(), c.path) != 1 {
				t.Errorf("the path is there more than once: %q", err)
			}
		})
	}
}

func TestTooLongLine(t *testing.T) {
	path := write(t, "short\n\n"+strings.Repeat("x", 101)+" \nshort\n")
	s := openRandom(t, path, 1)
	if err := s.Limit(101); err != nil {
		t.Errorf("a line as long as the limit: %v", err)
	}
	err := s.Limit(100)
	var usage *service.UsageError
	if !errors.As(err, &usage) {
		t.Fatalf("error %v is no UsageError", err)
	}
	for _, want := range []string{path, "line 3 has 101 bytes", "max.message.bytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %q", want, err)
		}
	}
}

// A line that no broker would take ends the reading, before it fills the memory.
func TestEndlessLine(t *testing.T) {
	_, err := scan(t.Context(), zeros{}, func(int64, []byte) {})
	if !errors.Is(err, errLineTooLong) || !strings.Contains(err.Error(), "line 1 is longer than 100 MiB") {
		t.Errorf("error %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestReadingStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openFile(ctx, write(t, numbered(5000)), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := openRandom(t, write(t, "a"), 1).Next(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Next: error %v", err)
	}
}

func TestFileThatShrinks(t *testing.T) {
	path := write(t, numbered(100))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := indexText(t.Context(), f, int64(len(numbered(100))), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer text.close()
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if line, err := text.choose(nil, 1, func() int64 { return 99 }); err == nil || !strings.Contains(err.Error(), "must not change") {
		t.Errorf("line %q, error %v", line, err)
	}
}

// Files beyond inMemory are indexed.
func TestLargeFile(t *testing.T) {
	line := strings.Repeat("x", 1<<20-1) + "\n"
	s := openRandom(t, write(t, strings.Repeat(line, inMemory>>20)+"y\n"), 1)
	if _, ok := s.text.(*indexedText); !ok {
		t.Errorf("a file of more than %d bytes is a %T", inMemory, s.text)
	}
	if got := s.text.len(); got != inMemory>>20+1 {
		t.Errorf("%d lines", got)
	}
}
