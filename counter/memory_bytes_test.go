package counter

import (
	"encoding/binary"
	"hash/crc32"
	"reflect"
	"time"
	"unsafe"

	"wordcount/internal/kafkaio"
)

// kafkaio keeps the bytes of batches and fetches to itself, rightly. The broker in memory stores and serves those bytes, so
// that the decoder of production reads them; it gets at them here, and nowhere else. A renamed field panics.

var (
	fetchedType     = reflect.TypeFor[kafkaio.Fetched]()
	fetchedPosition = number(fetchedType, "position")
	fetchedRest     = number(fetchedType, "rest")
	fetchedErr      = number(fetchedType, "err")
	fetchedAborted  = number(fetchedType, "aborted")
	abortedType     = fetchedType.Field(fetchedAborted).Type.Elem()
	abortedProducer = number(abortedType, "producerID")
	abortedFirst    = number(abortedType, "firstOffset")

	batchType        = reflect.TypeFor[kafkaio.RecordBatch]()
	batchBuf         = number(batchType, "buf")
	batchBaseTime    = number(batchType, "baseTime")
	batchMaxTime     = number(batchType, "maxTime")
	batchCompression = number(batchType, "compression")
)

func number(structure reflect.Type, field string) int {
	f, ok := structure.FieldByName(field)
	if !ok {
		panic(structure.String() + " has no field " + field)
	}
	return f.Index[0]
}

// field returns a settable view of an unexported field.
func field(structure reflect.Value, number int) reflect.Value {
	f := structure.Field(number)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// abortedRange is an aborted transaction in one partition.
type abortedRange struct{ producer, first, marker int64 }

// newFetched makes what a fetch from position found: batches, one after the other.
func newFetched(at topicPartition, position, start, lastStable, highWatermark int64, sentAt time.Time, batches []byte, aborted []abortedRange, err error) *kafkaio.Fetched {
	f := &kafkaio.Fetched{Topic: at.topic, Partition: at.partition,
		LogStart: start, LastStable: lastStable, HighWatermark: highWatermark, SentAt: sentAt}
	v := reflect.ValueOf(f).Elem()
	field(v, fetchedPosition).SetInt(position)
	field(v, fetchedRest).SetBytes(batches)
	if err != nil {
		field(v, fetchedErr).Set(reflect.ValueOf(err))
	}
	if len(aborted) > 0 {
		list := field(v, fetchedAborted)
		list.Set(reflect.MakeSlice(list.Type(), len(aborted), len(aborted)))
		for i, a := range aborted {
			field(list.Index(i), abortedProducer).SetInt(a.producer)
			field(list.Index(i), abortedFirst).SetInt(a.first)
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
	data := append([]byte(nil), field(v, batchBuf).Bytes()...)
	baseTime, maxTime := field(v, batchBaseTime).Int(), field(v, batchMaxTime).Int()
	attributes := uint16(field(v, batchCompression).Int())
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
