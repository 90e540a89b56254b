// Package words counts words, of texts and of shuffle records: a hash table for keys that are mostly short and counts that are mostly changed.
// A word of up to 15 bytes is kept in its entry, so that counting it touches one cache line and allocates nothing. The table is larger than the
// processor's caches; words wait until there are some, and their entries come from memory together.
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
	words   int     // with those that are remembered
	limit   int     // of words, that it has room for
	bytes   int     // that the words have together
	long    []byte  // the words that do not fit their entry, one after the other

	queue   [queued]addition
	waiting int // how many of queue are still to be counted

	expected int // words; the room is for so many when the first is too little
	sparse   int // uses in a row that had far more room than they needed: see Spares
}

// Span is where a word stands in a text.
type Span struct{ Start, End uint32 }

// entry is a word and its count, which is 0 where there is no word, or one that is remembered only. 32 bytes: two to a cache line.
type entry struct {
	word  [keySize]byte // the word's key
	count int64
	place // of a long word; of a short one, at is its Kafka partition + 1, or 0 when nobody has asked
}

// key stands for a word with its length: up to 15 bytes of it and, in the last byte, their number + 1; of a longer word the
// first eight, and 56 bits of a hash of all. No word has the key of an empty entry, which is zero.
type key struct{ a, b uint64 }

// key returns the key of an entry's word; it compiles to two loads.
func (e *entry) key() key {
	return key{binary.LittleEndian.Uint64(e.word[:]), binary.LittleEndian.Uint64(e.word[8:])}
}

// set makes an empty entry a word's.
func (e *entry) set(k key, n int64) {
	binary.LittleEndian.PutUint64(e.word[:], k.a)
	binary.LittleEndian.PutUint64(e.word[8:], k.b)
	e.count = n
}

// size returns the length of an entry's word, more than inEntry for a long one.
func (e *entry) size() int { return int(e.word[keySize-1]) - 1 }

// addition is a short word that waits.
type addition struct {
	key
	n    int64
	hash uint64
}

// place is where in Table.long a word begins, and how long it is.
type place struct{ at, length uint32 }

// Slack is how much memory behind a text may be read, in bytes. What stands there does not matter.
const Slack = block

const (
	block     = 64 // bytes of a text that are looked at together
	keySize   = 16
	inEntry   = keySize - 1 // bytes of a word that fit
	lengthAt  = 56          // the bit of key.b where the length begins
	isLong    = 0xff
	firstSize = 1 << 8
	queued    = 64  // words are counted together
	overhead  = 100 // bytes, about, that a word costs beyond its text

	remembers     = 1 << 12 // entries, at most, of a table that remembers its words
	remembersLong = 1 << 16 // bytes of long words that it has, at most
)

// The seeds are the process's own, so that nobody can prepare words that collide.
var (
	seedA, seedB = rand.Uint64() | 1, rand.Uint64() | 1
	seedLong     = maphash.MakeSeed()
)

// shortKey loads a word of n ≤ 15 bytes. It reads on behind its end, and masks what it finds: words of all lengths take the
// same way through the processor.
func shortKey(text *[keySize]byte, n uint32) key {
	m := &masks[n&inEntry]
	return key{binary.LittleEndian.Uint64(text[:]) & m.a, binary.LittleEndian.Uint64(text[8:])&m.b | uint64(n+1)<<lengthAt}
}

// masks cut 16 bytes to a word's, by its length.
var masks = func() (m [keySize]key) {
	for n := range m {
		m[n] = key{1<<(8*min(n, 8)) - 1, 1<<(8*max(n-8, 0)) - 1}
	}
	return m
}()

func longKey(word []byte) key {
	return key{binary.LittleEndian.Uint64(word), maphash.Bytes(seedLong, word) | isLong<<lengthAt}
}

// hash mixes a key as wyhash does: the two halves of a product.
func (k key) hash() uint64 {
	high, low := bits.Mul64(k.a^seedA, k.b^seedB)
	return high ^ low
}

// AddSpans counts words of a text, each once more. The text's capacity must go Slack beyond its length.
func (t *Table) AddSpans(text []byte, words []Span) {
	padded := text[:len(text)+Slack]
	for _, w := range words {
		start, n := int(w.Start), w.End-w.Start
		if n > inEntry {
			t.addLong(padded[start:w.End], 1)
			continue
		}
		t.push(shortKey((*[keySize]byte)(padded[start:start+keySize]), n), 1)
	}
}

// Add adds n ≥ 1 to a word's count. It is fastest when the word's capacity is 16 or more.
func (t *Table) Add(word []byte, n int64) {
	if len(word) > inEntry {
		t.addLong(word, n)
		return
	}
	if cap(word) < keySize {
		word = append(make([]byte, 0, keySize), word...)
	}
	t.push(shortKey((*[keySize]byte)(word[:keySize]), uint32(len(word))), n)
}

// push lets a short word wait, and counts when there are enough.
func (t *Table) push(k key, n int64) {
	t.queue[t.waiting%queued] = addition{k, n, k.hash()}
	t.waiting++
	if t.waiting == queued {
		t.countFull()
	}
}

// countFull counts when as many words wait as can.
func (t *Table) countFull() {
	t.makeRoom()
	prefetch(t.queue[:], t.entries)
	t.count()
}

// count counts the words that wait.
func (t *Table) count() {
	if t.waiting == 0 {
		return
	}
	t.makeRoom()
	queue := t.queue[:t.waiting]
	t.waiting = 0
	var missed [queued]uint8
	misses := find(queue, t.entries, &missed)
	for _, i := range missed[:misses] {
		t.add(&queue[i])
	}
}

// findPlain counts the words that are where they should be, and notes in missed which are not. It has no branches: nothing that a word's
// entry holds decides whether the processor goes on to the next one.
func findPlain(queue []addition, entries []entry, missed *[queued]uint8) (misses int) {
	mask := uint64(len(entries) - 1)
	n := uint(0)
	for i := range queue {
		w := &queue[i]
		e := &entries[w.hash&mask]
		has := e.key()
		differs := (has.a ^ w.a) | (has.b ^ w.b)
		miss := (differs | -differs) >> 63 // 1, or 0 when all bits are the same
		e.count += w.n & (int64(miss) - 1)
		missed[n%queued] = uint8(i)
		n += uint(miss)
	}
	return int(n)
}

// add counts a short word that may be anywhere in the table, or new.
func (t *Table) add(w *addition) {
	mask := uint64(len(t.entries) - 1)
	for i := w.hash & mask; ; i = (i + 1) & mask {
		e := &t.entries[i]
		switch e.key() {
		case w.key:
			e.count += w.n
			return
		case key{}:
			e.set(w.key, w.n)
			t.words++
			t.bytes += int(w.b>>lengthAt) - 1
			t.makeRoom()
			return
		}
	}
}

// addLong counts a long word. It panics when they take more than 4 GiB together.
func (t *Table) addLong(word []byte, n int64) {
	t.makeRoom()
	mask := uint64(len(t.entries) - 1)
	k := longKey(word)
	for i := k.hash() & mask; ; i = (i + 1) & mask {
		e := &t.entries[i]
		switch e.key() {
		case k:
			if bytes.Equal(t.text(e), word) {
				e.count += n
				return
			}
		case key{}:
			e.set(k, n)
			e.place = t.keep(word)
			t.words++
			t.bytes += len(word)
			return
		}
	}
}

// keep notes a long word.
func (t *Table) keep(word []byte) place {
	if len(t.long)+len(word) > math.MaxUint32 {
		panic("words: more than 4 GiB of long words in one window")
	}
	p := place{uint32(len(t.long)), uint32(len(word))}
	t.long = append(t.long, word...)
	return p
}

// text returns a long word.
func (t *Table) text(e *entry) []byte { return t.long[e.at:][:e.length:e.length] }

// word returns an entry's word.
func (t *Table) word(e *entry) []byte {
	if n := e.size(); n <= inEntry {
		return e.word[:n]
	}
	return t.text(e)
}

// makeRoom lets the table take a further word.
func (t *Table) makeRoom() {
	if t.words >= t.limit {
		t.grow()
	}
}

// grow makes room, and forgets what the table remembers.
func (t *Table) grow() {
	old := t.entries
	t.words, t.bytes = 0, 0
	for i := range old {
		if e := &old[i]; e.count != 0 {
			t.words++
			t.bytes += len(t.word(e))
		}
	}
	size := max(len(old), firstSize)
	for size/4*3 <= t.words+t.words/2 || t.words > 0 && size/4*3 <= t.expected {
		size *= 2
	}
	t.entries, t.limit = make([]entry, size), size/4*3
	clear(t.entries) // a page that is read before it is written is mapped twice, and the second time every processor that runs us is interrupted
	mask := uint64(len(t.entries) - 1)
	for _, e := range old {
		if e.count == 0 {
			continue
		}
		i := e.key().hash() & mask
		for t.entries[i].count != 0 {
			i = (i + 1) & mask
		}
		t.entries[i] = e
	}
}

// Size returns about how many bytes of memory the words take, with those that are remembered only.
func (t *Table) Size() int {
	t.count()
	return t.words*overhead + t.bytes
}

// All yields each word once, in no order. The word is valid until the next one; the table must not be changed meanwhile.
func (t *Table) All(yield func(word []byte, count int64) bool) {
	t.count()
	var which [queued]uint8
	for entries := t.entries; len(entries) > 0; entries = entries[queued:] {
		for _, i := range which[:used(entries, &which)] {
			if e := &entries[i]; !yield(t.word(e), e.count) {
				return
			}
		}
	}
}

// used notes which of the first entries, as many as can be queued, have a count, without branches, and returns how many they are.
func used(entries []entry, which *[queued]uint8) (n uint64) {
	for i := range entries[:queued] {
		which[n%queued] = uint8(i)
		n += uint64(-entries[i].count) >> 63
	}
	return n
}

// Reset empties the table and keeps its memory for the next words. A small table remembers its words where most of those that it knew came
// again: they are not new the next time.
func (t *Table) Reset() {
	t.waiting = 0
	if len(t.entries) <= remembers && len(t.long) <= remembersLong {
		came := uint64(0)
		for i := range t.entries {
			e := &t.entries[i]
			came += uint64(-e.count) >> 63
			e.count = 0
		}
		if 2*int(came) >= t.words {
			return
		}
	}
	clear(t.entries)
	t.words, t.bytes, t.long = 0, 0, t.long[:0]
}
