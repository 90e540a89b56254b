//go:build !amd64 && !arm64

package words

import "sync/atomic"

// looked keeps the compiler from leaving out what only looks at entries.
var looked atomic.Int64

// prefetch has the entries of words come from memory. Nothing that an entry holds decides whether the processor goes on to the next one, and
// so it waits for many at a time.
func prefetch(queue []addition, entries []entry) {
	mask := uint64(len(entries) - 1)
	all := int64(0)
	for i := range queue {
		all |= entries[queue[i].hash&mask].count
	}
	if all < 0 { // never: counts are positive
		looked.Store(all)
	}
}
