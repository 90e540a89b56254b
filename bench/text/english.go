package text

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
)

const (
	// lineWidth is where lines of prose are wrapped, in bytes: they are 57 bytes long on average then.
	lineWidth = 60
	// englishWords is how much of a text is used, in words. So much of Webster's dictionary makes about 150,000 distinct words in
	// three million words chosen by line.
	englishWords = 1_350_000
)

// English is prose from a file, whose lines come in random order, again and again.
type English struct {
	name  string
	bytes []byte
	ends  []int32 // of the lines in bytes
}

// ReadEnglish reads a text file, plain or by gzip, in UTF-8. White space is where words end, and the lines are wrapped anew. Of a dictionary in
// the format of dictd, such as Debian's dict-gcide (Webster's Revised Unabridged Dictionary of 1913, enlarged), only the
// definitions and quotations are taken: no headwords, pronunciations, etymologies and other remarks in brackets.
func ReadEnglish(path string) (*English, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readText(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("00-database-")) {
		text = prose(text)
	}
	return NewEnglish(filepath.Base(path), text)
}

// NewEnglish wraps a text anew. It needs one word at the least.
func NewEnglish(name string, text []byte) (*English, error) {
	e := &English{name: name}
	words, line := 0, 0
	for word := range bytes.FieldsSeq(text) {
		if words == englishWords {
			break
		}
		words++
		switch {
		case line == 0:
		case line+1+len(word) > lineWidth:
			e.ends = append(e.ends, int32(len(e.bytes)))
			line = 0
		default:
			e.bytes = append(e.bytes, ' ')
			line++
		}
		e.bytes = append(e.bytes, word...)
		line += len(word)
	}
	if words == 0 {
		return nil, errors.New("there is no word in the text")
	}
	e.ends = append(e.ends, int32(len(e.bytes)))
	return e, nil
}

func readText(r io.Reader) ([]byte, error) {
	b := bufio.NewReader(r)
	if magic, _ := b.Peek(2); string(magic) != "\x1f\x8b" {
		return io.ReadAll(b)
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// brackets are remarks, and pronunciations between backslashes.
var brackets = regexp.MustCompile(`\[[^\]]*\]|\\[^\\]*\\`)

// prose takes the indented lines of a dictionary, whose headwords stand at the margin.
func prose(dictionary []byte) []byte {
	var text []byte
	for line := range bytes.Lines(dictionary) {
		if line[0] == ' ' {
			text = append(text, line...)
		}
	}
	text = brackets.ReplaceAllLiteral(text, []byte(" "))
	return bytes.Map(func(r rune) rune {
		if r == '{' || r == '}' { // around references
			return -1
		}
		return r
	}, text)
}

// Describe implements Text.
func (e *English) Describe() string {
	return fmt.Sprintf("English prose of %s, %d lines in random order", e.name, len(e.ends))
}

// Lines implements Text.
func (e *English) Lines(seed, number uint64) Lines {
	return &englishLines{e, rand.New(rand.NewPCG(seed, number))}
}

type englishLines struct {
	*English
	random *rand.Rand
}

func (l *englishLines) Next() []byte {
	i := l.random.Uint32N(uint32(len(l.ends)))
	start := int32(0)
	if i > 0 {
		start = l.ends[i-1]
	}
	return l.bytes[start:l.ends[i]]
}

// File returns all lines as the content of a text file.
func (e *English) File() []byte {
	file := make([]byte, 0, len(e.bytes)+len(e.ends))
	start := int32(0)
	for _, end := range e.ends {
		file = append(append(file, e.bytes[start:end]...), '\n')
		start = end
	}
	return file
}
