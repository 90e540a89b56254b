package printer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// cellOf is a word as a table shows it, in at most width columns of a terminal; what does not fit ends in "…". It never holds a
// character that could move the cursor, change colours, reorder text or be invisible: a word with such is shown as Python's repr
// shows it, and so is one that could be taken for that.
func cellOf(word string, width int) (cell string, columns int) {
	if cut := 4 * width; len(word) > cut { // a character has no more bytes; a mark that takes no column takes one's place here
		word = word[:cut]
		for len(word) > 0 && !utf8.ValidString(word) {
			word = word[:len(word)-1]
		}
		word += "…"
	}
	if !plain(word) {
		word = string(appendRepr(nil, word))
	}
	if columns = uniseg.StringWidth(word); columns <= width {
		return word, columns
	}
	var kept strings.Builder
	columns = 0
	for rest, state := word, -1; rest != ""; {
		var cluster string
		var wide int
		cluster, rest, wide, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if columns+wide > width-1 {
			break
		}
		kept.WriteString(cluster)
		columns += wide
	}
	return kept.String() + "…", columns + 1
}

// plain tells whether a word can be shown as it is. The joiners that Persian or Hindi words hold between letters can: what they do
// ends with the word.
func plain(word string) bool {
	if word == "" || word[0] == '\'' || word[0] == '"' {
		return false
	}
	before := rune(0)
	for _, r := range word {
		joiner := (r == '\u200c' || r == '\u200d') && unicode.In(before, unicode.L, unicode.M)
		if !joiner && !unicode.IsPrint(r) || r == ' ' || r == '\\' {
			return false
		}
		before = r
	}
	return true
}
