package page

import "encoding/binary"

// Words are the words of a partition's share of a batch with their counts, as compact as they can be appended one by one: the length
// of the word and its count, both as varints, then the word. The zero value has none.
type Words struct{ entries []byte }

// Append takes a word in that is not there yet, and returns by how many bytes that made the memory grow.
func (w *Words) Append(word []byte, count int64) (grown int) {
	before := cap(w.entries)
	w.entries = binary.AppendUvarint(w.entries, uint64(len(word)))
	w.entries = binary.AppendUvarint(w.entries, uint64(count))
	w.entries = append(w.entries, word...)
	return cap(w.entries) - before
}

// Size is how much memory they take, in bytes.
func (w Words) Size() int { return cap(w.entries) }

// Count looks a word up; 0: it is not there. It looks at every word.
func (w Words) Count(word string) int64 {
	for rest := w.entries; len(rest) > 0; {
		length, n := binary.Uvarint(rest)
		count, m := binary.Uvarint(rest[n:])
		rest = rest[n+m:]
		if length == uint64(len(word)) && string(rest[:length]) == word {
			return int64(count)
		}
		rest = rest[length:]
	}
	return 0
}
