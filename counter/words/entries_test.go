package words

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// checkEntries compares AddEntries with the simple version, which takes one entry after the other.
func checkEntries(t *testing.T, entries []byte) {
	t.Helper()
	want, sum, ok := make(map[string]int64), int64(0), true
	for rest := entries; len(rest) > 0; {
		var word []byte
		var count int64
		if word, count, rest, ok = wire.NextEntry(rest); !ok {
			break
		}
		want[string(word)] += count
		if sum += count; sum < 0 {
			var table Table
			if words, ok := table.AddEntries(entries); ok {
				t.Errorf("%d words", words)
			}
			return
		}
	}
	var table Table
	words, whole := table.AddEntries(entries)
	if words != sum || whole != ok {
		t.Errorf("%d words, %v; want %d, %v", words, whole, sum, ok)
	}
	if got := all(t, &table); !maps.Equal(got, want) {
		t.Errorf("%d words, want %d", len(got), len(want))
	}
}

func TestAddEntries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for longest := range 40 {
		var entries []byte
		for range 300 {
			word := randomText(r, r.IntN(longest+1), longest+1)
			entries = wire.AppendEntry(entries, word, 1+r.Int64N(1<<r.IntN(50)))
		}
		checkEntries(t, entries)
		checkEntries(t, entries[:r.IntN(len(entries))])
	}
	for bits := range 59 { // counts of all lengths
		for _, more := range []int64{-1, 0, 1} {
			count := max(1<<bits+more, 1)
			checkEntries(t, bytes.Repeat(wire.AppendEntry(nil, []byte("word"), count), 10))
		}
	}
}

// One entry after the other is the simple version. A table that is used again knows the partitions of some of its words.
func TestAppendEntries(t *testing.T) {
	const partitions, size = 3, 300
	r := rand.New(rand.NewPCG(1, 1))
	var table Table
	for round := range 50 {
		want := make(map[string]int64)
		for range r.IntN(1000) {
			word := fmt.Append(nil, "word ", round/5+r.IntN(300))
			if r.IntN(10) == 0 {
				word = append(word, " that is long"...)
			}
			n := 1 + r.Int64N(1<<r.IntN(40))
			want[string(word)] += n
			table.Add(word, n)
		}
		got := make(map[string]int64)
		take := func(q int, record []byte) {
			if len(record) > size {
				t.Fatalf("a record of %d bytes", len(record))
			}
			for len(record) > 0 {
				word, count, rest, ok := wire.NextEntry(record)
				if !ok || got[string(word)] != 0 || int(kafkaio.Partition(word, partitions)) != q {
					t.Fatalf("round %d: partition %d has %q: %t", round, q, word, ok)
				}
				got[string(word)] = count
				record = rest
			}
		}
		records := make([][]byte, partitions)
		table.AppendEntries(records, size, func(q int) {
			take(q, records[q])
			records[q] = records[q][:0]
		})
		for q, record := range records {
			take(q, record)
		}
		if !maps.Equal(got, want) {
			t.Fatalf("round %d: %d words, want %d; or other counts", round, len(got), len(want))
		}
		table.Reset()
	}
}

func TestPutShort(t *testing.T) {
	for n := range uint32(inEntry + 1) {
		for _, count := range []int64{1, 2, 0x7f, 0x80, 0x81, 0xff, 0x100, shortCounts - 1} {
			text := []byte("fifteen letters!!")
			var e entry
			e.set(shortKey((*[keySize]byte)(text), n), count)
			var to [shortEntry]byte
			if got, want := to[:putShort(&to, &e, n)], wire.AppendEntry(nil, text[:n], count); !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %d times: %x, want %x", n, count, got, want)
			}
		}
	}
}

func FuzzAddEntries(f *testing.F) {
	entry := wire.AppendEntry(nil, []byte("word"), 300)
	f.Add(bytes.Repeat(entry, 100))
	f.Add(bytes.Repeat(append(entry, 4, 'w', 'o', 'r', 'd', 0), 10))         // none
	f.Add(append(bytes.Repeat([]byte{1, 'a', 0x85, 0x00}, 10), entry...))    // five, with a byte too many
	f.Add(append(bytes.Repeat([]byte{1, 'a', 0x80, 0x80, 1}, 10), entry...)) // three bytes
	f.Add(append(binary.AppendUvarint(nil, 1<<40), make([]byte, 40)...))     // a word longer than what there is
	f.Add(append(append([]byte{16}, "a word that is l"...), entry...))
	for n := range 5 {
		f.Add(bytes.Repeat(wire.AppendEntry(nil, []byte("a"), math.MaxInt64), n))
	}
	f.Fuzz(func(t *testing.T, entries []byte) { checkEntries(t, entries) })
}
