//go:build !amd64

package words

// split is splitPlain, and has the words' entries come from memory. There is room in queue, and entries has a power of two of them.
func split(queue []addition, text []byte, entries []entry) (n, next int) {
	if n, next = splitPlain(queue, text); n > 0 {
		prefetch(queue[:n], entries)
	}
	return n, next
}

// find is findPlain.
func find(queue []addition, entries []entry, missed *[queued]uint8) (misses int) {
	return findPlain(queue, entries, missed)
}
