package words

import "unsafe"

// Spares keeps tables that are done with, whose memory new ones use: two of them, and more as long as they are small together. One that
// has had far more room than words for a while is not kept: small windows behind a large one would go on walking through all of it.
type Spares struct {
	tables []*Table
	bytes  int
	words  int // that a new table should have room for: as many as the one had that came last
}

const (
	alwaysSpare = 2       // tables
	smallSpares = 4 << 20 // bytes
	sparse      = 64      // times the room that the words need, beyond that of tables that remember, is far too much
	maySparse   = 16      // uses in a row: growing anew costs as much as they do
)

// Take returns an empty table. One that is new and gets too many words for a small one takes at once what the last one's words took, and
// each further one half of that: they may be many, with few words each.
func (s *Spares) Take() *Table {
	last := len(s.tables) - 1
	if last < 0 {
		t := &Table{expected: s.words}
		s.words /= 2
		return t
	}
	t := s.tables[last]
	s.tables = s.tables[:last]
	s.bytes -= t.room()
	return t
}

// Put takes a table that nobody uses any more.
func (s *Spares) Put(t *Table) {
	s.words = t.words
	if t.isSparse() {
		t.sparse++
	} else {
		t.sparse = 0
	}
	switch {
	case len(t.entries) == 0,
		t.sparse > maySparse,
		len(s.tables) >= alwaysSpare && s.bytes+t.room() > smallSpares:
		return
	}
	t.Reset()
	s.tables = append(s.tables, t)
	s.bytes += t.room()
}

// isSparse tells whether the table has far more room than its words need.
func (t *Table) isSparse() bool {
	return len(t.entries) > max(remembers, sparse*t.words) || cap(t.long) > max(remembersLong, sparse*len(t.long))
}

// room is about how many bytes the table takes.
func (t *Table) room() int {
	return len(t.entries)*int(unsafe.Sizeof(entry{})) + cap(t.long) + int(unsafe.Sizeof(*t))
}
