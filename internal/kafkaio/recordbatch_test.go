package kafkaio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
)

// rec is a record of a test: nil and empty keys and values differ.
type rec struct {
	time       int64
	key, value []byte
}

func (r rec) String() string { return fmt.Sprintf("{%d %#v %#v}", r.time, r.key, r.value) }

func same(a, b rec) bool {
	return a.time == b.time && bytes.Equal(a.key, b.key) && bytes.Equal(a.value, b.value) &&
		(a.key == nil) == (b.key == nil) && (a.value == nil) == (b.value == nil)
}

func batchOf(records []rec) *RecordBatch {
	b := new(RecordBatch)
	for _, r := range records {
		b.Append(r.time, r.key, r.value)
	}
	return b
}

var recordTables = []struct {
	name    string
	records []rec
}{
	{"one line", []rec{{1_700_000_000_000, nil, []byte("hello spark streaming")}}},
	{"null and empty", []rec{{5, nil, nil}, {5, []byte{}, []byte{}}, {5, nil, []byte{}}, {5, []byte{}, nil}}},
	{"keys", []rec{{10, []byte("k"), []byte("v")}, {11, []byte("k2"), nil}}},
	{"times that fall", []rec{{1000, nil, []byte("a")}, {1, nil, []byte("b")}, {2000, nil, []byte("c")}, {999, nil, []byte("d")}}},
	{"times far apart", []rec{{1, nil, []byte("a")}, {math.MaxInt64 / 4, nil, []byte("b")}, {-5, nil, []byte("c")}}},
	{"lengths around a varint's steps", lengths(0, 1, 62, 63, 64, 65, 127, 128, 8190, 8191, 8192, 8193, 1<<20-1, 1<<20, 1<<20+1)},
	{"many", many(10_000)},
}

func lengths(sizes ...int) (records []rec) {
	for i, n := range sizes {
		records = append(records, rec{int64(i + 1), bytes.Repeat([]byte{'k'}, n/2), bytes.Repeat([]byte{byte(i)}, n)})
	}
	return records
}

func many(n int) (records []rec) {
	for i := range n {
		records = append(records, rec{1_700_000_000_000 + int64(i/7), nil, fmt.Appendf(nil, "line %d of many", i)})
	}
	return records
}

// TestRecordBatchIsKafkas has kafka-go's own decoder read what Append and encode write.
func TestRecordBatchIsKafkas(t *testing.T) {
	for _, test := range recordTables {
		for _, transactional := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, transactional %v", test.name, transactional), func(t *testing.T) {
				b := batchOf(test.records)
				encoded := b.encode(77, 3, 1000, transactional)
				if b.Len() != len(test.records) || b.Size() != len(encoded) {
					t.Errorf("Len %d, Size %d, want %d, %d", b.Len(), b.Size(), len(test.records), len(encoded))
				}
				set := protocol.RecordSet{}
				if _, err := set.ReadFrom(bytes.NewBuffer(append(appendInt32(nil, int32(len(encoded))), encoded...))); err != nil {
					t.Fatal(err)
				}
				if set.Version != 2 || set.Attributes.Transactional() != transactional || set.Attributes.Compression() != 0 || set.Attributes.Control() {
					t.Errorf("version %d, attributes %v", set.Version, set.Attributes)
				}
				batch := set.Records.(*protocol.RecordStream).Records[0].(*protocol.RecordBatch)
				if batch.ProducerID != 77 || batch.ProducerEpoch != 3 || batch.BaseSequence != 1000 || batch.PartitionLeaderEpoch != -1 {
					t.Errorf("header %+v", batch)
				}
				if got := int32(binary.BigEndian.Uint32(encoded[offLastOffsetDelta:])); got != int32(len(test.records)-1) {
					t.Errorf("lastOffsetDelta %d", got)
				}
				newest := slices.MaxFunc(test.records, func(a, b rec) int { return int(min(max(a.time-b.time, -1), 1)) }).time
				if got := int64(binary.BigEndian.Uint64(encoded[offMaxTime:])); got != newest {
					t.Errorf("maxTimestamp %d, want %d", got, newest)
				}
				for i, want := range test.records {
					r, err := batch.ReadRecord()
					if err != nil {
						t.Fatalf("record %d: %v", i, err)
					}
					// kafka-go keeps times as ns; only compare what fits.
					got := rec{r.Time.UnixMilli(), content(t, r.Key), content(t, r.Value)}
					if r.Offset != int64(i) || !same(got, want) {
						t.Fatalf("record %d at offset %d: got %.100v, want %.100v", i, r.Offset, got, want)
					}
				}
				if _, err := batch.ReadRecord(); err != io.EOF {
					t.Errorf("after the last record: %v", err)
				}
			})
		}
	}
}

func content(t *testing.T, b protocol.Bytes) []byte {
	t.Helper()
	if b == nil {
		return nil
	}
	defer b.Close()
	all, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if all == nil {
		all = []byte{}
	}
	return all
}

func TestRecordBatchReset(t *testing.T) {
	b := batchOf(many(100))
	b.Reset()
	if b.Len() != 0 || b.Size() != 0 {
		t.Errorf("after Reset: Len %d, Size %d", b.Len(), b.Size())
	}
	b.Append(7, nil, []byte("x"))
	want := batchOf([]rec{{7, nil, []byte("x")}}).encode(1, 2, 3, false)
	if got := b.encode(1, 2, 3, false); !bytes.Equal(got, want) {
		t.Errorf("a batch that was used before differs:\n%x\n%x", got, want)
	}
}

func TestRecordOverhead(t *testing.T) {
	worst := rec{math.MinInt64 / 2, bytes.Repeat([]byte{'k'}, 1<<20), bytes.Repeat([]byte{'v'}, 1<<20)}
	b := batchOf([]rec{{math.MaxInt64 / 2, nil, nil}})
	before := b.Size()
	b.Append(worst.time, worst.key, worst.value)
	if grown := b.Size() - before - len(worst.key) - len(worst.value); grown > RecordOverhead {
		t.Errorf("a record took %d bytes beyond key and value, RecordOverhead is %d", grown, RecordOverhead)
	}
	if one := batchOf([]rec{{1, nil, nil}}); one.Size() > BatchOverhead+RecordOverhead {
		t.Errorf("a batch of one empty record has %d bytes", one.Size())
	}
}

func TestNextSequence(t *testing.T) {
	for _, test := range []struct{ sequence, count, want int32 }{
		{0, 1, 1},
		{10, 5, 15},
		{math.MaxInt32 - 1, 1, math.MaxInt32},
		{math.MaxInt32, 1, 0}, // DefaultRecordBatch.incrementSequence
		{math.MaxInt32 - 2, 10, 7},
		{math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1},
	} {
		if got := nextSequence(test.sequence, test.count); got != test.want {
			t.Errorf("nextSequence(%d, %d) = %d, want %d", test.sequence, test.count, got, test.want)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	b := new(RecordBatch)
	key, value := []byte("spark"), []byte("a line of some forty-eight bytes, as in the bench")
	fill := func() {
		b.Reset()
		for i := range 1000 {
			b.Append(1_700_000_000_000+int64(i), key, value)
		}
		b.encode(1, 2, 3, true)
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n != 0 {
		t.Errorf("%v allocations for 1000 records", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	batch := new(RecordBatch)
	line := []byte("a line of forty-eight bytes, the one of the bench")[:48]
	b.SetBytes(48)
	for b.Loop() {
		if batch.Len() == 1000 {
			batch.encode(1, 2, 3, false)
			batch.Reset()
		}
		batch.Append(1_700_000_000_000, nil, line)
	}
}
