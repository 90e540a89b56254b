package producer

import "bytes"

// splitter cuts a stream into lines, chunk by chunk, as bufio.ScanLines does: \n or \r\n ends a line, nothing else is cut
// off, and an empty line is a line. Of a line longer than the limit it keeps only the length.
type splitter struct {
	limit int // bytes of a line, without its end

	chunk []byte // what is not split yet
	begun []byte // the beginning of a line that goes on in the next chunk; of one that is too long, nothing more
	spare []byte // room for the next one: a line may be in use that was begun before
	bytes int    // of that line, so far
	cr    bool   // its last byte is \r
}

// piece is a line, or one that is too long, of which only the length is known.
type piece struct {
	line  []byte // valid until the next call of add or end; never nil
	bytes int
	long  bool
}

// add takes the next chunk, which stays the splitter's until next has returned false.
func (s *splitter) add(chunk []byte) { s.chunk = chunk }

// next returns the next line of the chunk; false when the chunk holds no other line end.
func (s *splitter) next() (piece, bool) {
	end := bytes.IndexByte(s.chunk, '\n')
	if end < 0 {
		s.keep(s.chunk)
		s.chunk = nil
		return piece{}, false
	}
	line := s.chunk[:end]
	s.chunk = s.chunk[end+1:]
	if s.bytes > 0 {
		s.keep(line)
		return s.take(), true
	}
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	return s.measured(line, len(line)), true
}

// end returns the last line of the stream if it has no line end. What follows is another stream.
func (s *splitter) end() (piece, bool) {
	if s.bytes == 0 {
		return piece{}, false
	}
	return s.take(), true
}

// unpublished is how many bytes were added and are in no line yet.
func (s *splitter) unpublished() int { return s.bytes + len(s.chunk) }

// keep adds to the line that was begun, as much as a line may have and a \r.
func (s *splitter) keep(part []byte) {
	if len(part) == 0 {
		return
	}
	room := s.limit + 1 - len(s.begun)
	s.begun = append(s.begun, part[:min(len(part), room)]...)
	s.bytes += len(part)
	s.cr = part[len(part)-1] == '\r'
}

// take returns the line that was begun.
func (s *splitter) take() piece {
	size := s.bytes
	if s.cr {
		size--
	}
	line := s.begun[:min(size, len(s.begun))]
	s.begun, s.spare, s.bytes, s.cr = s.spare[:0], s.begun, 0, false
	return s.measured(line, size)
}

func (s *splitter) measured(line []byte, size int) piece {
	if size > s.limit {
		return piece{line: line[:0], bytes: size, long: true}
	}
	return piece{line: line, bytes: size}
}
