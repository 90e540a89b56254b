package producer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

var errFileChanged = errors.New("the file has fewer lines than at the start; it must not change while it is published")

// sequentialSource is the lines of a text file in their order, once or for ever.
type sequentialSource struct {
	path    string
	file    *os.File
	size    int64
	loop    bool
	lines   int64 // that are not blank
	longest longest

	next   int64 // line, 0 is the first
	reader *lineReader
	texts  []byte   // of the last lines
	last   [][]byte // they
	err    error    // that comes behind them
}

// What Next returns together, at most: so many lines, and bytes but for the last one.
const (
	readsAtOnce = 32
	readsBytes  = 64 << 10
)

// openSequential reads the file once, to know its lines. The error is a *service.UsageError when another --file mends it.
func openSequential(ctx context.Context, path string, loop bool) (*sequentialSource, error) {
	f, size, err := openText(path)
	if err != nil {
		return nil, err
	}
	s := &sequentialSource{path: path, file: f, size: size, loop: loop, reader: newLineReader(nil, 256<<10)}
	s.longest, err = scan(ctx, s.whole(), func(int64, []byte) { s.lines++ })
	if err = checked(ctx, path, s.lines, err); err != nil {
		f.Close()
		return nil, err
	}
	s.reader.r.Reset(s.whole())
	return s, nil
}

func (s *sequentialSource) whole() io.Reader { return io.NewSectionReader(s.file, 0, s.size) }

// Limit refuses a file with a line that Kafka would refuse.
func (s *sequentialSource) Limit(maxBytes int) error { return s.longest.check(s.path, maxBytes) }

// Next returns the next lines that are not blank, without white space around them.
func (s *sequentialSource) Next(ctx context.Context, n int) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.texts, s.last = s.texts[:0], s.last[:0]
	for s.err == nil && len(s.last) < min(n, readsAtOnce) && len(s.texts) < readsBytes {
		var line []byte
		if line, s.err = s.line(); s.err == nil {
			begin := len(s.texts)
			s.texts = append(s.texts, line...)
			s.last = append(s.last, s.texts[begin:])
		}
	}
	if len(s.last) == 0 {
		return nil, s.err
	}
	return s.last, nil
}

// line returns the next one, valid until the next call.
func (s *sequentialSource) line() ([]byte, error) {
	if s.next == s.lines {
		if !s.loop {
			return nil, io.EOF
		}
		s.next = 0
		s.reader.r.Reset(s.whole())
	}
	s.next++
	for {
		raw, err := s.reader.next()
		if err == io.EOF {
			err = errFileChanged
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", s.path, err)
		}
		if line := strip(raw); len(line) > 0 {
			return line, nil
		}
	}
}

func (s *sequentialSource) Close() error { return s.file.Close() }
