package words

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// all returns a table's words, each of which must come once.
func all(t testing.TB, table *Table) map[string]int64 {
	got := make(map[string]int64)
	for word, count := range table.All {
		if _, twice := got[string(word)]; twice {
			t.Errorf("%q twice", word)
		}
		got[string(word)] = count
	}
	return got
}

// A map is the simple version.
func TestTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var table Table
	for round := range 30 {
		want := make(map[string]int64)
		remembered := table.words
		for range r.IntN(20_000) {
			// Few letters, so that words of a length are often equal, or differ in one place only.
			word := make([]byte, r.IntN(10*(1+round%5)))
			for i := range word {
				word[i] = "ab\x00\xff"[r.IntN(2+round%3)]
			}
			n := 1 + r.Int64N(1<<r.IntN(40))
			if r.IntN(2) == 0 { // what stands behind a word is not of it
				word = append(word, "something else"...)[:len(word)]
			}
			switch r.IntN(3) {
			case 0:
				want[string(word)] += n
				table.Add(word, n)
			case 1:
				text := append(append([]byte("before"), word...), word...)
				want[string(word)] += 2
				table.AddSpans(slices.Grow(text, Slack), []Span{{6, uint32(6 + len(word))}, {uint32(6 + len(word)), uint32(len(text))}})
			case 2:
				text := bytes.Join([][]byte{word, []byte("and"), word}, []byte(" "))
				want[string(word)] += 2
				want["and"]++
				table.AddSplit(slices.Grow(text, Slack))
			}
		}
		size := 0
		for word := range want {
			size += len(word)
		}
		size += len(want) * overhead
		if got := table.Size(); got < size || got > size && remembered == 0 {
			t.Errorf("Size %d, want %d", got, size)
		}
		if got := all(t, &table); !maps.Equal(got, want) {
			t.Fatalf("round %d: %d words, want %d", round, len(got), len(want))
		}
		table.Reset()
		if len(all(t, &table)) != 0 {
			t.Fatal("not empty after Reset")
		}
	}
}

// A table that has nearly as many words as it may have remembers them as well as any: words that come again need no room.
func TestTableRemembersNearItsLimit(t *testing.T) {
	const limit = firstSize / 4 * 3
	for _, n := range []int{limit - queued, limit - queued + 1, limit - 1} {
		var table Table
		with(&table, numbered("", n))
		before := &table.entries[0]
		for range 3 {
			table.Reset()
			with(&table, numbered("", n))
		}
		if &table.entries[0] != before || table.words != n {
			t.Errorf("%d words have other room the second time, or are %d", n, table.words)
		}
	}
}

// A small table that is used again counts as a new one does, whatever it remembers, and remembers no more than is worth it.
func TestTableRemembers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var table Table
	remembered := 0
	for round := range 2000 {
		want := make(map[string]int64)
		oldest := round / 3 // the vocabulary changes
		for range 1 + r.IntN(1<<r.IntN(12)) {
			i := oldest + r.IntN(1<<r.IntN(11))
			word := fmt.Appendf(nil, "%x", i*2654435761)
			if i%3 == 0 {
				word = fmt.Appendf(word, " is a long word")
			}
			n := 1 + r.Int64N(1<<r.IntN(40))
			want[string(word)] += n
			table.Add(word, n)
		}
		if got := all(t, &table); !maps.Equal(got, want) {
			t.Fatalf("round %d: %d words, want %d", round, len(got), len(want))
		}
		if len(table.entries) > 4096 || len(table.long) > 2*remembersLong {
			t.Fatalf("round %d: %d entries and %d bytes of long words", round, len(table.entries), len(table.long))
		}
		table.Reset()
		if len(all(t, &table)) != 0 {
			t.Fatal("not empty after Reset")
		}
		if table.words > 2*len(want) {
			t.Fatalf("round %d: %d words are remembered of %d", round, table.words, len(want))
		}
		if table.words > 0 {
			remembered++
		}
	}
	if remembered < 500 || remembered > 1800 {
		t.Errorf("words are remembered in %d of 2000 rounds", remembered)
	}
}

// A large table, or one with many long words, remembers nothing: most of them are new the next time.
func TestTableForgets(t *testing.T) {
	long := bytes.Repeat([]byte("long"), 1000)
	for n, want := range map[int]int{3000: 3000, 3100: 0} {
		if table := filled(new(Table), n); table != nil {
			table.Reset()
			if table.words != want {
				t.Errorf("%d of %d words are remembered, want %d", table.words, n, want)
			}
		}
	}
	for n, want := range map[int]int{16: 16, 17: 0} {
		var table Table
		for i := range n {
			table.Add(append(long, byte(i)), 1)
		}
		table.Reset()
		if table.words != want || want == 0 && len(table.long) > 0 {
			t.Errorf("%d of %d long words are remembered, want %d", table.words, n, want)
		}
	}
}

// Words that differ in one byte, or in their length only, are two.
func TestTableTellsWordsApart(t *testing.T) {
	var table Table
	want := make(map[string]int64)
	add := func(word string) {
		want[word]++
		table.Add([]byte(word), 1)
	}
	for n := range 40 {
		base := []byte(strings.Repeat("\x00", n))
		add(string(base))
		for i := range n {
			base[i] = 'x'
			add(string(base))
			base[i] = 0
		}
	}
	if got := all(t, &table); !maps.Equal(got, want) {
		t.Errorf("%d words, want %d", len(got), len(want))
	}
}

// Long words may have the same key: then their bytes decide.
func TestTableLongWordsWithOneKey(t *testing.T) {
	var table Table
	first, second := []byte("a word that is long enough 1"), []byte("a word that is long enough 2")
	table.Add(first, 1)
	for i := range table.entries { // as if both had one hash
		if e := &table.entries[i]; e.count > 0 {
			moved := *e
			*e = entry{}
			k := longKey(second)
			binary.LittleEndian.PutUint64(moved.word[:], k.a)
			binary.LittleEndian.PutUint64(moved.word[8:], k.b)
			table.entries[k.hash()&uint64(len(table.entries)-1)] = moved
			break
		}
	}
	table.Add(second, 7)
	if got := all(t, &table); got[string(first)] != 1 || got[string(second)] != 7 {
		t.Errorf("%v", got)
	}
}

// A window without lines costs no memory.
func TestTableEmptyIsNothing(t *testing.T) {
	var table Table
	for range table.All {
		t.Error("there is a word")
	}
	if table.Size() != 0 || table.entries != nil {
		t.Errorf("%d bytes, room for %d", table.Size(), len(table.entries))
	}
}

// Words that differ in little, and should be in the same place, are kept apart: such as a word that begins a sentence and is one within it.
func TestTableAlike(t *testing.T) {
	var table Table
	want := make(map[string]int64)
	random := rand.New(rand.NewPCG(1, 1))
	alike := 0
	const size = 1024 // entries in the end, and before less: who shares a place then has shared one always
	for len(want) < 600 {
		word := []byte("characteristic.")
		for i := range word {
			if random.IntN(2) == 0 {
				word[i] = 'a' + byte(random.IntN(26))
			}
		}
		other := bytes.Clone(word)
		if random.IntN(2) == 0 {
			other[0] ^= 0x20
		} else {
			other[random.IntN(len(other))] ^= 1 << random.IntN(7)
		}
		hash := func(w []byte) uint64 {
			return shortKey((*[keySize]byte)(append(w, 0)), uint32(len(w))).hash() % size
		}
		if hash(word) != hash(other) {
			continue
		}
		alike++
		for n := range int64(3) {
			for _, w := range [][]byte{word, other} {
				table.Add(w, n+1)
				want[string(w)] += n + 1
			}
			table.count() // both are there when they come again
		}
	}
	if got := all(t, &table); !maps.Equal(got, want) || len(table.entries) != size {
		t.Errorf("%d words in %d entries, want %d from %d pairs; or other counts", len(got), len(table.entries), len(want), alike)
	}
}

// What each processor has for itself does what the plain version does.
func TestFindIsPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var table Table
	for i := range 500 {
		table.Add(fmt.Append(nil, i), 1)
	}
	table.count() // none waits
	for range 1000 {
		queue := make([]addition, 1+r.IntN(queued))
		for i := range queue {
			word := fmt.Appendf(make([]byte, 0, keySize), "%d", r.IntN(1000))
			k := shortKey((*[keySize]byte)(word[:keySize]), uint32(len(word)))
			queue[i] = addition{k, 1 + r.Int64N(1<<40), k.hash()}
		}
		plain := slices.Clone(table.entries)
		var missed, want [queued]uint8
		misses, wantMisses := find(queue, table.entries, &missed), findPlain(queue, plain, &want)
		if misses != wantMisses || !slices.Equal(missed[:misses], want[:misses]) {
			t.Fatalf("missed %v, want %v", missed[:misses], want[:wantMisses])
		}
		if !slices.Equal(table.entries, plain) {
			t.Fatal("other entries than the plain version's")
		}
	}
}

func TestTableAllStops(t *testing.T) {
	var table Table
	table.Add([]byte("a"), 1)
	table.Add([]byte("b"), 1)
	seen := 0
	for range table.All {
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("saw %d words", seen)
	}
}

func FuzzTable(f *testing.F) {
	f.Add("a b a ccccccccccccccccccccccc")
	f.Fuzz(func(t *testing.T, text string) {
		var table Table
		want := make(map[string]int64)
		for word := range strings.SplitSeq(text, " ") {
			want[word]++
			table.Add([]byte(word), 1)
		}
		if got := all(t, &table); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// zipf has the words of a text whose vocabulary is that large.
func zipf(vocabulary uint64) (text []byte, spans []Span) {
	r := rand.New(rand.NewPCG(1, 1))
	z := rand.NewZipf(r, 1.05, 5, vocabulary-1)
	for range 1 << 20 {
		start := len(text)
		text = fmt.Appendf(text, "%x", z.Uint64()*2654435761%(vocabulary*16))
		spans = append(spans, Span{uint32(start), uint32(len(text))})
		text = append(text, ' ')
	}
	return slices.Grow(text, Slack), spans
}

func BenchmarkTable(b *testing.B) {
	for _, vocabulary := range []uint64{1000, 100_000, 5_000_000} {
		text, spans := zipf(vocabulary)
		const line = 8 // words
		b.Run(fmt.Sprintf("words=%d/spans", vocabulary), func(b *testing.B) {
			b.ReportAllocs()
			var table Table
			for i := 0; i < b.N; i += line {
				at := i & (len(spans) - 1)
				table.AddSpans(text, spans[at:at+line])
			}
		})
		b.Run(fmt.Sprintf("words=%d/table", vocabulary), func(b *testing.B) {
			b.ReportAllocs()
			var table Table
			for i := 0; b.Loop(); i++ {
				w := spans[i&(len(spans)-1)]
				table.Add(text[w.Start:w.End], 1)
			}
		})
		b.Run(fmt.Sprintf("words=%d/map", vocabulary), func(b *testing.B) {
			b.ReportAllocs()
			counts := make(map[string]int64)
			for i := 0; b.Loop(); i++ {
				w := spans[i&(len(spans)-1)]
				counts[string(text[w.Start:w.End])]++
			}
		})
	}
}
