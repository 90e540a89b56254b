package kafkaio

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
)

// FuzzFetched walks arbitrary bytes, as they are and with every batch's format and checksum made right: Next never
// panics, and offsets only rise.
func FuzzFetched(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(join(logged{values: []string{"a", "b"}}, logged{base: 2, values: []string{"c"}, producer: 7, attributes: attrTransactional}, marker(3, 7, abortMarker)), int64(1))
	for _, c := range []compress.Compression{compress.Gzip, compress.Snappy, compress.Lz4, compress.Zstd} {
		var packed bytes.Buffer
		w := c.Codec().NewWriter(&packed)
		b := logged{values: []string{"hello", "hello"}}.bytes()
		w.Write(b[batchHeader:])
		w.Close()
		f.Add(compressed(c, b, packed.Bytes()), int64(0))
	}
	f.Fuzz(func(t *testing.T, log []byte, position int64) {
		for _, mended := range [][]byte{log, mend(bytes.Clone(log))} {
			fetched := &Fetched{position: position, rest: mended, aborted: []abortedTransaction{{7, position}, {8, position + 3}}}
			last, records := position-1, 0
			var r Record
			for fetched.Next(&r) {
				if r.Offset <= last {
					t.Fatalf("offset %d after %d", r.Offset, last)
				}
				last = r.Offset
				if records++; records > 1<<20 {
					t.Skip("inflates to more than is worth walking")
				}
			}
			if fetched.Next(&r) {
				t.Fatal("Next after the end")
			}
			if fetched.Position() < position {
				t.Fatalf("position %d, from %d", fetched.Position(), position)
			}
		}
	})
}

// FuzzRecord decodes arbitrary bytes as a record: what line decodes, anyRecord does in the same way. Nothing that a line of a file is gets
// past line.
func FuzzRecord(f *testing.F) {
	for _, length := range []int{0, 3, 63, 64, 300, 8000} {
		for _, delta := range []int64{0, 64, -1, -65, 8191} {
			var b RecordBatch
			b.Append(0, nil, nil)
			b.Append(delta, nil, make([]byte, length))
			record := b.encode(0, 0, 0, false)[batchHeader+7:]
			if fetched := (Fetched{records: append(record, make([]byte, 8)...), next: 100}); !fetched.line(new(Record)) {
				f.Errorf("a line of %d bytes is not decoded by line", length)
			}
			f.Add(record, delta, true)
			f.Add(record[:len(record)-1], delta, false)
		}
	}
	f.Add([]byte{18, 0, 0, 0, noKey, 12, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0}, int64(100), false) // a value of 6 bytes in a record with room for 4
	f.Fuzz(func(t *testing.T, records []byte, next int64, appended bool) {
		fast := Fetched{records: records, base: 5, next: next, baseTime: 1000, appended: appended}
		simple := fast
		var got, want Record
		if !fast.line(&got) {
			if len(fast.records) != len(records) {
				t.Error("line has taken something")
			}
			return
		}
		if !simple.anyRecord(&want) {
			t.Fatalf("%+v is no record", got)
		}
		if !reflect.DeepEqual(got, want) || len(fast.records) != len(simple.records) {
			t.Errorf("%+v, %d bytes left; want %+v, %d", got, len(fast.records), want, len(simple.records))
		}
	})
}

// mend lets what the fuzzer made get past the checks of format and checksum.
func mend(log []byte) []byte {
	for rest := log; len(rest) >= batchHeader; {
		size := batchSize(rest)
		if size < batchHeader || size > len(rest) {
			size = len(rest)
			binary.BigEndian.PutUint32(rest[offLength:], uint32(size-offLeaderEpoch))
		}
		rest[offMagic] = 2
		seal(rest[:size])
		rest = rest[size:]
	}
	return log
}

// FuzzRecordBatch reads back, with Next and with kafka-go's decoder, what Append and encode made of arbitrary records.
func FuzzRecordBatch(f *testing.F) {
	f.Add(int64(1_700_000_000_000), int64(-3), []byte("spark"), []byte("a line"), byte(0))
	f.Add(int64(-1), int64(1)<<62, []byte{}, []byte{}, byte(3))
	f.Fuzz(func(t *testing.T, first, delta int64, key, value []byte, nulls byte) {
		if key == nil {
			key = []byte{}
		}
		if value == nil {
			value = []byte{}
		}
		records := []rec{{first, key, value}, {first + delta, value, key}, {first - delta, key, value}}
		for i := range records {
			if nulls>>(2*i)&1 != 0 {
				records[i].key = nil
			}
			if nulls>>(2*i)&2 != 0 {
				records[i].value = nil
			}
		}
		encoded := batchOf(records).encode(5, 6, 7, true)

		fetched := &Fetched{rest: encoded}
		var r Record
		for i, want := range records {
			if !fetched.Next(&r) || r.Offset != int64(i) || !same(rec{r.Time, r.Key, r.Value}, want) {
				t.Fatalf("record %d: got %+v, %v, want %v", i, r, fetched.Err(), want)
			}
		}
		if fetched.Next(&r) || fetched.Err() != nil || fetched.Position() != int64(len(records)) {
			t.Fatalf("after the last: %+v, %v, position %d", r, fetched.Err(), fetched.Position())
		}

		set := protocol.RecordSet{}
		if _, err := set.ReadFrom(bytes.NewBuffer(append(appendInt32(nil, int32(len(encoded))), encoded...))); err != nil {
			t.Fatal(err)
		}
		for i, want := range records {
			got, err := set.Records.ReadRecord()
			if err != nil {
				t.Fatal(err)
			}
			if k, v := content(t, got.Key), content(t, got.Value); !same(rec{want.time, k, v}, want) {
				t.Fatalf("record %d for kafka-go: %q %q, want %v", i, k, v, want)
			}
		}
	})
}

// FuzzCursor reads arbitrary responses: short ones give zeros, never a panic or an endless loop.
func FuzzCursor(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 2, 1, 2})
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := cursor{b: b}
		read := 0
		for range c.count() {
			read += 2 + len(c.string()) + 4 + len(c.bytes()) + 8
			c.int64()
		}
		if !c.short && read > len(b) {
			t.Fatalf("read %d of %d bytes", read, len(b))
		}
		if c.short && (c.int16() != 0 || c.int32() != 0 || c.int64() != 0 || c.string() != "" || c.bytes() != nil) {
			t.Fatal("a short cursor reads something")
		}
	})
}
