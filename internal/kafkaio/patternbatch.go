package kafkaio

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go/compress"

	"wordcount/internal/short"
)

// Pattern is what the values of records have in common: a value is Head, a text, Middle, a number in decimal, Tail. Middle and Tail have 10
// bytes or more together.
type Pattern struct {
	Head         []byte
	Middle, Tail string
}

// PatternBatch is a record batch under construction whose records follow a pattern, compressed while it is written: what a record
// has in common with those before it is known, so nothing of that is written out to be searched for. The compression is LZ4, which
// costs Kafka least to look through: half of what snappy does. The zero value is ready; Begin comes first.
//
// The content, which the blocks expand to, has for each record its lead (size, attributes, time), its offset, key and value, and that there
// are no headers. A block is some records whole, and has for each
//
//   - a match of the end of the record before (Middle, number, Tail, no headers) together with the lead, from where this lead followed that
//     number; else a match of as much of it as is found again, and the rest as it is
//   - the offset, the key, and the length of the value as they are
//   - a match of the Head of the record before
//   - a match of the key where the text is the same, else the text as it is
type PatternBatch struct {
	buf      []byte // the header's room, then the frame
	token    int    // in buf: of the sequence that is open
	count    int32
	baseTime int64
	maxTime  int64
	pattern  Pattern
	common   int    // bytes of a value that are the pattern's
	lead     []byte // of each record, behind its size

	// Places are counted in the content.
	at     int   // length of the content, without the end of the last record
	number int64 // in that end
	digits int   // of number; 0: no end is missing

	block   int // where the block's content begins
	written int // in buf: where the block begins, behind its size
	largest int // block so far

	head      int                          // of the last record
	before    byte                         // what stands in front of it, the end of the value's length
	middle    int                          // of a record whose end stands there
	ends      [maxEnds]int32               // an end with a number
	followers [maxDigit][maxFollower]int32 // an end with a number of one digit that is followed by a record of a size

	sealed RecordBatch
}

const (
	maxEnds     = 100 // numbers below it are found again
	maxDigit    = 10
	maxFollower = 256 // sizes below it are found again
)

// Begin says what the records have in common that are appended from now on: the time in ms since the epoch (on a topic with
// LogAppendTime the broker's takes its place), and the pattern, which must not change meanwhile. It panics when Middle and Tail are too
// short.
func (b *PatternBatch) Begin(timeMs int64, pattern Pattern) {
	if len(pattern.Middle)+len(pattern.Tail)+2 < lastLiterals { // with a digit, and the number of headers
		panic("kafkaio: Middle and Tail are too short")
	}
	if b.count == 0 {
		b.buf = slices.Grow(b.buf[:0], batchHeader+frameHeader)[:batchHeader+frameHeader]
		b.baseTime, b.maxTime = timeMs, timeMs
		b.beginBlock()
	}
	b.finish()
	b.maxTime = max(b.maxTime, timeMs)
	b.lead = binary.AppendVarint(append(b.lead[:0], 0), timeMs-b.baseTime)
	b.pattern = pattern
	b.common = len(pattern.Head) + len(pattern.Middle) + len(pattern.Tail)
	b.head, b.middle = 0, 0
	clear(b.ends[:])
	clear(b.followers[:])
}

func (b *PatternBatch) beginBlock() {
	b.buf = append(b.buf, make([]byte, blockHeader)...)
	b.block, b.written = b.at, len(b.buf)
	b.buf, b.token = openSequence(b.buf)
}

// finish appends the end of the last record, if it is missing, as it is: a block may end behind it, with lastLiterals.
func (b *PatternBatch) finish() {
	if b.digits > 0 {
		b.buf = b.appendEnd(append(b.buf, b.pattern.Middle...))
	}
}

func (b *PatternBatch) endBlock() {
	b.finish()
	b.buf = closeLiterals(b.buf, b.token)
	size := len(b.buf) - b.written
	binary.LittleEndian.PutUint32(b.buf[b.written-blockHeader:], uint32(size))
	b.largest = max(b.largest, size, b.at-b.block)
}

// Append adds a record of 4 MiB - 64 KiB at most. A nil text is the key; number is 0 or more. The batch must not
// exceed 2 GiB without compression.
func (b *PatternBatch) Append(key, text []byte, number int64) {
	if text == nil && b.appendAlike(key, number) {
		return
	}
	p := &b.pattern
	same := text == nil
	if same {
		text = key
	}
	digits := decimalLen(number)
	value := b.common + len(text) + digits
	offsetLen, keyLen, valueLen := lengthLen(int(b.count)), lengthLen(len(key)), lengthLen(value)
	size := len(b.lead) + offsetLen + keyLen + len(key) + valueLen + value + 1
	if b.at > b.block && b.at-b.block+b.endLen()+lengthLen(size)+size > smallBlock {
		b.endBlock()
		b.beginBlock()
	}
	buf, token := b.join(slices.Grow(b.buf, size+size/lengthPerByte+RecordOverhead+maxSequences*8), size)
	buf = appendLength(buf, int(b.count))
	buf = appendLength(buf, len(key))
	keyAt := b.at + offsetLen + keyLen
	buf = short.Append(buf, key)
	buf = appendLength(buf, value)
	b.at = keyAt + len(key) + valueLen

	if last := buf[len(buf)-1]; last == b.before && len(p.Head) >= minMatch && b.near(b.head) {
		buf, token = closeSequence(buf[:len(buf)-1], token, b.at-b.head, 1+len(p.Head))
	} else {
		buf = append(buf, p.Head...)
		b.before = last
	}
	b.head = b.at
	b.at += len(p.Head)

	if same && len(text) >= minMatch && b.near(keyAt) {
		buf, token = closeSequence(buf, token, b.at-keyAt, len(text))
	} else {
		buf = short.Append(buf, text)
	}
	b.at += len(text)
	b.buf, b.token = buf, token
	b.number, b.digits = number, digits
	b.count++
}

const maxSequences = 5 // of a record

// appendAlike is Append for a short record that is like the one before but for its key and number: the end of the record before, the head, and
// the text, if it is long enough, are matches. It tells whether the record is one, and has done nothing when it is not.
//
// Its size is below maxFollower, so each match has one byte of length at most. b.before is never 0, so a value that has the same in front of its
// head, value>>6, has a length of two bytes, and so has the record. A block that has room for the record has no places that are too far away. Where
// an end is noted in the block, the record before is in it, too, and its end is missing.
func (b *PatternBatch) appendAlike(key []byte, number int64) bool {
	n := len(key)
	waiting := len(b.buf) - b.token - 1 // literals
	if n > maxAlike || cap(key) < maxAlike || len(b.pattern.Head) < minMatch || waiting > maxWaiting || cap(b.buf)-b.token < alikeRoom {
		return false
	}
	digits := decimalLen(number)
	value := b.common + n + digits
	offsetLen := lengthLen(int(b.count))
	lead := 2 + len(b.lead) // with the size
	size := len(b.lead) + offsetLen + 1 + n + 2 + value + 1
	end := b.endLen()
	head := b.at + end + lead + offsetLen + 1 + n + 2
	if size >= maxFollower || byte(value>>6) != b.before || offsetLen > 3 || head+value+1-b.block > smallBlock {
		return false
	}

	// The end of the record before is found again with this lead, alone, or Middle is; the rest are literals.
	var from, same, literals int
	if b.number < maxDigit && b.near(int(b.followers[b.number][size])) {
		from, same = int(b.followers[b.number][size]), end+lead
	} else {
		switch {
		case b.number < maxEnds && b.near(int(b.ends[b.number])):
			from, same = int(b.ends[b.number]), end
		case b.near(b.middle) && len(b.pattern.Middle) >= minMatch:
			from, same = b.middle, len(b.pattern.Middle)
		default:
			return false
		}
		if literals = end + lead - same; literals > maxAlike {
			return false
		}
		if b.number < maxEnds {
			b.ends[b.number] = int32(b.at)
		}
		if b.number < maxDigit {
			b.followers[b.number][size] = int32(b.at)
		}
	}
	w := (*[alikeRoom]byte)(b.buf[b.token : b.token+alikeRoom])
	w[0] = byte(waiting << 4)
	i := putMatch(w, 0, 1+waiting, b.at-from, same)

	token, behind := i, literals
	literals += offsetLen + 1 + n + 1 // a byte of the value's length is found again in front of the head
	w[i], w[i+1] = byte(min(literals, longLiterals)<<4), byte(literals-longLiterals)
	i++
	if literals >= longLiterals {
		i++
	}
	if behind > 0 {
		if behind > lead {
			i = b.putEnd(w, i)
		}
		w[i], w[i+1] = byte(size<<1)|0x80, byte(size>>6)
		i += 2
		for _, c := range b.lead {
			w[i] = c
			i++
		}
	}
	binary.LittleEndian.PutUint32(w[i:], varint3(uint32(b.count)))
	i += offsetLen
	w[i] = byte(n << 1)
	i++
	*(*[maxAlike]byte)(w[i : i+maxAlike]) = *(*[maxAlike]byte)(key[:maxAlike])
	i += n
	w[i] = byte(value<<1) | 0x80
	i = putMatch(w, token, i+1, head-b.head, 1+len(b.pattern.Head))

	w[i] = 0
	if n < minMatch {
		b.token += i
		*(*[minMatch]byte)(w[i+1 : i+1+minMatch]) = *(*[minMatch]byte)(key[:minMatch])
		b.buf = b.buf[:b.token+1+n]
	} else {
		i = putMatch(w, i, i+1, 2+len(b.pattern.Head)+n, n)
		w[i] = 0
		b.token += i
		b.buf = b.buf[:b.token+1]
	}
	b.head = head
	b.at = head + len(b.pattern.Head) + n
	b.number, b.digits = number, digits
	b.count++
	return true
}

// putEnd writes the end of the last record but for Middle, at i.
func (b *PatternBatch) putEnd(w *[alikeRoom]byte, i int) (next int) {
	next = i + b.digits
	for at, left := next, b.number; at > i; left /= 10 {
		at--
		w[at] = '0' + byte(left%10)
	}
	for _, c := range []byte(b.pattern.Tail) {
		w[next] = c
		next++
	}
	w[next] = 0 // headers
	return next + 1
}

const (
	maxAlike   = 16           // bytes of a key, and of the literals in front of an offset
	maxWaiting = minMatch - 1 // literals: those that a text leaves which is too short for a match
	alikeRoom  = 64           // bytes, more than it writes: four tokens, three matches, a length of literals, and these
)

// varint3 is the varint of n < 1<<20, in its first one, two or three bytes.
func varint3(n uint32) uint32 {
	switch {
	case n < 1<<6:
		return n << 1
	case n < 1<<13:
		return n<<1&0x7f | 0x80 | n>>6<<8
	}
	return n<<1&0x7f | 0x80 | (n>>6&0x7f|0x80)<<8 | n>>13<<16
}

// putMatch writes a match of n < minMatch + longMatch + lengthPerByte bytes, at i, for the sequence of a token.
func putMatch(w *[alikeRoom]byte, token, i, offset, n int) (next int) {
	binary.LittleEndian.PutUint16(w[i:], uint16(offset))
	n -= minMatch
	if n < longMatch {
		w[token] |= byte(n)
		return i + 2
	}
	w[token] |= longMatch
	w[i+2] = byte(n - longMatch)
	return i + 3
}

// join appends the end of the last record and the lead of one of a size.
func (b *PatternBatch) join(buf []byte, size int) (joined []byte, token int) {
	token = b.token
	lead := lengthLen(size) + len(b.lead)
	if b.digits > 0 {
		if b.number < maxDigit && size < maxFollower {
			last := &b.followers[b.number][size]
			from := int(*last)
			*last = int32(b.at)
			if b.near(from) {
				buf, token = closeSequence(buf, token, b.at-from, b.endLen()+lead)
				b.ended()
				b.at += lead
				return buf, token
			}
		}
		buf, token = b.end(buf, token)
	}
	b.at += lead
	buf = appendLength(buf, size)
	return append(buf, b.lead...), token
}

// end appends the end of the last record.
func (b *PatternBatch) end(buf []byte, token int) (with []byte, next int) {
	if b.number < maxEnds && b.near(int(b.ends[b.number])) {
		buf, token = closeSequence(buf, token, b.at-int(b.ends[b.number]), b.endLen())
		b.ended()
		return buf, token
	}
	if middle := b.pattern.Middle; b.near(b.middle) && len(middle) >= minMatch {
		buf, token = closeSequence(buf, token, b.at-b.middle, len(middle))
	} else {
		buf = append(buf, middle...)
	}
	return b.appendEnd(buf), token
}

// appendEnd appends the end of the last record but for Middle.
func (b *PatternBatch) appendEnd(buf []byte) []byte {
	buf = strconv.AppendInt(buf, b.number, 10)
	b.ended()
	return append(append(buf, b.pattern.Tail...), 0)
}

// endLen returns the length of the end of the last record, 0 if it is there.
func (b *PatternBatch) endLen() int {
	if b.digits == 0 {
		return 0
	}
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

// near tells whether a match reaches from the content's end to a place, which is not in another block.
func (b *PatternBatch) near(place int) bool { return place > b.block && b.at-place <= maxOffset }

// Size returns the size of the batch in bytes as it would be without compression.
func (b *PatternBatch) Size() int { return batchHeader + b.at + b.endLen() }

// MostSent returns the most bytes that are sent of the batch with a further record that adds size bytes to its Size, whatever is in it: what
// LZ4 cannot compress it makes longer, each 200 bytes by one.
func (b *PatternBatch) MostSent(size int) int {
	rest := len(b.buf) - b.token + b.endLen() + size // all that may still be literals
	return b.token + rest + rest/growsEvery + growsBy
}

const (
	growsEvery = 200 // bytes, by one
	growsBy    = 64  // whatever the size
)

// Seal returns the batch, to be sent; it is valid until Reset, which comes next. There must be a record.
func (b *PatternBatch) Seal() *RecordBatch {
	b.endBlock()
	b.buf = append(b.buf, make([]byte, endMark)...)
	putFrameHeader(b.buf[batchHeader:], b.largest)
	b.sealed = RecordBatch{buf: b.buf, count: b.count, baseTime: b.baseTime, maxTime: b.maxTime, compression: compress.Lz4}
	return &b.sealed
}

// Reset empties the batch and keeps its buffer.
func (b *PatternBatch) Reset() { b.buf, b.count, b.at, b.digits, b.largest = b.buf[:0], 0, 0, 0, 0 }

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
	for limit := int64(10); n >= limit && digits < 19; limit *= 10 { // 10^19 is more than an int64 holds
		digits++
	}
	return digits
}
