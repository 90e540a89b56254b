package kafkaio

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"github.com/segmentio/kafka-go/compress"
)

// The record batch, message format v2 (KIP-98; org.apache.kafka.common.record.DefaultRecordBatch).
const (
	offBaseOffset      = 0
	offLength          = 8 // of what follows the length
	offLeaderEpoch     = 12
	offMagic           = 16
	offCRC             = 17 // CRC-32C of what follows the CRC
	offAttributes      = 21
	offLastOffsetDelta = 23
	offBaseTime        = 27
	offMaxTime         = 35
	offProducerID      = 43
	offProducerEpoch   = 51
	offBaseSequence    = 53
	offCount           = 57
	batchHeader        = 61

	attrCompression   = 0x07
	attrLogAppendTime = 1 << 3
	attrTransactional = 1 << 4
	attrControl       = 1 << 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// RecordBatch is a record batch under construction, encoded straight into its buffer. The zero value is ready.
type RecordBatch struct {
	buf      []byte
	count    int32
	baseTime int64
	maxTime  int64

	compression compress.Compression // of what buf has behind the header
}

// Append adds a record with its time in ms since the epoch (on a topic with LogAppendTime the broker's time takes its
// place). A nil key or value is null.
func (b *RecordBatch) Append(timeMs int64, key, value []byte) {
	if b.count == 0 {
		if cap(b.buf) == 0 {
			b.buf = make([]byte, 0, 512)
		}
		b.buf = b.buf[:batchHeader]
		b.baseTime, b.maxTime = timeMs, timeMs
	}
	b.maxTime = max(b.maxTime, timeMs)
	delta := timeMs - b.baseTime
	size := 1 + varintLen(delta) + varintLen(int64(b.count)) + nullableLen(key) + nullableLen(value) + 1
	buf := binary.AppendVarint(b.buf, int64(size))
	buf = append(buf, 0) // record attributes: none are defined
	buf = binary.AppendVarint(buf, delta)
	buf = binary.AppendVarint(buf, int64(b.count))
	buf = appendNullable(buf, key)
	buf = appendNullable(buf, value)
	b.buf = append(buf, 0) // no headers
	b.count++
}

// RecordOverhead is the most that a record takes in a batch beyond its key and value, in bytes.
const RecordOverhead = 5 + 1 + 10 + 5 + 5 + 5 + 1

// BatchOverhead is what a batch takes beyond its records, in bytes.
const BatchOverhead = batchHeader

// Len returns the number of records.
func (b *RecordBatch) Len() int { return int(b.count) }

// Size returns the size of the batch as it will be sent, in bytes; 0 when it is empty.
func (b *RecordBatch) Size() int { return len(b.buf) }

// Reset empties the batch and keeps its buffer.
func (b *RecordBatch) Reset() { *b = RecordBatch{buf: b.buf[:0]} }

// encode completes the header and returns the batch's bytes, valid until the next Append.
func (b *RecordBatch) encode(producerID int64, epoch int16, sequence int32, transactional bool) []byte {
	h := b.buf
	binary.BigEndian.PutUint64(h[offBaseOffset:], 0)
	binary.BigEndian.PutUint32(h[offLength:], uint32(len(h)-offLeaderEpoch))
	binary.BigEndian.PutUint32(h[offLeaderEpoch:], ^uint32(0))
	h[offMagic] = 2
	attributes := uint16(b.compression)
	if transactional {
		attributes |= attrTransactional
	}
	binary.BigEndian.PutUint16(h[offAttributes:], attributes)
	binary.BigEndian.PutUint32(h[offLastOffsetDelta:], uint32(b.count-1))
	binary.BigEndian.PutUint64(h[offBaseTime:], uint64(b.baseTime))
	binary.BigEndian.PutUint64(h[offMaxTime:], uint64(b.maxTime))
	binary.BigEndian.PutUint64(h[offProducerID:], uint64(producerID))
	binary.BigEndian.PutUint16(h[offProducerEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(h[offBaseSequence:], uint32(sequence))
	binary.BigEndian.PutUint32(h[offCount:], uint32(b.count))
	binary.BigEndian.PutUint32(h[offCRC:], crc32.Checksum(h[offAttributes:], castagnoli))
	return h
}

// nextSequence is the sequence of the record that follows count records from sequence (DefaultRecordBatch.incrementSequence).
func nextSequence(sequence, count int32) int32 {
	return int32((uint32(sequence) + uint32(count)) & 0x7fffffff)
}

func varintLen(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}

func nullableLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // zigzag of −1
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}
