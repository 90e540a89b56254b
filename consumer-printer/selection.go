package printer

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// wordFilter is which words are shown: those named, and those that begin with a prefix. A nil filter shows all.
type wordFilter struct {
	words    map[string]bool
	prefixes [][]byte
}

// parseFilter reads the setting: words between spaces, of which those that end in * stand for all words that begin so.
func parseFilter(text string) *wordFilter {
	var f wordFilter
	for pattern := range strings.FieldsSeq(text) {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			f.prefixes = append(f.prefixes, []byte(prefix))
			continue
		}
		if f.words == nil {
			f.words = make(map[string]bool)
		}
		f.words[pattern] = true
	}
	if f.words == nil && f.prefixes == nil {
		return nil
	}
	return &f
}

func (f *wordFilter) matches(word []byte) bool {
	return f.words[string(word)] || slices.ContainsFunc(f.prefixes, func(prefix []byte) bool { return bytes.HasPrefix(word, prefix) })
}

// wordOrder is how --sort arranges the words that are shown, which are the most frequent ones whatever their order.
type wordOrder func(a, b WordCount) int

var wordOrders = map[string]wordOrder{
	"count": compareShown,
	"word":  func(a, b WordCount) int { return cmp.Compare(a.Word, b.Word) },
}
