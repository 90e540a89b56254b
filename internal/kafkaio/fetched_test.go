package kafkaio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
)

// logged is a batch as it lies in a log: each test value is one record at its offset.
type logged struct {
	base       int64
	values     []string
	producer   int64
	attributes uint16
	last       int64 // offset of the last record that the batch once had; 0: the last of values
}

const (
	abortMarker  = "\x00\x00\x00\x00"
	commitMarker = "\x00\x00\x00\x01"
)

func (l logged) bytes() []byte {
	var b RecordBatch
	for _, v := range l.values {
		b.Append(1000, nil, []byte(v))
	}
	h := bytes.Clone(b.encode(l.producer, 0, 0, false))
	binary.BigEndian.PutUint64(h[offBaseOffset:], uint64(l.base))
	binary.BigEndian.PutUint16(h[offAttributes:], l.attributes)
	if l.last > 0 {
		binary.BigEndian.PutUint32(h[offLastOffsetDelta:], uint32(l.last-l.base))
	}
	return seal(h)
}

// marker is a control batch.
func marker(base, producer int64, key string) logged {
	return logged{base: base, values: []string{key}, producer: producer, attributes: attrTransactional | attrControl}
}

// seal makes the checksum right.
func seal(h []byte) []byte {
	binary.BigEndian.PutUint32(h[offCRC:], crc32.Checksum(h[offAttributes:], castagnoli))
	return h
}

func join(log ...logged) (all []byte) {
	for _, l := range log {
		all = append(all, l.bytes()...)
	}
	return all
}

// walk reads a fetch to its end, as "offset:value".
func walk(f *Fetched) (got []string) {
	var r Record
	for f.Next(&r) {
		got = append(got, fmt.Sprintf("%d:%s", r.Offset, r.Value))
	}
	return got
}

// TestNextReadsKafkas has Next read what kafka-go's own encoder writes.
func TestNextReadsKafkas(t *testing.T) {
	for _, compression := range []compress.Compression{compress.None, compress.Gzip, compress.Snappy, compress.Lz4, compress.Zstd} {
		for _, test := range recordTables {
			if test.name == "times far apart" { // kafka-go keeps times as ns
				continue
			}
			t.Run(fmt.Sprintf("%v/%s", compression, test.name), func(t *testing.T) {
				var log []byte
				for range 2 { // batches
					var records []protocol.Record
					for i, r := range test.records {
						p := protocol.Record{Time: time.UnixMilli(r.time), Key: nullableBytes(r.key), Value: nullableBytes(r.value)}
						if i%3 == 1 {
							p.Headers = []protocol.Header{{Key: "traceparent", Value: []byte("00-1")}, {Key: "", Value: nil}}
						}
						records = append(records, p)
					}
					set := protocol.RecordSet{Version: 2, Attributes: protocol.Attributes(compression), Records: protocol.NewRecordReader(records...)}
					var out bytes.Buffer
					if _, err := set.WriteTo(&out); err != nil {
						t.Fatal(err)
					}
					b := out.Bytes()[4:]
					if log != nil {
						binary.BigEndian.PutUint64(b[offBaseOffset:], uint64(len(test.records)))
					}
					log = append(log, b...)
				}
				f := &Fetched{Topic: "lines", rest: log}
				var r Record
				for i := range 2 * len(test.records) {
					if !f.Next(&r) {
						t.Fatalf("ends before record %d: %v", i, f.Err())
					}
					got, want := rec{r.Time, r.Key, r.Value}, test.records[i%len(test.records)]
					if r.Offset != int64(i) || !same(got, want) {
						t.Fatalf("record %d: got offset %d, %.100v, want %.100v", i, r.Offset, got, want)
					}
					if f.Position() != r.Offset+1 {
						t.Fatalf("position %d after offset %d", f.Position(), r.Offset)
					}
				}
				if f.Next(&r) || f.Err() != nil {
					t.Errorf("after the last: %v, %v", r, f.Err())
				}
			})
		}
	}
}

func nullableBytes(b []byte) protocol.Bytes {
	if b == nil {
		return nil
	}
	return protocol.NewBytes(b)
}

func TestNextPassesOverAbortedAndControl(t *testing.T) {
	const tx = attrTransactional
	data := func(base, producer int64, attributes uint16, values ...string) logged {
		return logged{base: base, values: values, producer: producer, attributes: attributes}
	}
	for _, test := range []struct {
		name     string
		position int64
		log      []logged
		aborted  []abortedTransaction // as the broker sends them: by last offset
		want     []string
		end      int64
	}{
		{
			name: "committed",
			log:  []logged{data(0, 1, tx, "a", "b"), marker(2, 1, commitMarker), data(3, 1, tx, "c"), marker(4, 1, commitMarker)},
			want: []string{"0:a", "1:b", "3:c"}, end: 5,
		},
		{
			name:    "aborted, then committed by the same producer",
			log:     []logged{data(0, 1, tx, "a"), data(1, 1, tx, "b"), marker(2, 1, abortMarker), data(3, 1, tx, "c"), marker(4, 1, commitMarker)},
			aborted: []abortedTransaction{{1, 0}},
			want:    []string{"3:c"}, end: 5,
		},
		{
			name: "three producers, transactions within transactions",
			log: []logged{
				data(0, 1, tx, "1a"), data(1, 2, tx, "2a"), data(2, 3, tx, "3a"), data(3, 1, tx, "1b"),
				marker(4, 2, abortMarker), // 2's first is over, 1's goes on
				data(5, 2, tx, "2b"), data(6, 1, tx, "1c"),
				marker(7, 1, abortMarker), // 1's is over
				data(8, 1, tx, "1d"), marker(9, 3, commitMarker), marker(10, 2, abortMarker), marker(11, 1, commitMarker),
			},
			aborted: []abortedTransaction{{2, 1}, {1, 0}, {2, 5}},
			want:    []string{"2:3a", "8:1d"}, end: 12,
		},
		{
			name:    "plain records of a producer whose transaction is aborted",
			log:     []logged{data(0, 1, tx, "a"), data(1, 1, 0, "plain"), marker(2, 1, abortMarker)},
			aborted: []abortedTransaction{{1, 0}},
			want:    []string{"1:plain"}, end: 3,
		},
		{
			name:     "position within an aborted transaction",
			position: 2,
			log:      []logged{data(1, 1, tx, "b", "c"), marker(3, 1, abortMarker), data(4, 1, tx, "d"), marker(5, 1, commitMarker)},
			aborted:  []abortedTransaction{{1, 0}},
			want:     []string{"4:d"}, end: 6,
		},
		{
			name:     "position within a batch",
			position: 2,
			log:      []logged{data(0, 1, 0, "a", "b", "c", "d")},
			want:     []string{"2:c", "3:d"}, end: 4,
		},
		{
			name: "nothing but control records",
			log:  []logged{marker(0, 1, commitMarker), marker(1, 2, abortMarker)},
			end:  2,
		},
		{
			name: "a batch whose last records compaction removed",
			log:  []logged{{base: 0, values: []string{"a", "b"}, last: 9}, data(10, 1, 0, "c")},
			want: []string{"0:a", "1:b", "10:c"}, end: 11,
		},
		{
			name: "the same at the end of the log",
			log:  []logged{{base: 0, values: []string{"a", "b"}, last: 9}},
			want: []string{"0:a", "1:b"}, end: 10,
		},
		{
			name: "holes",
			log:  []logged{data(5, 1, 0, "a"), data(100, 1, 0, "b")},
			want: []string{"5:a", "100:b"}, end: 101,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &Fetched{Topic: "t", position: test.position, rest: join(test.log...), aborted: test.aborted, LastStable: test.end, HighWatermark: test.end}
			slices.SortFunc(f.aborted, byFirstOffset)
			if f.CaughtUp() {
				t.Error("caught up before anything is read")
			}
			if got := walk(f); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if f.Err() != nil || f.Position() != test.end || !f.CaughtUp() {
				t.Errorf("err %v, position %d (want %d), caught up %v", f.Err(), f.Position(), test.end, f.CaughtUp())
			}
		})
	}
}

// Where transactions end is told in between the records, also of those that were aborted; what lies before the position is not.
func TestNextTellsWhereTransactionsEnd(t *testing.T) {
	data := func(base, producer int64, values ...string) logged {
		return logged{base: base, values: values, producer: producer, attributes: attrTransactional}
	}
	log := join(data(0, 1, "a"), marker(1, 1, commitMarker), data(2, 1, "b", "c"), data(4, 2, "d"), data(5, 3, "e"), marker(6, 1, commitMarker),
		marker(7, 3, abortMarker), logged{base: 8, values: []string{"f"}, producer: -1}, data(9, 2, "g"), marker(10, 2, commitMarker))
	f := &Fetched{position: 3, rest: log, aborted: []abortedTransaction{{3, 5}}}
	var got []string
	f.Ended = func(producer int64) { got = append(got, fmt.Sprintf("end of %d", producer)) }
	var r Record
	for f.Next(&r) {
		got = append(got, fmt.Sprintf("%s of %d", r.Value, f.ProducerID()))
	}
	if want := []string{"c of 1", "d of 2", "end of 1", "end of 3", "f of -1", "g of 2", "end of 2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNextGivesTheAppendTime(t *testing.T) {
	h := logged{values: []string{"a", "b"}, attributes: attrLogAppendTime}.bytes()
	binary.BigEndian.PutUint64(h[offMaxTime:], 5555) // what the broker does: header only
	f := &Fetched{rest: seal(h)}
	var r Record
	for f.Next(&r) {
		if r.Time != 5555 {
			t.Errorf("offset %d has time %d", r.Offset, r.Time)
		}
	}
	if f.Position() != 2 || f.Err() != nil {
		t.Errorf("position %d, %v", f.Position(), f.Err())
	}
}

// TestNextStopsAtACutBatch: a broker cuts a response at its size limit.
func TestNextStopsAtACutBatch(t *testing.T) {
	whole := join(logged{base: 0, values: []string{"a", "b"}})
	second := join(logged{base: 2, values: []string{"c", "d"}})
	for cut := range len(second) {
		f := &Fetched{rest: append(bytes.Clone(whole), second[:cut]...), LastStable: 4, HighWatermark: 4}
		if got, want := walk(f), []string{"0:a", "1:b"}; !slices.Equal(got, want) || f.Err() != nil || f.Position() != 2 || f.CaughtUp() {
			t.Fatalf("cut at %d: %q, err %v, position %d, caught up %v", cut, got, f.Err(), f.Position(), f.CaughtUp())
		}
	}
}

func TestNextRefusesCorruptBatches(t *testing.T) {
	good := func() []byte { return logged{base: 2, values: []string{"ccc", "ddd"}}.bytes() }
	for _, test := range []struct {
		name, want string
		damage     func(b []byte) []byte
	}{
		{"a flipped bit", "checksum", func(b []byte) []byte { b[len(b)-3] ^= 1; return b }},
		{"a flipped bit in the header", "checksum", func(b []byte) []byte { b[offMaxTime] ^= 1; return b }},
		{"message format 1", "format 1", func(b []byte) []byte { b[offMagic] = 1; return b }},
		{"a length below the header's", "length", func(b []byte) []byte { binary.BigEndian.PutUint32(b[offLength:], 20); return b }},
		{"a negative length", "length", func(b []byte) []byte { binary.BigEndian.PutUint32(b[offLength:], 1<<31); return b }},
		{"more records than there are", "does not fit", func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[offCount:], 9)
			binary.BigEndian.PutUint32(b[offLastOffsetDelta:], 8)
			return seal(b)
		}},
		{"a record beyond the last offset", "does not fit", func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[offLastOffsetDelta:], 0)
			return seal(b)
		}},
		{"a record longer than the batch", "does not fit", func(b []byte) []byte { b[batchHeader] = 0x7e; return seal(b) }},
		{"a negative record length", "does not fit", func(b []byte) []byte { b[batchHeader] = 1; return seal(b) }},
		{"unknown compression", "compression 5", func(b []byte) []byte { b[offAttributes+1] = 5; return seal(b) }},
		{"not what it is compressed with", "", func(b []byte) []byte { b[offAttributes+1] = byte(compress.Zstd); return seal(b) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := append(join(logged{base: 0, values: []string{"a", "b"}}), test.damage(good())...)
			log = append(log, join(logged{base: 4, values: []string{"e"}})...)
			f := &Fetched{Topic: "lines", Partition: 3, rest: log, LastStable: 5, HighWatermark: 5}
			got := walk(f)
			if f.Err() == nil || !strings.Contains(f.Err().Error(), test.want) || !strings.Contains(f.Err().Error(), "lines/3") {
				t.Errorf("err %v, want one about %q", f.Err(), test.want)
			}
			if slices.Contains(got, "4:e") {
				t.Errorf("went on behind the corrupt batch: %q", got)
			}
			position := f.Position()
			if position != int64(len(got)) || f.CaughtUp() {
				t.Errorf("position %d, caught up %v", position, f.CaughtUp())
			}
			if walk(f) != nil || f.Position() != position || f.Err() == nil {
				t.Errorf("Next after the error: position %d, then %d, err %v", position, f.Position(), f.Err())
			}
		})
	}
}

func TestOutOfRangeErrorReads(t *testing.T) {
	var err error = &OffsetOutOfRangeError{"lines", 3, 5, 10, 20}
	if want := "fetch lines/3 at offset 5: out of range, the log has 10 to 20"; err.Error() != want {
		t.Errorf("got %q", err)
	}
	var e *OffsetOutOfRangeError
	if !errors.As(fmt.Errorf("x: %w", err), &e) {
		t.Error("errors.As")
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	b := batchOf(many(1000))
	log := bytes.Repeat(b.encode(-1, -1, -1, false), 3)
	size := b.Size()
	for i := range 3 {
		binary.BigEndian.PutUint64(log[i*size:], uint64(1000*i))
	}
	f := new(Fetched)
	n := 0
	var r Record
	if allocs := testing.AllocsPerRun(10, func() {
		*f = Fetched{rest: log}
		for n = 0; f.Next(&r); n++ {
		}
	}); allocs != 0 || n != 3000 || f.Err() != nil {
		t.Errorf("%v allocations for %d records, %v", allocs, n, f.Err())
	}
}

func BenchmarkNext(b *testing.B) {
	line := []byte("a line of forty-eight bytes, the one of the bench")[:48]
	batch := new(RecordBatch)
	for range 1000 {
		batch.Append(1_700_000_000_000, nil, line)
	}
	plain := bytes.Clone(batch.encode(-1, -1, -1, false))
	for _, c := range []compress.Compression{compress.None, compress.Lz4, compress.Zstd, compress.Snappy, compress.Gzip} {
		b.Run(c.String(), func(b *testing.B) {
			encoded := plain
			if c != compress.None {
				var packed bytes.Buffer
				w := c.Codec().NewWriter(&packed)
				w.Write(plain[batchHeader:])
				w.Close()
				encoded = compressed(c, plain, packed.Bytes())
			}
			b.SetBytes(int64(len(plain)))
			f := new(Fetched)
			var r Record
			for b.Loop() {
				*f = Fetched{rest: encoded, inflated: f.inflated}
				n := 0
				for f.Next(&r) {
					n++
				}
				if n != 1000 {
					b.Fatal(n, f.Err())
				}
			}
		})
	}
}
