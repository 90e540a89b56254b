package wire

import "encoding/binary"

// AppendString appends s, valid UTF-8, as a JSON string. It escapes what JSON demands (quotes, backslashes, control characters)
// and nothing else: text in any script stays readable in kcat.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// Escaped appends what stands for s, valid UTF-8, between the quotes of a JSON string. It returns nil when that is s itself, and looks
// eight bytes at a time when s is short and its capacity is 16 or more, whatever stands behind s.
func Escaped(dst, s []byte) []byte {
	if plain(s) {
		return nil
	}
	return appendEscaped(dst, s)
}

// plain tells whether no byte of s needs an escape.
func plain(s []byte) bool {
	const block = 16
	if len(s) <= block && cap(s) >= block {
		b := (*[block]byte)(s[:block])
		return special(binary.LittleEndian.Uint64(b[:]))&firstBytes[min(len(s), 8)]|
			special(binary.LittleEndian.Uint64(b[8:]))&firstBytes[max(len(s), 8)-8] == 0
	}
	for _, c := range s {
		if escapes[c] != 0 {
			return false
		}
	}
	return true
}

// special has the top bit set of the first byte that needs an escape, and of none in front of it.
func special(x uint64) uint64 {
	const each, top = 0x0101010101010101, 0x8080808080808080
	quote, backslash := x^'"'*each, x^'\\'*each
	// A byte less than n (Bit Twiddling Hacks, hasless): the subtraction borrows, first where it is so.
	return ((x-' '*each)&^x | (quote-each)&^quote | (backslash-each)&^backslash) & top
}

// firstBytes are masks of the first n bytes.
var firstBytes = func() (m [9]uint64) {
	for n := range m {
		m[n] = 1<<(8*n) - 1
	}
	return m
}()

// appendEscaped copies the stretches between bytes that need an escape in one piece each.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	copied := 0
	for i := 0; i < len(s); i++ {
		escape := escapes[s[i]]
		if escape == 0 {
			continue
		}
		dst = append(append(dst, s[copied:i]...), '\\', escape)
		if escape == 'u' {
			dst = append(dst, '0', '0', hexDigits[s[i]>>4], hexDigits[s[i]&15])
		}
		copied = i + 1
	}
	return append(dst, s[copied:]...)
}

const hexDigits = "0123456789abcdef"

// escapes has, for each byte, what follows the backslash when JSON cannot hold it as it is (u: four hexadecimal digits follow).
var escapes = func() (t [256]byte) {
	for c := range byte(0x20) {
		t[c] = 'u'
	}
	t['\b'], t['\f'], t['\n'], t['\r'], t['\t'] = 'b', 'f', 'n', 'r', 't'
	t['"'], t['\\'] = '"', '\\'
	return t
}()
