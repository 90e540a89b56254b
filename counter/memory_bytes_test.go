package counter

import (
	"encoding/binary"
	"hash/crc32"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"wordcount/internal/kafkaio"
)

// kafkaio keeps the bytes of batches and fetches to itself, rightly. The broker in memory stores and serves those bytes, so
// that the decoder of production reads them; it gets at them here, and nowhere else. A renamed field panics.

// field returns a settable view of an unexported field.
func field(structure reflect.Value, name string) reflect.Value {
	key := fieldKey{structure.Type(), name}
	index, known := fieldIndexes.Load(key)
	if !known {
		f, ok := structure.Type().FieldByName(name)
		if !ok {
			panic(structure.Type().String() + " has no field " + name)
		}
		index = f.Index[0]
		fieldIndexes.Store(key, index)
	}
	f := structure.Field(index.(int))
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

type fieldKey struct {
	structure reflect.Type
	name      string
}

var fieldIndexes sync.Map // of fieldKey

// abortedRange is an aborted transaction in one partition.
type abortedRange struct{ producer, first, marker int64 }

// newFetched makes what a fetch from position found: batches, one after the other.
func newFetched(at topicPartition, position, start, lastStable, highWatermark int64, sentAt time.Time, batches []byte, aborted []abortedRange, err error) *kafkaio.Fetched {
	f := &kafkaio.Fetched{Topic: at.topic, Partition: at.partition,
		LogStart: start, LastStable: lastStable, HighWatermark: highWatermark, SentAt: sentAt}
	v := reflect.ValueOf(f).Elem()
	field(v, "position").SetInt(position)
	field(v, "rest").SetBytes(batches)
	if err != nil {
		field(v, "err").Set(reflect.ValueOf(err))
	}
	if len(aborted) > 0 {
		list := field(v, "aborted")
		list.Set(reflect.MakeSlice(list.Type(), len(aborted), len(aborted)))
		for i, a := range aborted {
			field(list.Index(i), "producerID").SetInt(a.producer)
			field(list.Index(i), "firstOffset").SetInt(a.first)
		}
	}
	return f
}

// batchHeader says what the broker writes into a batch's header.
type batchHeader struct {
	base, producer         int64
	appendTime             int64 // ms; −1 on a topic with CreateTime
	transactional, control bool
}

// encodeBatch returns a batch as the broker stores it.
func encodeBatch(b *kafkaio.RecordBatch, h batchHeader) []byte {
	v := reflect.ValueOf(b).Elem()
	data := append([]byte(nil), field(v, "buf").Bytes()...)
	baseTime, maxTime := field(v, "baseTime").Int(), field(v, "maxTime").Int()
	attributes := uint16(field(v, "compression").Int())
	if h.appendTime >= 0 {
		attributes |= 1 << 3
		maxTime = h.appendTime
	}
	if h.transactional {
		attributes |= 1 << 4
	}
	if h.control {
		attributes |= 1 << 5
	}
	put := binary.BigEndian
	put.PutUint64(data[0:], uint64(h.base))
	put.PutUint32(data[8:], uint32(len(data)-12))
	put.PutUint32(data[12:], 0)
	data[16] = 2
	put.PutUint16(data[21:], attributes)
	put.PutUint32(data[23:], uint32(b.Len()-1))
	put.PutUint64(data[27:], uint64(baseTime))
	put.PutUint64(data[35:], uint64(maxTime))
	put.PutUint64(data[43:], uint64(h.producer))
	put.PutUint16(data[51:], 0)
	put.PutUint32(data[53:], 0)
	put.PutUint32(data[57:], uint32(b.Len()))
	put.PutUint32(data[17:], crc32.Checksum(data[21:], crcTable))
	return data
}

var crcTable = crc32.MakeTable(crc32.Castagnoli)
