//go:build amd64 || arm64

package words

import "unsafe"

var _ [32]struct{} = [unsafe.Sizeof(entry{})]struct{}{} // as the assembly has it

// prefetch has the entries of words come from memory, and does not wait for them. There must be a word, and entries has a power of two of
// them, 32 bytes each.
//
//go:noescape
func prefetch(queue []addition, entries []entry)
