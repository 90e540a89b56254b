package wire

import "unicode/utf8"

// scanner reads a line in exactly the shape that the Append functions write, from left to right. It gives up (bad) at whatever
// else it meets, which may be right all the same: other order of fields, spaces, other escapes. What it returns after that is
// of no use.
type scanner struct {
	rest []byte
	bad  bool
}

// skip steps over a part that must stand here.
func (s *scanner) skip(part string) {
	if len(s.rest) < len(part) || string(s.rest[:len(part)]) != part {
		s.bad = true
		return
	}
	s.rest = s.rest[len(part):]
}

// last steps over the part that ends the line.
func (s *scanner) last(part string) {
	s.skip(part)
	s.bad = s.bad || len(s.rest) > 0
}

func (s *scanner) time() int64 {
	ms, n, ok := scanTime(s.rest)
	if !ok {
		s.bad = true
		return 0
	}
	s.rest = s.rest[n:]
	return ms
}

// natural reads a number from 0 to 10^18-1.
func (s *scanner) natural() (number int64) {
	n := 0
	for n < len(s.rest) && s.rest[n]-'0' <= 9 && n <= 18 {
		number = number*10 + int64(s.rest[n]-'0')
		n++
	}
	if n == 0 || n > 18 || n > 1 && s.rest[0] == '0' {
		s.bad = true
		return 0
	}
	s.rest = s.rest[n:]
	return number
}

// text reads the content of a JSON string up to its closing quote, where it stops. The content is a part of the line unless it
// had escapes.
func (s *scanner) text() []byte {
	plain, ascii := true, true
	for n := 0; n < len(s.rest) && s.rest[n] >= 0x20; n++ {
		switch c := s.rest[n]; {
		case c == '"':
			content := s.rest[:n]
			s.rest = s.rest[n:]
			if !ascii && !utf8.Valid(content) {
				s.bad = true
			} else if !plain {
				content, plain = unescape(content)
				s.bad = s.bad || !plain
			}
			return content
		case c == '\\':
			plain = false
			n++
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.bad = true // no closing quote, or a control character
	return nil
}

// unescape undoes the short escapes, into a new slice; ok is false when there are others. It must not end within an escape.
func unescape(s []byte) (content []byte, ok bool) {
	content = make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			i++
			if c = unescaped[s[i]]; c == 0 {
				return nil, false
			}
		}
		content = append(content, c)
	}
	return content, true
}

// unescaped is the inverse of escapes where one letter follows the backslash.
var unescaped = func() (t [256]byte) {
	for c, letter := range escapes {
		if letter != 0 && letter != 'u' {
			t[letter] = byte(c)
		}
	}
	return t
}()
