package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"wordcount/internal/short"
)

// The shuffle topic's records: what a combine task tells the reduce tasks. A record is
//
//	version byte (2), kind byte, slot uvarint, interval in ms uvarint, then
//	kind 'P', partial counts:  window number varint (start / interval), lines uvarint, late lines uvarint,
//	                           then up to the end: word length uvarint, word, count uvarint
//	kind 'W', watermark:       ms since the epoch varint, partitions of the lines topic uvarint
//
// A window's lines and late lines stand in one of a transaction's partial records for each partition, the others have
// zeros. A watermark holds when its transaction has ended, the last one in it. In version 1, the same bytes, it was the last record.
const (
	shuffleVersion  = 2
	firstVersion    = 1
	kindPartial     = 'P'
	kindWatermark   = 'W'
	maxShuffleSlots = math.MaxInt32
)

// NoWatermark is the watermark of a slot that does not know its first one yet.
const NoWatermark = math.MinInt64

// ErrShuffleVersion: a later version of the counter wrote the record.
var ErrShuffleVersion = errors.New("shuffle record of an unknown version: a newer counter wrote it; upgrade this one")

// Partial is the header of a partial record.
type Partial struct {
	Slot     int
	Interval int64 // ms
	Window   int64 // number: start / interval, ≥ 0
	Lines    int64
	Late     int64
}

// AppendPartial begins a partial record; entries follow with AppendEntry.
func AppendPartial(dst []byte, p Partial) []byte {
	dst = appendShuffleHeader(dst, kindPartial, p.Slot, p.Interval)
	dst = binary.AppendVarint(dst, p.Window)
	dst = binary.AppendUvarint(dst, uint64(p.Lines))
	return binary.AppendUvarint(dst, uint64(p.Late))
}

// AppendEntry adds a word and its count to a partial record.
func AppendEntry(dst, word []byte, count int64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(word)))
	dst = short.Append(dst, word)
	return binary.AppendUvarint(dst, uint64(count))
}

// Watermark is a slot's promise: no partial of it behind the transaction, if this is the last watermark there, is for a window that ends at or before
// Time.
type Watermark struct {
	Slot       int
	Interval   int64 // ms
	Time       int64 // ms since the epoch, ≥ 0, or NoWatermark
	Partitions int   // of the lines topic, as the slot's task sees it
}

// AppendWatermark makes a watermark record.
func AppendWatermark(dst []byte, w Watermark) []byte {
	dst = appendShuffleHeader(dst, kindWatermark, w.Slot, w.Interval)
	dst = binary.AppendVarint(dst, w.Time)
	return binary.AppendUvarint(dst, uint64(w.Partitions))
}

func appendShuffleHeader(dst []byte, kind byte, slot int, interval int64) []byte {
	dst = append(dst, shuffleVersion, kind)
	dst = binary.AppendUvarint(dst, uint64(slot))
	return binary.AppendUvarint(dst, uint64(interval))
}

// ParseShuffle decodes a record: either watermark or partial is set. Of a partial, entries is the rest to walk with
// NextEntry.
func ParseShuffle(data []byte) (partial *Partial, entries []byte, watermark *Watermark, err error) {
	if len(data) < 2 {
		return nil, nil, nil, errShuffle
	}
	if data[0] < firstVersion || data[0] > shuffleVersion {
		return nil, nil, nil, fmt.Errorf("%w (version %d)", ErrShuffleVersion, data[0])
	}
	kind := data[1]
	f := fields{b: data[2:]}
	slot, interval := f.uvarint(), f.uvarint()
	if slot > maxShuffleSlots || interval == 0 || interval > math.MaxInt64 {
		return nil, nil, nil, errShuffle
	}
	switch kind {
	case kindPartial:
		partial = &Partial{Slot: int(slot), Interval: int64(interval), Window: f.varint(), Lines: int64(f.uvarint()), Late: int64(f.uvarint())}
		if f.bad || partial.Lines < 0 || partial.Late < 0 || partial.Window < 0 || partial.Window >= math.MaxInt64/partial.Interval {
			return nil, nil, nil, errShuffle
		}
		return partial, f.b, nil, nil
	case kindWatermark:
		watermark = &Watermark{Slot: int(slot), Interval: int64(interval), Time: f.varint(), Partitions: int(f.uvarint())}
		if f.bad || len(f.b) != 0 || watermark.Partitions < 0 || watermark.Time < 0 && watermark.Time != NoWatermark {
			return nil, nil, nil, errShuffle
		}
		return nil, nil, watermark, nil
	}
	return nil, nil, nil, fmt.Errorf("%w (kind %q)", ErrShuffleVersion, kind)
}

// NextEntry cuts the first entry from a partial record's entries. ok is false when they are malformed; it must not be
// called with none left.
func NextEntry(entries []byte) (word []byte, count int64, rest []byte, ok bool) {
	size, n := uvarint(entries)
	if n <= 0 || size > uint64(len(entries)-n) {
		return nil, 0, nil, false
	}
	end := n + int(size)
	word, rest = entries[n:end], entries[end:]
	c, n := uvarint(rest)
	if n <= 0 || c == 0 || c > math.MaxInt64 {
		return nil, 0, nil, false
	}
	return word, int64(c), rest[n:], true
}

var errShuffle = errors.New("malformed shuffle record")

// fields reads varints one after the other; bad is set when one is missing.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.b, f.bad = nil, true
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) varint() int64 {
	v, n := binary.Varint(f.b)
	if n <= 0 {
		f.b, f.bad = nil, true
		return 0
	}
	f.b = f.b[n:]
	return v
}

// uvarint is binary.Uvarint with the one-byte case in front.
func uvarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
}
