// Package tokenize splits a line into words. A tokenizer sees valid UTF-8 only (see Valid) and gives valid UTF-8.
package tokenize

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"wordcount/counter/words"
)

// Tokenizer splits lines into words. It belongs to one goroutine.
type Tokenizer interface {
	// Words appends to dst where line's words stand in text: the line, or what the tokenizer makes of it, which is valid
	// until the next call.
	Words(dst []words.Span, line []byte) (text []byte, found []words.Span)
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
		return &letters{}, nil
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

func (space) Words(dst []words.Span, line []byte) ([]byte, []words.Span) {
	start := 0
	for {
		n := bytes.IndexByte(line[start:], ' ')
		if n < 0 {
			return line, append(dst, words.Span{Start: uint32(start), End: uint32(len(line))})
		}
		dst = append(dst, words.Span{Start: uint32(start), End: uint32(start + n)})
		start += n + 1
	}
}

// IsSpace tells whether a tokenizer is "space": words.Table.AddSplit does the same faster.
func IsSpace(t Tokenizer) bool { return t == space{} }

// fields splits around runs of white space as Unicode has it (White_Space): no word is empty.
type fields struct{}

func (fields) Words(dst []words.Span, line []byte) ([]byte, []words.Span) {
	inWord := false
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRune(line[i:])
		if space := unicode.IsSpace(r); space == inWord {
			if inWord = !space; inWord {
				dst = append(dst, words.Span{Start: uint32(i)})
			} else {
				dst[len(dst)-1].End = uint32(i)
			}
		}
		i += n
	}
	if inWord {
		dst[len(dst)-1].End = uint32(len(line))
	}
	return line, dst
}

// letters takes runs of Unicode letters and digits (with the marks that belong to them), in lower case.
type letters struct{ lower []byte }

func (l *letters) Words(dst []words.Span, line []byte) ([]byte, []words.Span) {
	l.lower = l.lower[:0]
	inWord := false
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		line = line[n:]
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !(inWord && unicode.IsMark(r)) {
			inWord = false
			continue
		}
		if !inWord {
			inWord = true
			dst = append(dst, words.Span{Start: uint32(len(l.lower))})
		}
		l.lower = utf8.AppendRune(l.lower, unicode.ToLower(r))
		dst[len(dst)-1].End = uint32(len(l.lower))
	}
	return l.lower, dst
}

// matches takes what matches a pattern, as NLTK's RegexpTokenizer does; empty matches are no words.
type matches struct{ re *regexp.Regexp }

func (m matches) Words(dst []words.Span, line []byte) ([]byte, []words.Span) {
	for _, match := range m.re.FindAllIndex(line, -1) {
		if match[0] < match[1] {
			dst = append(dst, words.Span{Start: uint32(match[0]), End: uint32(match[1])})
		}
	}
	return line, dst
}

// Valid returns line when it is valid UTF-8, else a copy in scratch with U+FFFD in the place of what is not: one for
// each maximal subpart of an ill-formed sequence (Unicode 15, 3.9, U+FFFD Substitution of Maximal Subparts), as
// Python's decoder does.
func Valid(scratch, line []byte) (valid, grown []byte) {
	if ascii(line) || utf8.Valid(line) {
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

// ascii tells whether all of line is ASCII, as most lines are. It has no branch for each few bytes, as utf8.Valid has.
func ascii(line []byte) bool {
	var all uint64
	if len(line) >= 8 {
		all = binary.LittleEndian.Uint64(line[len(line)-8:])
		for ; len(line) >= 32; line = line[32:] {
			all |= binary.LittleEndian.Uint64(line) | binary.LittleEndian.Uint64(line[8:]) |
				binary.LittleEndian.Uint64(line[16:]) | binary.LittleEndian.Uint64(line[24:])
		}
		for ; len(line) >= 8; line = line[8:] {
			all |= binary.LittleEndian.Uint64(line)
		}
	} else {
		for _, b := range line {
			all |= uint64(b)
		}
	}
	return all&0x8080808080808080 == 0
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
