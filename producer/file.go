package producer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"

	"wordcount/internal/service"
)

const (
	inMemory   = 16 << 20 // files up to this size are kept in memory
	maxOffsets = 1 << 20  // of a larger file's index: 8 MiB
	readAhead  = 16 << 10 // of a larger file, for one line
)

// fileSource chooses lines of a text file at random, each with the same probability, for ever.
type fileSource struct {
	path    string
	text    text
	random  *rand.Rand
	longest longest
	lines   [][]byte // chosen last
}

// text holds the lines of a file that are not blank, without white space around them.
type text interface {
	len() int64
	// choose returns 1 to n lines, each the one whose number next gives, valid until the next call.
	choose(dst [][]byte, n int, next func() int64) ([][]byte, error)
	close() error
}

// openFile reads the file once, to know its lines. The seed decides which lines are chosen. The error is a
// *service.UsageError when another --file mends it.
func openFile(ctx context.Context, path string, seed int64) (*fileSource, error) {
	f, size, err := openText(path)
	if err != nil {
		return nil, err
	}
	s := &fileSource{path: path, random: rand.New(rand.NewPCG(uint64(seed), 0))}
	if size <= inMemory {
		s.text, s.longest, err = readText(ctx, f)
	} else {
		s.text, s.longest, err = indexText(ctx, f, size, maxOffsets)
	}
	if err != nil {
		return nil, checked(ctx, path, 0, err)
	}
	if err := checked(ctx, path, s.text.len(), nil); err != nil {
		s.text.close()
		return nil, err
	}
	return s, nil
}

// openText opens a regular file.
func openText(path string) (f *os.File, size int64, err error) {
	f, err = os.Open(path)
	if err != nil {
		return nil, 0, wrongFile(path, "want a text file that can be read: %w", bare(err))
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = wrongFile(path, "want a text file that can be read: %w", bare(err))
	case !info.Mode().IsRegular():
		err = wrongFile(path, "want a regular text file, it is a %s", kind(info.Mode()))
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// checked is the error for a file in which that many lines were found before err.
func checked(ctx context.Context, path string, lines int64, err error) error {
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return wrongFile(path, "%w", bare(err))
	case lines == 0:
		return wrongFile(path, "want at least one line that is not blank, there is none")
	}
	return nil
}

// wrongFile is a *service.UsageError about --file.
func wrongFile(path, format string, args ...any) error {
	return service.Usagef("--file: %q is not accepted: %w", path, fmt.Errorf(format, args...))
}

// bare is err without operation and path, which the message has already.
func bare(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeNamedPipe != 0:
		return "pipe, which --source stdin reads"
	}
	return "device or socket"
}

// Limit refuses a file with a line that Kafka would refuse, whether that line is going to be chosen or not.
func (s *fileSource) Limit(maxBytes int) error { return s.longest.check(s.path, maxBytes) }

// check refuses a file with a longer line than that.
func (l longest) check(path string, maxBytes int) error {
	if l.bytes <= maxBytes {
		return nil
	}
	return wrongFile(path, "line %d has %d bytes, and the topic takes lines up to %d: shorten it, or raise the topic's max.message.bytes",
		l.number, l.bytes, maxBytes)
}

// Next chooses lines. It never ends.
func (s *fileSource) Next(ctx context.Context, n int) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var err error
	s.lines, err = s.text.choose(s.lines[:0], n, func() int64 { return s.random.Int64N(s.text.len()) })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path, err)
	}
	return s.lines, nil
}

func (s *fileSource) Close() error { return s.text.close() }

// memoryText is a text in memory.
type memoryText struct {
	data     []byte
	lines    []span
	together int // lines are chosen
	touched  byte
}

type span struct{ start, end uint32 }

// readText reads f, of at most inMemory bytes or little more, and closes it.
func readText(ctx context.Context, f *os.File) (text, longest, error) {
	defer f.Close()
	m := &memoryText{}
	var err error
	if m.data, err = io.ReadAll(io.LimitReader(f, maxLine)); err != nil {
		return nil, longest{}, err
	}
	found, err := scan(ctx, bytes.NewReader(m.data), func(offset int64, line []byte) {
		start := int(offset) + bytes.Index(m.data[offset:], line)
		m.lines = append(m.lines, span{uint32(start), uint32(start + len(line))})
	})
	m.together = max(1, min(choosesAtOnce, readsBytes*len(m.lines)/max(1, len(m.data))))
	return m, found, err
}

func (m *memoryText) len() int64 { return int64(len(m.lines)) }

// choosesAtOnce is how many lines are chosen together: their text is then on its way from memory at once. Long lines are fewer: until one partition has
// room for its share, the others get none.
const choosesAtOnce = 64

// choose reads a little of each line. None waits for the one before, as it would when a line is copied first.
func (m *memoryText) choose(dst [][]byte, n int, next func() int64) ([][]byte, error) {
	var numbers [choosesAtOnce]int64
	chosen := numbers[:min(n, m.together)]
	for i := range chosen {
		chosen[i] = next()
	}
	first := len(dst)
	for _, i := range chosen {
		l := m.lines[i]
		dst = append(dst, m.data[l.start:l.end])
	}
	var touched byte
	for _, line := range dst[first:] {
		touched ^= line[0] ^ line[len(line)-1]
	}
	m.touched = touched
	return dst, nil
}

func (m *memoryText) close() error { return nil }

// indexedText is a text in a file, which must not change meanwhile.
type indexedText struct {
	file  *os.File
	size  int64
	index *index
	lines *lineReader
}

// indexText reads size bytes of f; the text closes f.
func indexText(ctx context.Context, f *os.File, size int64, maxOffsets int) (text, longest, error) {
	x, err := newIndex(ctx, io.NewSectionReader(f, 0, size), maxOffsets)
	if err != nil {
		f.Close()
		return nil, longest{}, err
	}
	return &indexedText{file: f, size: size, index: x, lines: newLineReader(nil, readAhead)}, x.longest, nil
}

func (t *indexedText) len() int64 { return t.index.lines }

func (t *indexedText) choose(dst [][]byte, _ int, next func() int64) ([][]byte, error) {
	line, err := t.at(next())
	return append(dst, line), err
}

// at returns a line, valid until the next call.
func (t *indexedText) at(i int64) ([]byte, error) {
	offset, skip := t.index.find(i)
	t.lines.r.Reset(io.NewSectionReader(t.file, offset, t.size-offset))
	for {
		raw, err := t.lines.next()
		if err == io.EOF {
			return nil, errFileChanged
		}
		if err != nil {
			return nil, err
		}
		line := strip(raw)
		switch {
		case len(line) == 0:
		case skip == 0:
			return line, nil
		default:
			skip--
		}
	}
}

func (t *indexedText) close() error { return t.file.Close() }
