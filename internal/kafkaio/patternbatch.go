package kafkaio

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go/compress"

	"wordcount/internal/short"
)

// Pattern is what the values of records have in common: a value is Head, a text, Middle, a number in decimal, Tail.
type Pattern struct {
	Head         []byte
	Middle, Tail string
}

// PatternBatch is a record batch under construction whose records follow a pattern, compressed while it is written: what a record
// has in common with those before it is known, so nothing of that is written out to be searched for. The compression is snappy,
// one block without the Java library's frame, which every client reads. The zero value is ready; Begin comes first.
//
// The content, which the block expands to, has for each record its lead (size, attributes, time), its offset, key and value, and that there
// are no headers. The block has for each
//
//   - a copy of the end of the record before (Middle, number, Tail, no headers) together with the lead, from where this lead followed that
//     number last; else a copy of as much of it as is found again, and the rest as it is
//   - the offset, the key, and the length of the value as they are
//   - a copy of the Head of the record before
//   - a copy of the key where the text is the same, else the text as it is
type PatternBatch struct {
	buf      []byte // room for preamble and header, then the block's elements
	count    int32
	baseTime int64
	maxTime  int64
	pattern  Pattern
	lead     []byte // of each record, behind its size

	// Places are counted in the content. 0 is nowhere: the first record's size stands there.
	at     int   // length of the content, without the end of the last record
	number int64 // in that end
	digits int   // of number; 0: no end is missing

	head      int                          // of the last record
	before    byte                         // what stands in front of it, the end of the value's length
	middle    int                          // of the last record that has its end
	ends      [maxEnds]int32               // the last end with a number
	followers [maxDigit][maxFollower]int32 // the last end with a number of one digit that a record of a size follows

	sealed RecordBatch
}

const (
	maxEnds     = 100 // numbers below it are found again
	maxDigit    = 10
	maxFollower = 256 // sizes below it are found again
)

// Begin says what the records have in common that are appended from now on: the time in ms since the epoch (on a topic with
// LogAppendTime the broker's takes its place), and the pattern, which must not change meanwhile.
func (b *PatternBatch) Begin(timeMs int64, pattern Pattern) {
	if b.count == 0 {
		const room = snappyPreamble + batchHeader
		b.buf = slices.Grow(b.buf[:0], room)[:room]
		b.baseTime, b.maxTime = timeMs, timeMs
	}
	b.finish()
	b.maxTime = max(b.maxTime, timeMs)
	b.lead = binary.AppendVarint(append(b.lead[:0], 0), timeMs-b.baseTime)
	b.pattern = pattern
	b.head, b.middle = 0, 0
	clear(b.ends[:])
	clear(b.followers[:])
}

// Append adds a record. A nil text is the key; number is 0 or more. The batch must not exceed 2 GiB without compression.
func (b *PatternBatch) Append(key, text []byte, number int64) {
	p := &b.pattern
	same := text == nil
	if same {
		text = key
	}
	digits := decimalLen(number)
	value := len(p.Head) + len(text) + len(p.Middle) + digits + len(p.Tail)
	offsetLen, keyLen, valueLen := lengthLen(int(b.count)), lengthLen(len(key)), lengthLen(value)
	size := len(b.lead) + offsetLen + keyLen + len(key) + valueLen + value + 1
	const elements = 6 * 5 // their tags
	buf := slices.Grow(b.buf, size+RecordOverhead+elements)

	buf, literal := b.join(buf, size)
	buf = appendLength(buf, int(b.count))
	buf = appendLength(buf, len(key))
	keyAt := b.at + offsetLen + keyLen
	buf = short.Append(buf, key)
	buf = appendLength(buf, value)
	b.at = keyAt + len(key) + valueLen

	if last := buf[len(buf)-1]; last == b.before && b.near(b.head) {
		buf = closeLiteral(buf[:len(buf)-1], literal)
		buf = appendCopy(buf, b.at-b.head, 1+len(p.Head))
	} else {
		buf = closeLiteral(append(buf, p.Head...), literal)
		b.before = last
	}
	b.head = b.at
	b.at += len(p.Head)

	if same && len(text) >= minCopy && b.near(keyAt) {
		buf = appendCopy(buf, b.at-keyAt, len(text))
	} else {
		buf, literal = openLiteral(buf)
		buf = closeLiteral(short.Append(buf, text), literal)
	}
	b.at += len(text)
	b.buf = buf
	b.number, b.digits = number, digits
	b.count++
}

// join appends the end of the last record and the lead of one of a size, and leaves a literal open behind them.
func (b *PatternBatch) join(buf []byte, size int) (joined []byte, literal int) {
	lead := lengthLen(size) + len(b.lead)
	if b.digits == 0 {
		buf, literal = openLiteral(buf)
	} else {
		if b.number < maxDigit && size < maxFollower {
			last := &b.followers[b.number][size]
			from := int(*last)
			*last = int32(b.at)
			if b.near(from) {
				buf, literal = openLiteral(appendCopy(buf, b.at-from, b.endLen()+lead))
				b.ended()
				b.at += lead
				return buf, literal
			}
		}
		buf, literal = b.end(buf)
	}
	b.at += lead
	buf = appendLength(buf, size)
	return append(buf, b.lead...), literal
}

// end appends the end of the last record and leaves a literal open behind it.
func (b *PatternBatch) end(buf []byte) (with []byte, literal int) {
	defer b.ended()
	p := &b.pattern
	if b.number < maxEnds && b.near(int(b.ends[b.number])) {
		return openLiteral(appendCopy(buf, b.at-int(b.ends[b.number]), b.endLen()))
	}
	if b.near(b.middle) && len(p.Middle) > 0 {
		buf, literal = openLiteral(appendCopy(buf, b.at-b.middle, len(p.Middle)))
	} else {
		buf, literal = openLiteral(buf)
		buf = append(buf, p.Middle...)
	}
	buf = strconv.AppendInt(buf, b.number, 10)
	return append(append(buf, p.Tail...), 0), literal
}

// endLen returns the length of the end of the last record.
func (b *PatternBatch) endLen() int {
	return len(b.pattern.Middle) + b.digits + len(b.pattern.Tail) + 1
}

// ended notes where the end of the last record stands.
func (b *PatternBatch) ended() {
	b.middle = b.at
	if b.number < maxEnds {
		b.ends[b.number] = int32(b.at)
	}
	b.at += b.endLen()
	b.digits = 0
}

// finish appends the end of the last record, if it is missing.
func (b *PatternBatch) finish() {
	if b.digits > 0 {
		b.buf = closeLiteral(b.end(b.buf))
	}
}

// near tells whether a copy reaches from the content's end to a place.
func (b *PatternBatch) near(place int) bool { return place > 0 && b.at-place <= maxCopyOffset }

// Size returns the size of the batch in bytes as it would be without compression. What is sent has at most RecordOverhead more for each
// record, and mostly a quarter.
func (b *PatternBatch) Size() int {
	size := batchHeader + b.at
	if b.digits > 0 {
		size += b.endLen()
	}
	return size
}

// Seal returns the batch, to be sent; it is valid until the next Begin, Append or Reset. There must be a record.
func (b *PatternBatch) Seal() *RecordBatch {
	b.finish()
	var preamble [snappyPreamble]byte
	n := binary.PutUvarint(preamble[:], uint64(b.at))
	buf := b.buf[snappyPreamble-n:]
	copy(buf[batchHeader:], preamble[:n])
	b.sealed = RecordBatch{buf: buf, count: b.count, baseTime: b.baseTime, maxTime: b.maxTime, compression: compress.Snappy}
	return &b.sealed
}

// Reset empties the batch and keeps its buffer.
func (b *PatternBatch) Reset() { b.buf, b.count, b.at, b.digits = b.buf[:0], 0, 0, 0 }

// lengthLen is varintLen for a number ≥ 0 that is mostly small.
func lengthLen(n int) int {
	switch {
	case n < 1<<6:
		return 1
	case n < 1<<13:
		return 2
	}
	return varintLen(int64(n))
}

// appendLength is binary.AppendVarint for a number ≥ 0 that is mostly small.
func appendLength(dst []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(dst, byte(n<<1))
	case n < 1<<13:
		return append(dst, byte(n<<1)|0x80, byte(n>>6))
	}
	return binary.AppendVarint(dst, int64(n))
}

// decimalLen returns the number of digits of n ≥ 0.
func decimalLen(n int64) int {
	digits := 1
	for ; n >= 10; n /= 10 {
		digits++
	}
	return digits
}
