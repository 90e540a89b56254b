package printer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// appendRepr appends Python's repr of a str, as unicode_repr of CPython's Objects/unicodeobject.c makes it: between single quotes,
// or double ones when it holds single but no double ones; what is not printable is escaped. s is valid UTF-8.
//
// Python takes for printable what is in none of the categories "Other" and "Separator", and the ASCII space: just what
// unicode.IsPrint does. The two agree but for characters that are newer than one of their versions of Unicode.
func appendRepr(dst []byte, s string) []byte {
	quote := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	dst = append(dst, quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= ' ' && r < 0x7f || r > 0x7f && unicode.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r <= 0xff:
			dst = appendHex(append(dst, `\x`...), r, 2)
		case r <= 0xffff:
			dst = appendHex(append(dst, `\u`...), r, 4)
		default:
			dst = appendHex(append(dst, `\U`...), r, 8)
		}
	}
	return append(dst, quote)
}

func appendHex(dst []byte, r rune, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[r>>shift&15])
	}
	return dst
}
