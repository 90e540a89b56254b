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
}

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

// Next returns the next line that is not blank, without white space around it.
func (s *sequentialSource) Next(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
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

// Waits tells that there is a line, or the end.
func (s *sequentialSource) Waits() bool { return false }

func (s *sequentialSource) Close() error { return s.file.Close() }
