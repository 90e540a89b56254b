package words

import (
	"encoding/binary"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// AppendEntries appends each word's entry to the record of its Kafka partition, and returns what Size would without the words that are
// remembered only. There are as many records as partitions, the same number whenever the table is used. full is called before a record would
// exceed size bytes, and has it begin anew.
func (t *Table) AppendEntries(records [][]byte, size int, full func(partition int)) (took int) {
	const most = 20 // of the entry's two varints
	t.count()
	var which [queued]uint8
	for entries := t.entries; len(entries) > 0; entries = entries[queued:] {
		for _, i := range which[:used(entries, &which)] {
			e := &entries[i]
			n := uint32(e.size())
			if n <= inEntry {
				if e.at == 0 {
					e.at = 1 + uint32(kafkaio.ShortPartition(&e.word, n, len(records)))
				}
				record := &records[e.at-1]
				if at := len(*record); e.count < shortCounts && at+shortEntry <= min(size, cap(*record)) {
					*record = (*record)[:at+putShort((*[shortEntry]byte)((*record)[at:at+shortEntry]), e, n)]
					took += int(n) + overhead
					continue
				}
			}
			word := t.word(e)
			took += len(word) + overhead
			p := int(e.at) - 1
			if n > inEntry {
				p = int(kafkaio.Partition(word, len(records)))
			}
			if len(records[p])+len(word)+most > size {
				full(p)
			}
			records[p] = wire.AppendEntry(records[p], word, e.count)
		}
	}
	return took
}

// putShort writes the entry of a word of n ≤ inEntry bytes and a count of less than shortCounts, and returns its length. It is wire.AppendEntry, in one
// way whatever the lengths.
func putShort(to *[shortEntry]byte, e *entry, n uint32) int {
	to[0] = byte(n)
	*(*[keySize]byte)(to[1:]) = e.word // its last byte stands behind the entry, or the count takes its place
	low, high := uint32(e.count)&0x7f, uint32(e.count)>>7
	second := (high | -high) >> 31 // whether there is a second byte
	binary.LittleEndian.PutUint16(to[1+n&inEntry:], uint16(low|second<<7|high<<8))
	return int(1 + n + 1 + second)
}

// AddEntries counts the words of a partial record's entries, and returns how many they are together. ok is false when the entries are
// malformed, or more than 2^63 - 1 words; those in front of that are counted.
func (t *Table) AddEntries(entries []byte) (words int64, ok bool) {
	for len(entries) > 0 {
		rest, sum := t.pushEntries(entries)
		if words += sum; words < 0 {
			return words, false
		}
		if t.waiting == queued {
			t.countFull()
		}
		if entries = rest; len(entries) == 0 {
			break
		}
		word, count, rest, ok := wire.NextEntry(entries)
		if !ok {
			return words, false
		}
		t.Add(word, count)
		if words += count; words < 0 {
			return words, false
		}
		entries = rest
	}
	return words, true
}

const (
	shortCounts = 1 << 14         // counts below it have one or two bytes
	shortEntry  = 1 + inEntry + 2 // bytes, the most that the entry of a short word with such a count takes
)

// pushEntries lets words wait, until there is no room or it cannot tell an entry at a glance, and returns the rest. Words of all lengths, and
// counts of one byte or two, take the same way through the processor.
func (t *Table) pushEntries(entries []byte) (rest []byte, words int64) {
	for t.waiting < queued && len(entries) >= shortEntry {
		n := uint32(entries[0])
		if n > inEntry {
			break
		}
		varint := uint32(binary.LittleEndian.Uint16(entries[1+n:]))
		second := varint >> 7 & 1 // whether there is a second byte
		count := int64(varint&0x7f | varint>>8<<7&-second)
		if varint&0x8080 == 0x8080 || count == 0 {
			break
		}
		k := shortKey((*[keySize]byte)(entries[1:1+keySize]), n)
		t.queue[t.waiting] = addition{k, count, k.hash()}
		t.waiting++
		words += count
		entries = entries[1+n+1+second:]
	}
	return entries, words
}
