package words

import "unsafe"

// As the assembly has them.
var (
	_ [64]struct{} = [block]struct{}{}
	_ [16]struct{} = [unsafe.Sizeof(key{})]struct{}{}
	_ [32]struct{} = [unsafe.Sizeof(addition{})]struct{}{}
)

// split is splitPlain, and has the words' entries come from memory. There is room in queue, and entries has a power of two of them.
//
//go:noescape
func split(queue []addition, text []byte, entries []entry) (n, next int)

// find is findPlain. There is a word in queue, and entries has a power of two of them.
//
//go:noescape
func find(queue []addition, entries []entry, missed *[queued]uint8) (misses int)
