package words

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// AddSplit counts what stands between the single spaces of a text, as bytes.Split has it, each word once more, and returns how many there
// are. The text's capacity must go Slack beyond its length.
func (t *Table) AddSplit(text []byte) (words int) {
	_ = text[:len(text)+Slack] // assembly does not check it
	t.makeRoom()
	for start := 0; start <= len(text); {
		n, next := split(t.queue[t.waiting:], text[start:], t.entries)
		t.waiting += n
		words += n
		start += next
		switch {
		case t.waiting == queued:
			t.count()
		case start <= len(text): // a long word
			word, _, _ := bytes.Cut(text[start:], []byte{' '})
			t.addLong(word, 1)
			words++
			start += len(word) + 1
		}
	}
	return words
}

// splitPlain lets words of a text wait, each to be counted once, until queue is full or one is long. It returns how many words that are,
// and where the next one begins: behind the text's end when there is none.
func splitPlain(queue []addition, text []byte) (n, next int) {
	padded := text[:len(text)+Slack]
	for at := 0; at <= len(text); at += block {
		// All ends of words in 64 bytes at once, so that how long the words are is of no matter to the processor's branch prediction.
		ends := spacesOf((*[block]byte)(padded[at : at+block]))
		if left := len(text) - at; left < block {
			ends = ends&(1<<left-1) | 1<<left
		}
		for ; ends != 0; ends &= ends - 1 {
			end := at + bits.TrailingZeros64(ends)
			if n == len(queue) || end-next > inEntry {
				return n, next
			}
			k := shortKey((*[keySize]byte)(padded[next:next+keySize]), uint32(end-next))
			queue[n] = addition{k, 1, k.hash()}
			n++
			next = end + 1
		}
	}
	return n, next
}

// spacesOf returns a bit for each byte that is a space.
func spacesOf(text *[block]byte) (spaces uint64) {
	const each, low7 = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	for i := 0; i < block; i += 8 {
		x := binary.LittleEndian.Uint64(text[i:]) ^ ' '*each
		// The top bit of each byte that is zero, and no other (Hacker's Delight, 6-1). The product brings them together.
		zero := ^((x&low7 + low7) | x | low7)
		spaces |= zero * 0x0002040810204081 >> 56 << i
	}
	return spaces
}
