package loop

// table counts words. A word that it has seen costs a look-up and no allocation.
type table struct {
	index  map[string]int32 // word → its place in counts
	words  []string
	counts []int64
	arena  []byte // of the words' bytes, a piece at a time
}

const arenaSize = 64 << 10

// newTable is for about n words.
func newTable(n int) *table {
	n += n / 8
	return &table{index: make(map[string]int32, n), words: make([]string, 0, n), counts: make([]int64, 0, n)}
}

func (t *table) add(word []byte, n int64) {
	if i, ok := t.index[string(word)]; ok { // the compiler makes no string of it
		t.counts[i] += n
		return
	}
	t.insert(t.keep(word), n)
}

// addString is add for a word that stays where it is.
func (t *table) addString(word string, n int64) {
	if i, ok := t.index[word]; ok {
		t.counts[i] += n
		return
	}
	t.insert(word, n)
}

func (t *table) insert(word string, n int64) {
	t.index[word] = int32(len(t.words))
	t.words = append(t.words, word)
	t.counts = append(t.counts, n)
}

// keep copies a word into the arena.
func (t *table) keep(word []byte) string {
	if len(word) > cap(t.arena)-len(t.arena) {
		t.arena = make([]byte, 0, max(arenaSize, len(word)))
	}
	start := len(t.arena)
	t.arena = append(t.arena, word...)
	return view(t.arena[start:])
}

// addLine counts the words between single spaces.
func (t *table) addLine(line []byte) {
	start := 0
	for i, c := range line {
		if c == ' ' {
			t.add(line[start:i], 1)
			start = i + 1
		}
	}
	t.add(line[start:], 1)
}
