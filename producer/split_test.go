package producer

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// split returns the lines of chunks as %q, and of those that are too long the length.
func split(limit int, chunks ...string) (lines []string) {
	s := &splitter{limit: limit}
	note := func(p piece) {
		switch {
		case p.long:
			lines = append(lines, fmt.Sprint("too long: ", p.bytes))
		case p.line == nil || len(p.line) != p.bytes:
			lines = append(lines, fmt.Sprintf("wrong: %+v", p))
		default:
			lines = append(lines, fmt.Sprintf("%q", p.line))
		}
	}
	for _, chunk := range chunks {
		s.add([]byte(chunk))
		for p, ok := s.next(); ok; p, ok = s.next() {
			note(p)
		}
	}
	if p, ok := s.end(); ok {
		note(p)
	}
	return lines
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name   string
		chunks []string
		want   string
	}{
		{"nothing", nil, ""},
		{"lines", []string{"a\nb\n"}, `"a" "b"`},
		{"no line end at the end", []string{"a\nb"}, `"a" "b"`},
		{"empty lines count", []string{"\n\na\n\n"}, `"" "" "a" ""`},
		{"white space stays", []string{" a\t\n \n"}, `" a\t" " "`},
		{"CRLF", []string{"a\r\n\r\nb\r\r\n"}, `"a" "" "b\r"`},
		{"CR within a line", []string{"a\rb\n"}, `"a\rb"`},
		{"CRLF cut by the end", []string{"a\r"}, `"a"`},
		{"CRLF over two chunks", []string{"a\r", "\nb\r", "c\n"}, `"a" "b\rc"`},
		{"only CR, over two chunks", []string{"\r", "\n", "x\n"}, `"" "x"`},
		{"line over many chunks", []string{"a", "", "b", "c\nd", "\n"}, `"abc" "d"`},
		{"line end alone", []string{"a", "\n", "\n"}, `"a" ""`},
		{"as long as the limit", []string{"12345678\n", "1234", "5678\r\n", "12345678\r", "\n12345678"}, `"12345678" "12345678" "12345678" "12345678"`},
		{"longer", []string{"123456789\nb\n", "12345", "6789\r\nc\n"}, `too long: 9 "b" too long: 9 "c"`},
		{"much longer", []string{"a\n", strings.Repeat("x", 100), strings.Repeat("x", 100), "\r", "\rx", "\r\nb"}, `"a" too long: 203 "b"`},
		{"longer at the end", []string{"a\n123456789"}, `"a" too long: 9`},
		{"not UTF-8", []string{"\xff\x00\n"}, `"\xff\x00"`},
	} {
		if got := strings.Join(split(8, c.chunks...), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Of a line that never ends, no more than the limit is kept.
func TestSplitIsBounded(t *testing.T) {
	s := &splitter{limit: 1000}
	chunk := bytes.Repeat([]byte("x"), 100)
	for range 10_000 {
		s.add(chunk)
		if _, ok := s.next(); ok {
			t.Fatal("a line")
		}
	}
	if cap(s.begun) > 4000 || s.unpublished() != 1_000_000 {
		t.Errorf("%d bytes kept, %d unpublished", cap(s.begun), s.unpublished())
	}
}

// However the stream is cut into chunks, the lines are those of bufio.ScanLines.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\r\nb\n\nlast"), uint8(3), uint8(8))
	f.Add([]byte("123456789\r\n\r"), uint8(1), uint8(8))
	f.Fuzz(func(t *testing.T, stream []byte, size, limit uint8) {
		var want []string
		scanner := bufio.NewScanner(bytes.NewReader(stream))
		scanner.Buffer(make([]byte, len(stream)+2), len(stream)+2)
		for scanner.Scan() {
			if line := scanner.Bytes(); len(line) > int(limit) {
				want = append(want, fmt.Sprint("too long: ", len(line)))
			} else {
				want = append(want, fmt.Sprintf("%q", line))
			}
		}
		var chunks []string
		for chunk := range slices.Chunk(stream, int(size)+1) {
			chunks = append(chunks, string(chunk))
		}
		if got := split(int(limit), chunks...); !slices.Equal(got, want) {
			t.Errorf("%q in chunks of %d, limit %d: %q, want %q", stream, int(size)+1, limit, got, want)
		}
	})
}
