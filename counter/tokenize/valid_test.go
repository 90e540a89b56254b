package tokenize

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

const fffd = "\ufffd"

// The sequences of Unicode 15, tables 3-8 to 3-11, and what Python's bytes.decode("utf-8", "replace") makes of others.
func TestValid(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"é漢😀\ufffd", "é漢😀\ufffd"},
		{"a\xffb", "a" + fffd + "b"},
		{"\xff\xfe", fffd + fffd},
		{"\x80\xbf", fffd + fffd}, // continuation bytes alone
		{"\xc3", fffd},            // cut short
		{"\xe2\x82", fffd},        // cut short: one for both bytes
		{"\xe2\x82x", fffd + "x"}, // cut by another character
		{"\xf0\x9f\x98", fffd},    // cut short: one for three bytes
		{"\xf0\x9f\x98\xe2\x82\xac", fffd + "€"},
		{"\xc0\x80", fffd + fffd},            // overlong
		{"\xc1\xbf", fffd + fffd},            // overlong
		{"\xe0\x80\x80", fffd + fffd + fffd}, // overlong
		{"\xe0\x9f\xbf", fffd + fffd + fffd},
		{"\xf0\x80\x80\x80", fffd + fffd + fffd + fffd},
		{"\xf0\x8f\xbf\xbf", fffd + fffd + fffd + fffd},
		{"\xed\xa0\x80", fffd + fffd + fffd}, // a surrogate
		{"\xed\x9f\xbf", "\ud7ff"},
		{"\xf4\x90\x80\x80", fffd + fffd + fffd + fffd}, // beyond U+10FFFF
		{"\xf4\x8f\xbf\xbf", "\U0010ffff"},
		{"\xf5\x80\x80\x80", fffd + fffd + fffd + fffd},
		{"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", strings.Repeat(fffd, 8) + "A"},                     // table 3-8
		{"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", strings.Repeat(fffd, 8) + "A"},                     // table 3-9
		{"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", strings.Repeat(fffd, 5) + "A" + fffd + fffd + "B"}, // table 3-10
		{"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", strings.Repeat(fffd, 4) + "A"},                     // table 3-11
	} {
		scratch := []byte("what was there before")
		got, grown := Valid(scratch, []byte(c.in))
		if string(got) != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
		if c.in != c.want && &grown[0] != &got[0] {
			t.Errorf("%q: the scratch buffer is not the one that holds the line", c.in)
		}
	}
	line := []byte("valid")
	if got, _ := Valid(nil, line); &got[0] != &line[0] {
		t.Error("a valid line was copied")
	}
}

// replaced is the definition, in terms of the standard library's: a start that FullRune wants more bytes for is one that a
// well-formed sequence has.
func replaced(line []byte) (s string) {
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		for r == utf8.RuneError && n < len(line) && n < 3 && !utf8.FullRune(line[:n+1]) {
			n++
		}
		s += string(r)
		line = line[n:]
	}
	return s
}

func FuzzValid(f *testing.F) {
	for _, seed := range []string{"", "a", "é", "\xe2\x82", "\xf4\x90\x80\x80", "\xed\xa0\x80x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := string(line)
		got, _ := Valid(nil, line)
		if want := replaced(line); string(got) != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
		if string(line) != before {
			t.Errorf("%q was changed to %q", before, line)
		}
	})
}

// broken draws bytes in which sequences are cut, overlong, out of range and mixed.
func broken(r *rand.Rand) []byte {
	edges := []byte{0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff}
	b := make([]byte, r.IntN(12))
	for i := range b {
		if r.IntN(4) == 0 {
			b[i] = byte(r.Uint32())
		} else {
			b[i] = edges[r.IntN(len(edges))]
		}
	}
	return b
}

func TestValidIsTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var scratch, got []byte
	for range 100_000 {
		line := broken(r)
		got, scratch = Valid(scratch, line)
		if want := replaced(line); string(got) != want {
			t.Fatalf("% x: %q, want %q", line, got, want)
		}
	}
}

func TestValidIsPythons(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	const program = `import sys
for line in sys.stdin:
    print(bytes.fromhex(line.strip()).decode('utf-8', 'replace').encode('utf-8').hex())`
	r := rand.New(rand.NewPCG(3, 3))
	var in bytes.Buffer
	lines := make([][]byte, 50_000)
	for i := range lines {
		lines[i] = broken(r)
		fmt.Fprintf(&in, "%x\n", lines[i])
	}
	cmd := exec.Command(python, "-c", program)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	answers := bufio.NewScanner(bytes.NewReader(out))
	for _, line := range lines {
		if !answers.Scan() {
			t.Fatal("python3 gave fewer lines")
		}
		want, err := hex.DecodeString(answers.Text())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := Valid(nil, line); !bytes.Equal(got, want) {
			t.Fatalf("% x: %q, Python has %q", line, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		name, word string
		kept       int
	}{
		{"ascii", strings.Repeat("a", MaxWord+1), MaxWord},
		{"much longer", strings.Repeat("a", 3*MaxWord), MaxWord},
		{"a rune ends at the limit", strings.Repeat("a", MaxWord-3) + "漢b", MaxWord},
		{"a rune begins one byte before the limit", strings.Repeat("a", MaxWord-1) + "漢b", MaxWord - 1},
		{"a rune begins two bytes before the limit", strings.Repeat("a", MaxWord-2) + "漢b", MaxWord - 2},
		{"four bytes across the limit", strings.Repeat("a", MaxWord-3) + "😀", MaxWord - 3},
	} {
		word := []byte(c.word)
		got := Cut(word)
		if want := c.word[:c.kept] + "…"; string(got) != want {
			t.Errorf("%s: %d bytes that end in %q, want %d", c.name, len(got), got[len(got)-8:], len(want))
		}
		if !utf8.Valid(got) {
			t.Errorf("%s: not UTF-8", c.name)
		}
		if string(word) != c.word {
			t.Errorf("%s: the line was written to", c.name)
		}
	}
}
