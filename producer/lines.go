package producer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode"
)

// maxLine is the longest line that is read: Kafka's socket.request.max.bytes, so no broker takes a longer one.
const maxLine = 100 << 20

var errLineTooLong = errors.New("longer than 100 MiB, which no Kafka broker takes")

// lineReader splits a stream into lines at \n, with memory for the longest line only.
type lineReader struct {
	r    *bufio.Reader
	long []byte // a line that exceeds r's buffer
}

func newLineReader(r io.Reader, buffer int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, buffer)}
}

// next returns the next line with its line end, valid until the next call. The last line may lack a line end; then io.EOF follows.
func (l *lineReader) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if len(l.long)+len(part) > maxLine {
				return nil, errLineTooLong
			}
			l.long = append(l.long, part...)
			continue
		case err == io.EOF && len(l.long)+len(part) > 0:
			err = nil // the next call meets the end again
		}
		if err != nil || len(l.long) == 0 {
			return part, err
		}
		l.long = append(l.long, part...)
		return l.long, nil
	}
}

// strip cuts white space at both ends, as Python's str.strip does. Bytes that are not UTF-8 are no white space.
func strip(line []byte) []byte { return bytes.TrimFunc(line, isSpace) }

// isSpace is Python's str.isspace: Unicode's White_Space and the four separators of ASCII.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
