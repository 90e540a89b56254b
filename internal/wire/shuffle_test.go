package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// The bytes of version 2. A change here is a new version: running counters of the old one would misread the records, and
// records that are on the topic would be misread.
func TestShuffleGolden(t *testing.T) {
	partial := AppendPartial(nil, Partial{Slot: 3, Interval: 5000, Window: 353806145, Lines: 300, Late: 2})
	partial = AppendEntry(partial, []byte("spark"), 3)
	partial = AppendEntry(partial, []byte(""), 1)
	partial = AppendEntry(partial, []byte("漢字"), 128)
	for _, c := range []struct {
		name   string
		record []byte
		want   string
	}{
		{"partial", partial, "02" + "50" + "03" + "8827" + "829db5d102" + "ac02" + "02" +
			"05" + "737061726b" + "03" + "00" + "01" + "06" + "e6bca2e5ad97" + "8001"},
		{"partial without words", AppendPartial(nil, Partial{Slot: 200, Interval: 100}), "0250c801" + "64" + "00" + "00" + "00"},
		{"watermark", AppendWatermark(nil, Watermark{Slot: 1, Interval: 5000, Time: start, Partitions: 4}), "02" + "57" + "01" + "8827" + "90b695a7fc66" + "04"},
		{"no watermark", AppendWatermark(nil, Watermark{Interval: 5000, Time: NoWatermark}), "0257008827" + "ffffffffffffffffff01" + "00"},
	} {
		if got := hex.EncodeToString(c.record); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
		c.record[0] = 1 // what an older counter has written is there after an upgrade
		if _, _, _, err := ParseShuffle(c.record); err != nil {
			t.Errorf("%s of version 1: %v", c.name, err)
		}
	}
}

func TestShuffleRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	number := func() int64 { return r.Int64() >> r.IntN(63) }
	for range 20_000 {
		p := Partial{Slot: r.IntN(1 << 20), Interval: 1 + r.Int64N(3_600_000), Lines: number(), Late: number()}
		p.Window = r.Int64N(math.MaxInt64 / p.Interval)
		record := AppendPartial([]byte("before"), p)[len("before"):]
		words := make(map[string]int64)
		for range r.IntN(5) {
			word := strings.Repeat("é", r.IntN(200)) + fmt.Sprint(r.Int())
			words[word] = 1 + number()>>1
			record = AppendEntry(record, []byte(word), words[word])
		}
		got, entries, mark, err := ParseShuffle(record)
		if err != nil || mark != nil || *got != p {
			t.Fatalf("%+v became %+v, %+v, %v", p, got, mark, err)
		}
		gotWords := make(map[string]int64)
		for len(entries) > 0 {
			word, count, rest, ok := NextEntry(entries)
			if !ok {
				t.Fatalf("entry of %v is refused", words)
			}
			gotWords[string(word)] = count
			entries = rest
		}
		if !maps.Equal(gotWords, words) {
			t.Fatalf("%v became %v", words, gotWords)
		}

		w := Watermark{Slot: r.IntN(1 << 20), Interval: 1 + r.Int64N(3_600_000), Time: number(), Partitions: r.IntN(1 << 20)}
		if r.IntN(10) == 0 {
			w.Time = NoWatermark
		}
		partial, _, gotMark, err := ParseShuffle(AppendWatermark(nil, w))
		if err != nil || partial != nil || *gotMark != w {
			t.Fatalf("%+v became %+v, %+v, %v", w, gotMark, partial, err)
		}
	}
}

func TestParseShuffleRefuses(t *testing.T) {
	header := func(kind byte, slot, interval uint64) []byte {
		return append([]byte{1, kind}, appendUvarints(nil, slot, interval)...)
	}
	mark := AppendWatermark(nil, Watermark{Slot: 1, Interval: 5000, Time: start, Partitions: 4})
	for _, c := range []struct {
		name    string
		record  []byte
		version bool // refused as another version's
	}{
		{"nothing", nil, false},
		{"one byte", []byte{1}, false},
		{"version 0", append([]byte{0}, mark[1:]...), true},
		{"version 3", append([]byte{3}, mark[1:]...), true},
		{"an unknown kind", append([]byte{1, 'Q'}, mark[2:]...), true},
		{"only a version and a kind", []byte{1, 'P'}, false},
		{"no interval", []byte{1, 'P', 3}, false},
		{"interval 0", append(header('P', 1, 0), 0, 0, 0), false},
		{"an interval beyond int64", append(header('P', 1, math.MaxUint64), 0, 0, 0), false},
		{"a slot beyond int32", append(header('P', 1<<31, 5000), 0, 0, 0), false},
		{"no late lines", append(header('P', 1, 5000), 0, 0), false},
		{"lines beyond int64", append(header('P', 1, 5000), append([]byte{0}, appendUvarints(nil, math.MaxUint64, 0)...)...), false},
		{"late lines beyond int64", append(header('P', 1, 5000), append([]byte{0}, appendUvarints(nil, 0, math.MaxUint64)...)...), false},
		{"a negative window", AppendPartial(nil, Partial{Interval: 5000, Window: -1}), false},
		{"a window whose end is beyond int64", AppendPartial(nil, Partial{Interval: 5000, Window: math.MaxInt64 / 5000}), false},
		{"a watermark without partitions", mark[:len(mark)-1], false},
		{"a watermark with a byte too many", append(bytes.Clone(mark), 0), false},
		{"a negative watermark", AppendWatermark(nil, Watermark{Interval: 5000, Time: -1}), false},
		{"partitions beyond int64", append(header('W', 1, 5000), append([]byte{0}, appendUvarints(nil, math.MaxUint64)...)...), false},
		{"a varint without an end", append([]byte{1, 'W'}, bytes.Repeat([]byte{0xff}, 11)...), false},
	} {
		p, entries, w, err := ParseShuffle(c.record)
		if err == nil || p != nil || w != nil || entries != nil {
			t.Errorf("%s: %+v, %+v, %v", c.name, p, w, err)
		} else if errors.Is(err, ErrShuffleVersion) != c.version {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func appendUvarints(dst []byte, values ...uint64) []byte {
	for _, v := range values {
		for v >= 0x80 {
			dst = append(dst, byte(v)|0x80)
			v >>= 7
		}
		dst = append(dst, byte(v))
	}
	return dst
}

func TestNextEntryRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []byte
	}{
		{"no count", []byte{1, 'a'}},
		{"a count of 0", []byte{1, 'a', 0}},
		{"a count beyond int64", append([]byte{1, 'a'}, appendUvarints(nil, math.MaxUint64)...)},
		{"a count without an end", []byte{1, 'a', 0x80}},
		{"a word cut short", []byte{3, 'a', 'b'}},
		{"a word without bytes", []byte{1}},
		{"a length beyond int64", append(appendUvarints(nil, math.MaxUint64), 'a', 1)},
		{"a length without an end", []byte{0x80, 0x80}},
	} {
		if word, count, _, ok := NextEntry(c.entries); ok {
			t.Errorf("%s: %q, %d", c.name, word, count)
		}
	}
	word, count, rest, ok := NextEntry([]byte{1, 'a', 5, 9})
	if !ok || string(word) != "a" || count != 5 || !bytes.Equal(rest, []byte{9}) {
		t.Errorf("%q, %d, %v, %t", word, count, rest, ok)
	}
}

// FuzzParseShuffle: nothing makes it panic, and what it takes is what it would have written.
func FuzzParseShuffle(f *testing.F) {
	f.Add(AppendWatermark(nil, Watermark{Slot: 1, Interval: 5000, Time: start, Partitions: 4}))
	f.Add(AppendWatermark(nil, Watermark{Interval: 1, Time: NoWatermark}))
	f.Add(AppendEntry(AppendPartial(nil, Partial{Slot: 3, Interval: 5000, Window: 7, Lines: 2, Late: 1}), []byte("word"), 300))
	f.Add([]byte{1, 'P', 0x80})
	f.Fuzz(func(t *testing.T, record []byte) {
		partial, entries, mark, err := ParseShuffle(record)
		if err != nil {
			return
		}
		if (partial == nil) == (mark == nil) {
			t.Fatalf("partial %+v and watermark %+v", partial, mark)
		}
		if mark != nil {
			again, _, m, err := ParseShuffle(AppendWatermark(nil, *mark))
			if err != nil || again != nil || *m != *mark {
				t.Fatalf("%+v became %+v, %v", mark, m, err)
			}
			return
		}
		written := AppendPartial(nil, *partial)
		for len(entries) > 0 {
			word, count, rest, ok := NextEntry(entries)
			if !ok {
				return
			}
			if len(rest) >= len(entries) || count <= 0 {
				t.Fatalf("%d bytes left of %d, count %d", len(rest), len(entries), count)
			}
			written = AppendEntry(written, word, count)
			entries = rest
		}
		if len(written) > len(record) { // a varint may be written with more bytes than it needs, never with fewer
			t.Fatalf("%x was read from %x", written, record)
		}
	})
}

func BenchmarkShuffle(b *testing.B) {
	header := AppendPartial(nil, Partial{Slot: 3, Interval: 5000, Window: 353806145, Lines: 2})
	word := []byte("streaming")
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var record []byte
		for i := 0; b.Loop(); i++ {
			if i%10_000 == 0 {
				record = append(record[:0], header...)
			}
			record = AppendEntry(record, word, 3)
		}
	})
	b.Run("parse", func(b *testing.B) {
		record := header
		for range 10_000 {
			record = AppendEntry(record, word, 3)
		}
		b.ReportAllocs()
		var entries []byte
		for b.Loop() {
			if len(entries) == 0 {
				_, entries, _, _ = ParseShuffle(record)
			}
			_, _, entries, _ = NextEntry(entries)
		}
	})
}
