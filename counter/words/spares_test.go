package words

import (
	"fmt"
	"strings"
	"testing"
)

// filled returns a table with so many words.
func filled(t *Table, n int) *Table { return with(t, numbered("word ", n)) }

// with returns a table with these words.
func with(t *Table, words []string) *Table {
	for _, word := range words {
		t.Add([]byte(word), 1)
	}
	t.count()
	return t
}

func numbered(prefix string, n int) (words []string) {
	for i := range n {
		words = append(words, fmt.Sprint(prefix, i))
	}
	return words
}

// Many small tables are kept, and two that are large; what is taken is empty, and has room already.
func TestSpares(t *testing.T) {
	for _, c := range []struct{ words, want int }{{0, 0}, {1000, 61}, {30_000, 2}, {100_000, 2}} {
		var s Spares
		for range c.want + 5 {
			s.Put(filled(new(Table), c.words))
		}
		kept := 0
		for ; s.bytes > 0; kept++ {
			table := s.Take()
			if len(all(t, table)) != 0 || len(table.entries) < c.words {
				t.Errorf("a spare table for %d words has words, or %d entries", c.words, len(table.entries))
			}
		}
		if kept != c.want || s.Take().entries != nil {
			t.Errorf("%d tables of %d words are kept, want %d", kept, c.words, c.want)
		}
	}
}

// A table that has far more room than words is kept for a few uses, one of those that remember for ever, and one whose room is needed again.
func TestSparesAreNotSparse(t *testing.T) {
	long := strings.Repeat("long ", 20)
	for _, c := range []struct {
		what         string
		large, small []string
		want         bool
	}{
		{"many words, then some", numbered("word ", 20_000), numbered("word ", 1000), true},
		{"many words, then none", numbered("word ", 20_000), nil, false},
		{"few words, then one", numbered("word ", 2000), numbered("word ", 1), true},
		{"long words, then none", numbered(long, 2000), nil, false},
		{"a few long words, then none", numbered(long, 200), nil, true},
		{"long words, then some", numbered(long, 2000), numbered(long, 100), true},
	} {
		var s Spares
		s.Put(with(new(Table), c.large))
		for range 3 {
			for range maySparse {
				s.Put(with(s.Take(), c.small))
			}
			if s.bytes == 0 {
				t.Errorf("%s: not kept at first", c.what)
			}
			s.Put(with(s.Take(), c.large))
		}
		for range maySparse + 2 { // a small one remembers the large words in the first use
			s.Put(with(s.Take(), c.small))
		}
		if kept := s.bytes > 0; kept != c.want {
			t.Errorf("%s: it is kept in the end: %v", c.what, kept)
		}
	}
}

// A table that comes back costs no memory.
func TestSparesDoNotAllocate(t *testing.T) {
	var s Spares
	s.Put(filled(new(Table), 1000))
	if n := testing.AllocsPerRun(100, func() { s.Put(filled(s.Take(), 0)) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A new table that gets more than a few words has room at once for as many as the one before had. There may be many with few.
func TestSparesExpect(t *testing.T) {
	var s Spares
	s.Put(filled(new(Table), 5000))
	s.Take()
	table := s.Take()
	if table.entries != nil {
		t.Error("a table without words takes memory")
	}
	if filled(table, 150); len(table.entries) != firstSize {
		t.Errorf("%d entries for 150 words", len(table.entries))
	}
	if filled(table, 1000); len(table.entries) != 8192 {
		t.Errorf("%d entries for 5000 words", len(table.entries))
	}
	for range 20 {
		s.Take()
	}
	if last := filled(s.Take(), 1000); len(last.entries) != 2048 {
		t.Errorf("%d entries for 1000 words after many tables", len(last.entries))
	}
	if filled(table, 7000); len(all(t, table)) != 7000 || len(table.entries) != 16384 {
		t.Errorf("%d entries for 7000 words", len(table.entries))
	}
}
