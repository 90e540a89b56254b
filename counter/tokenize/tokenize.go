// Package tokenize splits a line into words. A tokenizer sees valid UTF-8 only (see Valid) and gives valid UTF-8.
package tokenize

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tokenizer splits lines into words. It belongs to one goroutine.
type Tokenizer interface {
	// Words appends line's words to dst. They point into line or into the tokenizer, and are valid until the next call.
	Words(dst [][]byte, line []byte) [][]byte
}

// Names of the tokenizers, for --help and errors.
const Names = "space, fields, words or regexp:PATTERN"

// New returns a tokenizer by its name: "space" (line.split(" ") of Python), "fields" (any white space), "words" (letters
// and digits, lower case), "regexp:PATTERN" (RE2: what matches is a word).
func New(name string) (Tokenizer, error) {
	switch name {
	case "space":
		return space{}, nil
	case "fields":
		return fields{}, nil
	case "words":
		return &words{}, nil
	}
	if pattern, ok := strings.CutPrefix(name, "regexp:"); ok {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("tokenizer %s: %w", name, err)
		}
		return matches{re}, nil
	}
	return nil, fmt.Errorf("unknown tokenizer %q: want %s", name, Names)
}

// space splits at each single space, as line.split(" ") does: two spaces give an empty word, and so does an empty line.
type space struct{}

// Words looks at eight bytes at a time: words are too short for a call of bytes.IndexByte each.
func (space) Words(dst [][]byte, line []byte) [][]byte {
	const each, low7 = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	start, i := 0, 0
	for ; i+8 <= len(line); i += 8 {
		x := binary.LittleEndian.Uint64(line[i:]) ^ ' '*each
		// The top bit of each byte that is zero, and no other (Hacker's Delight, 6-1).
		for spaces := ^((x&low7 + low7) | x | low7); spaces != 0; spaces &= spaces - 1 {
			at := i + bits.TrailingZeros64(spaces)/8
			dst = append(dst, line[start:at])
			start = at + 1
		}
	}
	for ; i < len(line); i++ {
		if line[i] == ' ' {
			dst = append(dst, line[start:i])
			start = i + 1
		}
	}
	return append(dst, line[start:])
}

// fields splits around runs of Unicode white space (bytes.Fields), as line.split() of Python does: no word is empty.
type fields struct{}

func (fields) Words(dst [][]byte, line []byte) [][]byte {
	for word := range bytes.FieldsSeq(line) {
		dst = append(dst, word)
	}
	return dst
}

// words takes runs of Unicode letters and digits (with the marks that belong to them), in lower case.
type words struct{ lower []byte }

func (w *words) Words(dst [][]byte, line []byte) [][]byte {
	w.lower = w.lower[:0]
	inWord := false
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		line = line[n:]
		if unicode.IsLetter(r) || unicode.IsDigit(r) || inWord && unicode.IsMark(r) {
			w.lower = utf8.AppendRune(w.lower, unicode.ToLower(r))
			inWord = true
		} else if inWord {
			w.lower = append(w.lower, ' ')
			inWord = false
		}
	}
	return fields{}.Words(dst, w.lower) // cut only now that it has stopped growing
}

// matches takes what matches a pattern, as NLTK's RegexpTokenizer does; empty matches are no words.
type matches struct{ re *regexp.Regexp }

func (m matches) Words(dst [][]byte, line []byte) [][]byte {
	for _, match := range m.re.FindAllIndex(line, -1) {
		if match[0] < match[1] {
			dst = append(dst, line[match[0]:match[1]])
		}
	}
	return dst
}

// Valid returns line when it is valid UTF-8, else a copy in scratch with U+FFFD in the place of what is not: one for
// each maximal subpart of an ill-formed sequence (Unicode 15, 3.9, U+FFFD Substitution of Maximal Subparts), as Java's
// and Python's decoders do.
func Valid(scratch, line []byte) (valid, grown []byte) {
	if utf8.Valid(line) {
		return line, scratch
	}
	scratch = scratch[:0]
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		if r == utf8.RuneError && n == 1 {
			n = maximalSubpart(line)
		}
		scratch = utf8.AppendRune(scratch, r)
		line = line[n:]
	}
	return scratch, scratch
}

// maximalSubpart returns the length of the longest start of line, which begins with an ill-formed sequence, that is
// the start of a well-formed one; at least 1 (Unicode 15, table 3-7).
func maximalSubpart(line []byte) int {
	low, high, size := byte(0x80), byte(0xBF), 0
	switch b := line[0]; {
	case b >= 0xC2 && b <= 0xDF:
		size = 2
	case b >= 0xE0 && b <= 0xEF:
		size = 3
		if b == 0xE0 {
			low = 0xA0
		} else if b == 0xED {
			high = 0x9F
		}
	case b >= 0xF0 && b <= 0xF4:
		size = 4
		if b == 0xF0 {
			low = 0x90
		} else if b == 0xF4 {
			high = 0x8F
		}
	}
	n := 1
	for n < size && n < len(line) && line[n] >= low && line[n] <= high {
		low, high = 0x80, 0xBF
		n++
	}
	return n
}

// MaxWord is the longest word that is counted as it is, in bytes.
const MaxWord = 128 << 10

// Cut returns a word longer than MaxWord cut at a rune, with "…" at its end.
func Cut(word []byte) []byte {
	end := MaxWord
	for end > 0 && !utf8.RuneStart(word[end]) {
		end--
	}
	return append(word[:end:end], "…"...)
}
