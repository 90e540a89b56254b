// Package words counts words: a hash table for keys that are mostly short and counts that are mostly changed. A word of up to
// 16 bytes is kept in its entry, so that counting it touches one cache line and allocates nothing.
package words

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"math/rand/v2"
)

// Table has a count for each word. The zero value is empty and ready. It is an open-addressed table with linear probing, at
// most three quarters full.
type Table struct {
	entries []entry // their number is a power of two
	words   int
	long    []byte // the words that do not fit their entry, one after the other
}

// entry is a word and its count, which is 0 where there is no word. 32 bytes: two to a cache line.
type entry struct {
	key
	count int64
	place
}

// key stands for a word with its length: the word itself up to 16 bytes, else its first eight and a hash of all.
type key struct{ a, b uint64 }

// place is how long a word is, and where in Table.long it begins if it is a long one.
type place struct{ length, at uint32 }

// Slack is the capacity beyond a word's length with which Add is fastest.
const Slack = inEntry

const (
	inEntry   = 16 // bytes of a word that fit
	firstSize = 1 << 10
)

// The seeds are the process's own, so that nobody can prepare words that collide.
var (
	seedA, seedB = rand.Uint64() | 1, rand.Uint64() | 1
	seedLong     = maphash.MakeSeed()
)

// keyOf loads a word. It reads on behind a short word's end where there is memory, and masks what it finds: words of all
// lengths take the same way through the processor.
func keyOf(word []byte) key {
	n := len(word)
	if n > inEntry {
		return key{binary.LittleEndian.Uint64(word), maphash.Bytes(seedLong, word)}
	}
	if cap(word) < inEntry {
		word = append(make([]byte, 0, inEntry), word...)
	}
	word = word[:inEntry]
	return key{binary.LittleEndian.Uint64(word) & masks[n], binary.LittleEndian.Uint64(word[8:]) & masks[inEntry+1+n]}
}

// masks cut the first and the second eight bytes to a word's: by its length, and by its length + 17.
var masks = func() (m [2 * (inEntry + 1)]uint64) {
	for n := range inEntry + 1 {
		m[n] = 1<<(8*min(n, 8)) - 1
		m[inEntry+1+n] = 1<<(8*max(n-8, 0)) - 1
	}
	return m
}()

// hash mixes a key as wyhash does: the two halves of a product.
func (k key) hash(length uint32) uint64 {
	high, low := bits.Mul64(k.a^seedA, k.b^seedB^uint64(length)<<32)
	return high ^ low
}

// Add adds n ≥ 1 to a word's count, and tells whether the word is new. It panics when the words beyond 16 bytes take more
// than 4 GiB together.
func (t *Table) Add(word []byte, n int64) bool {
	k, length := keyOf(word), uint32(len(word))
	if t.words >= len(t.entries)/4*3 {
		t.grow()
	}
	mask := uint64(len(t.entries) - 1)
	for i := k.hash(length) & mask; ; i = (i + 1) & mask {
		e := &t.entries[i]
		if e.count == 0 {
			*e = entry{k, n, t.keep(word)}
			t.words++
			return true
		}
		if e.key == k && e.length == length && (length <= inEntry || bytes.Equal(t.text(e), word)) {
			e.count += n
			return false
		}
	}
}

// keep notes a new word.
func (t *Table) keep(word []byte) place {
	p := place{length: uint32(len(word))}
	if len(word) > inEntry {
		if len(t.long)+len(word) > math.MaxUint32 {
			panic("words: more than 4 GiB of long words in one window")
		}
		p.at = uint32(len(t.long))
		t.long = append(t.long, word...)
	}
	return p
}

// text returns a long word.
func (t *Table) text(e *entry) []byte { return t.long[e.at:][:e.length:e.length] }

func (t *Table) grow() {
	old := t.entries
	t.entries = make([]entry, max(2*len(old), firstSize))
	mask := uint64(len(t.entries) - 1)
	for _, e := range old {
		if e.count == 0 {
			continue
		}
		i := e.hash(e.length) & mask
		for t.entries[i].count != 0 {
			i = (i + 1) & mask
		}
		t.entries[i] = e
	}
}

// Len returns the number of words.
func (t *Table) Len() int { return t.words }

// All yields each word once, in no order. The word is valid until the next one; the table must not be changed meanwhile.
func (t *Table) All(yield func(word []byte, count int64) bool) {
	var short [inEntry]byte
	for i := range t.entries {
		e := &t.entries[i]
		if e.count == 0 {
			continue
		}
		n := int(e.length)
		var word []byte
		if n > inEntry {
			word = t.text(e)
		} else {
			word = short[:n]
			binary.LittleEndian.PutUint64(short[:], e.a)
			binary.LittleEndian.PutUint64(short[8:], e.b)
		}
		if !yield(word, e.count) {
			return
		}
	}
}

// Reset empties the table and keeps its memory for the next words.
func (t *Table) Reset() {
	clear(t.entries)
	*t = Table{entries: t.entries, long: t.long[:0]}
}
