package kafkaio

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/compress"
)

// Record is one committed record. Key and Value point into the fetch they came with, and their capacity reaches into what
// follows there: do not append to them. Those of a compressed batch are overwritten when Next goes on to another batch, so use
// or copy them before the next call of Next.
type Record struct {
	Offset int64
	Time   int64 // ms since the epoch: the broker's append time on a topic with LogAppendTime, else the producer's
	Key    []byte
	Value  []byte
}

// Fetched is what one fetch found in one partition, walked in place.
type Fetched struct {
	Topic         string
	Partition     int32
	LogStart      int64     // first offset that retention has left
	LastStable    int64     // first offset of an open transaction, else the high watermark
	HighWatermark int64     // first offset that is not replicated yet
	SentAt        time.Time // when the fetch was sent

	// Ended, unless nil, is called by Next in between the records for each transaction that ended there, committed or not, with the id of
	// its producer. What the producer wrote before is the transaction's, and what was passed over of it was aborted.
	Ended func(producerID int64)

	position int64 // of the next record; moved as batches are walked
	err      error

	rest    []byte // batches not walked yet
	aborted []abortedTransaction
	open    []int64 // producers in the middle of an aborted transaction

	producer int64  // of the current batch
	records  []byte // of it, not walked yet
	left     int32  // how many
	base     int64  // offset of the current batch
	next     int64  // offset after the current batch
	baseTime int64
	appended bool // baseTime is every record's time
	inflated []byte
}

type abortedTransaction struct {
	producerID  int64
	firstOffset int64
}

func byFirstOffset(a, b abortedTransaction) int { return cmp.Compare(a.firstOffset, b.firstOffset) }

// OffsetOutOfRangeError says that a position is not in the log: retention or DeleteRecords removed it (Offset <
// LogStart), or the topic was made anew.
type OffsetOutOfRangeError struct {
	Topic            string
	Partition        int32
	Offset           int64
	LogStart, LogEnd int64
}

func (e *OffsetOutOfRangeError) Error() string {
	return fmt.Sprintf("fetch %s/%d at offset %d: out of range, the log has %d to %d", e.Topic, e.Partition, e.Offset, e.LogStart, e.LogEnd)
}

// Position returns the offset of the next record to be read.
func (f *Fetched) Position() int64 { return f.position }

// ProducerID returns the producer of the record that Next returned last, −1 when it has no id.
func (f *Fetched) ProducerID() int64 { return f.producer }

// CaughtUp tells whether the fetch found nothing beyond the position, not even an open transaction. It holds for the
// time at which the fetch was sent, once Next has returned false.
func (f *Fetched) CaughtUp() bool {
	return f.err == nil && f.position == f.LastStable && f.LastStable == f.HighWatermark
}

// Err returns what ended the walk early: *OffsetOutOfRangeError, a corrupt batch, or nil.
func (f *Fetched) Err() error { return f.err }

// Next decodes the next committed record. Records of aborted transactions and control records are passed over.
func (f *Fetched) Next(rec *Record) bool {
	for {
		for f.left > 0 {
			f.left--
			if !f.record(rec) {
				f.fail("a record does not fit its batch")
				return false
			}
			if rec.Offset >= f.position {
				f.position = rec.Offset + 1
				return true
			}
		}
		if f.next > f.position {
			f.position = f.next
		}
		if !f.nextBatch() {
			return false
		}
	}
}

func (f *Fetched) fail(why string) {
	f.err = fmt.Errorf("fetch %s/%d at offset %d: corrupt record batch: %s", f.Topic, f.Partition, f.position, why)
	f.rest, f.left, f.next = nil, 0, 0
}

// record decodes one record from f.records.
func (f *Fetched) record(rec *Record) bool {
	return f.line(rec) || f.anyRecord(rec)
}

// line decodes a record as most are: without a key, its numbers varints of one or two bytes, which the processor's registers hold
// together. False, and nothing is done, when it is another one, or the log ends soon behind it.
func (f *Fetched) line(rec *Record) bool {
	const most = 2 + 1 + 8 // bytes: the length, the attributes, and what is looked at behind them
	b := f.records
	if len(b) < most {
		return false
	}
	size, n, bad := twoBytes(uint64(binary.LittleEndian.Uint16(b)))
	x := binary.LittleEndian.Uint64(b[n+1:])
	timeDelta, n1, bad1 := twoBytes(x)
	x >>= 8 * n1 & 63
	offsetDelta, n2, bad2 := twoBytes(x)
	x >>= 8 * n2 & 63
	key := x & 0xff
	length, n3, bad3 := twoBytes(x >> 8)
	at, end := int(n+1+n1+n2+1+n3), int(n)+int(size)
	offset := f.base + offsetDelta
	if bad|bad1|bad2|bad3 != 0 || key != noKey || length < 0 || end > len(b) || int(length) > end-at || offset >= f.next {
		return false
	}
	f.records = b[end:]
	rec.Key, rec.Value = nil, b[at:at+int(length)]
	rec.Offset, rec.Time = offset, f.baseTime
	if !f.appended {
		rec.Time += timeDelta
	}
	return true
}

const noKey = 1 // a varint of −1

func (f *Fetched) anyRecord(rec *Record) bool {
	b := f.records
	size, n := varint(b)
	if n <= 0 || size < 0 || size > int64(len(b)-n) {
		return false
	}
	f.records = b[n+int(size):]
	b = b[n : n+int(size)]
	if len(b) < 1 {
		return false
	}
	b = b[1:] // attributes
	timeDelta, n := varint(b)
	if n <= 0 {
		return false
	}
	b = b[n:]
	offsetDelta, n := varint(b)
	if n <= 0 {
		return false
	}
	b = b[n:]
	var ok bool
	if rec.Key, b, ok = nullable(b); !ok {
		return false
	}
	if rec.Value, _, ok = nullable(b); !ok { // headers are not looked at
		return false
	}
	rec.Offset = f.base + offsetDelta
	rec.Time = f.baseTime
	if !f.appended {
		rec.Time += timeDelta
	}
	return rec.Offset < f.next
}

// nextBatch opens the next batch with committed data. False: none is left, or f.err is set.
func (f *Fetched) nextBatch() bool {
	for len(f.rest) >= batchHeader {
		h := f.rest
		size := batchSize(h)
		if size < batchHeader {
			f.fail("impossible length")
			return false
		}
		if size > len(h) {
			break // cut by the fetch's size limit
		}
		h, f.rest = h[:size], h[size:]
		if h[offMagic] != 2 {
			f.fail(fmt.Sprintf("message format %d: only v2 (Kafka 0.11 and later) is read", h[offMagic]))
			return false
		}
		if crc32.Checksum(h[offAttributes:], castagnoli) != binary.BigEndian.Uint32(h[offCRC:]) {
			f.fail("checksum mismatch")
			return false
		}
		attributes := binary.BigEndian.Uint16(h[offAttributes:])
		f.base = int64(binary.BigEndian.Uint64(h[offBaseOffset:]))
		f.next = afterBatch(h)
		producerID := int64(binary.BigEndian.Uint64(h[offProducerID:]))

		for len(f.aborted) > 0 && f.aborted[0].firstOffset <= f.base {
			f.open = append(f.open, f.aborted[0].producerID)
			f.aborted = f.aborted[1:]
		}
		if attributes&attrControl != 0 {
			f.open = slices.DeleteFunc(f.open, func(id int64) bool { return id == producerID })
			if f.next > f.position && f.Ended != nil {
				f.Ended(producerID)
			}
			f.position = max(f.position, f.next)
			continue
		}
		if f.next <= f.position || attributes&attrTransactional != 0 && slices.Contains(f.open, producerID) {
			f.position = max(f.position, f.next)
			continue
		}
		f.producer = producerID
		f.left = int32(binary.BigEndian.Uint32(h[offCount:]))
		f.records = h[batchHeader:]
		f.baseTime = int64(binary.BigEndian.Uint64(h[offBaseTime:]))
		if f.appended = attributes&attrLogAppendTime != 0; f.appended {
			f.baseTime = int64(binary.BigEndian.Uint64(h[offMaxTime:]))
		}
		if c := compress.Compression(attributes & attrCompression); c != compress.None {
			if err := f.inflate(c); err != nil {
				f.fail(err.Error())
				return false
			}
		}
		return true
	}
	return false
}

// unwalkedEnd returns the offset behind the batches that are not walked yet.
func (f *Fetched) unwalkedEnd() int64 {
	end := f.position
	for b := f.rest; len(b) >= batchHeader; {
		size := batchSize(b)
		if size < batchHeader || size > len(b) {
			break
		}
		end = max(end, afterBatch(b))
		b = b[size:]
	}
	return end
}

// batchSize returns how many bytes the batch that begins with b says that it has.
func batchSize(b []byte) int {
	return int(int32(binary.BigEndian.Uint32(b[offLength:]))) + offLeaderEpoch
}

// afterBatch returns the offset behind the batch that begins with b.
func afterBatch(b []byte) int64 {
	return int64(binary.BigEndian.Uint64(b[offBaseOffset:])) + int64(int32(binary.BigEndian.Uint32(b[offLastOffsetDelta:]))) + 1
}

// varint decodes a zigzag varint and returns how many bytes it took, ≤ 0 when there is none.
func varint(b []byte) (int64, int) {
	if len(b) >= 2 {
		if v, n, bad := twoBytes(uint64(binary.LittleEndian.Uint16(b))); bad == 0 {
			return v, int(n)
		}
	}
	return binary.Varint(b)
}

// twoBytes decodes a zigzag varint of one or two bytes, the lowest of x, and returns how many; bad is not zero when it has more. Both
// take the same way through the processor: which of them a line's length needs is anybody's guess.
func twoBytes(x uint64) (v int64, n uint, bad uint64) {
	two := x >> 7 & 1
	u := x&0x7f | x>>1&0x3f80&-two
	return int64(u>>1) ^ -int64(u&1), 1 + uint(two), x & (x >> 8) & 0x80
}

// nullable cuts a field with its length from b; null is nil, an empty one is not.
func nullable(b []byte) (field, rest []byte, ok bool) {
	size, n := varint(b)
	switch {
	case n <= 0 || size > int64(len(b)-n):
		return nil, nil, false
	case size < 0:
		return nil, b[n:], true
	}
	end := n + int(size)
	return b[n:end], b[end:], true
}
