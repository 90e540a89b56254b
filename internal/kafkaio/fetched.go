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

	position int64 // of the next record; moved as batches are walked
	err      error

	rest    []byte // batches not walked yet
	aborted []abortedTransaction
	open    []int64 // producers in the middle of an aborted transaction

	records  []byte // of the current batch, not walked yet
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
		size := int(int32(binary.BigEndian.Uint32(h[offLength:]))) + offLeaderEpoch
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
		f.next = f.base + int64(int32(binary.BigEndian.Uint32(h[offLastOffsetDelta:]))) + 1
		producerID := int64(binary.BigEndian.Uint64(h[offProducerID:]))

		for len(f.aborted) > 0 && f.aborted[0].firstOffset <= f.base {
			f.open = append(f.open, f.aborted[0].producerID)
			f.aborted = f.aborted[1:]
		}
		if attributes&attrControl != 0 {
			f.open = slices.DeleteFunc(f.open, func(id int64) bool { return id == producerID })
			f.position = max(f.position, f.next)
			continue
		}
		if f.next <= f.position || attributes&attrTransactional != 0 && slices.Contains(f.open, producerID) {
			f.position = max(f.position, f.next)
			continue
		}
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

// varint decodes a zigzag varint and returns how many bytes it took, ≤ 0 when there is none. Those of one and two bytes take the same
// way through the processor: which of them a line's length needs is anybody's guess.
func varint(b []byte) (int64, int) {
	if len(b) >= 2 && b[0]&b[1] < 0x80 {
		two := uint64(b[0] >> 7)
		u := uint64(b[0]&0x7f) | uint64(b[1])<<7&-two
		return int64(u>>1) ^ -int64(u&1), 1 + int(two)
	}
	return binary.Varint(b)
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
