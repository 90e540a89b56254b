package printer

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew; testdata/repr.golden is written by python3")

// reprScript answers each line, a JSON string, with the repr of it.
const reprScript = `
import json, sys
sys.stdin.reconfigure(encoding="utf-8")
sys.stdout.reconfigure(encoding="utf-8", newline="\n")
for line in sys.stdin:
    print(repr(json.loads(line)))
`

// python runs a script with python3, or skips the test where there is none.
func python(t *testing.T, script string, stdin []byte) []string {
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to compare with")
	}
	cmd := exec.Command(path, "-c", script)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func jsonLines(t *testing.T, words []string) []byte {
	var b bytes.Buffer
	for _, word := range words {
		line, err := json.Marshal(word)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes()
}

func repr(s string) string { return string(appendRepr(nil, s)) }

// goldenWords are what testdata/repr.golden has the reprs of. Their characters are in Unicode since long.
var goldenWords = []string{
	"", "spark", "tab\there", "it's", `say "yes"`, `it's "both"`, `"`, `'`, `\`, `C:\new`, "\r", "\n", "a\r\n", "\x00", "\x01", "\x1b[31m", "\x1f", " ", "~", "\x7f",
	"\u0080", "\u009f", "\u00a0", "\u00a1", "\u00ad", "é", "e\u0301", "ß", "漢字", "العربية", "हिन्दी", "\u061c", "\u0600", "\u1680", "\u180e", "\u2000", "\u200b", "\u200d",
	"\u2028", "\u2029", "\u202f", "\u2060", "\u3000", "\ud7ff", "\ue000", "\uf8ff", "\ufdd0", "\ufe0f", "\ufeff", "\ufffd", "\ufffe", "\uffff", "\U00010000", "\U0001f600",
	"\U0001f468\u200d\U0001f469", "\U0001d173", "\U0001ffff", "\U00020000", "\U000e0001", "\U000e0100", "\U000f0000", "\U0010ffff",
}

func TestReprGolden(t *testing.T) {
	const path = "testdata/repr.golden"
	if *update {
		lines := python(t, reprScript, jsonLines(t, goldenWords))
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(golden), "\n"), "\n")
	if len(lines) != len(goldenWords) {
		t.Fatalf("%s has %d lines for %d words", path, len(lines), len(goldenWords))
	}
	for i, word := range goldenWords {
		if got := repr(word); got != lines[i] {
			t.Errorf("repr(%+q) = %s, want %s", word, got, lines[i])
		}
	}
}

// pythonCharacters asks python3 of every character whether it is printable and whether it is assigned.
func pythonCharacters(t *testing.T) (printable, assigned func(c rune) bool, version string) {
	const script = `
import unicodedata
every = [chr(c) for c in range(0x110000)]
print("".join("01"[c.isprintable()] for c in every))
print("".join("01"[unicodedata.category(c) != "Cn"] for c in every))
print(unicodedata.unidata_version)
`
	lines := python(t, script, nil)
	return func(c rune) bool { return lines[0][c] == '1' }, func(c rune) bool { return lines[1][c] == '1' }, lines[2]
}

// Every character there is. Python and Go may know different versions of Unicode: where they differ, the one that does not print the
// character must not know it.
func TestReprOfEveryCharacter(t *testing.T) {
	printable, assigned, version := pythonCharacters(t)
	differ := 0
	for c := range rune(0x110000) {
		if !utf8.ValidRune(c) || c < 0x80 { // those are in TestReprAsPython
			continue
		}
		printed := repr(string(c)) == "'"+string(c)+"'"
		if printed == printable(c) {
			continue
		}
		differ++
		if printed && assigned(c) || !printed && !unicode.Is(unicode.Cn, c) {
			t.Errorf("U+%04X: printed %t, by Python %t", c, printed, printable(c))
		}
	}
	t.Logf("%d characters differ between Unicode %s (Go) and %s (Python)", differ, unicode.Version, version)
	if version == unicode.Version && differ > 0 {
		t.Errorf("%d characters differ in the same version of Unicode", differ)
	}
}

// Words of every kind, made of the characters that are assigned in both versions of Unicode, or in none.
func TestReprAsPython(t *testing.T) {
	printable, _, _ := pythonCharacters(t)
	agreed := func(c rune) bool { return utf8.ValidRune(c) && printable(c) == unicode.IsPrint(c) }
	random := rand.New(rand.NewPCG(5, 6))
	var words []string
	for range 20000 {
		var b strings.Builder
		for range random.IntN(10) {
			c := rune(random.IntN(0x80))
			switch random.IntN(6) {
			case 0:
				c = rune(random.IntN(0x110000))
			case 1:
				c = rune(random.IntN(0x3100))
			case 2:
				c = []rune(`'"\` + "\t\r\n")[random.IntN(6)]
			}
			if agreed(c) {
				b.WriteRune(c)
			}
		}
		words = append(words, b.String())
	}
	got := python(t, reprScript, jsonLines(t, words))
	if len(got) != len(words) {
		t.Fatalf("%d answers to %d words", len(got), len(words))
	}
	for i, word := range words {
		if ours := repr(word); ours != got[i] {
			t.Errorf("repr(%+q) = %s, Python says %s", word, ours, got[i])
		}
	}
}
