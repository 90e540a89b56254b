package combine

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"wordcount/counter/tokenize"
	"wordcount/counter/window"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

const (
	interval = 5000
	start    = 1769030725000 // the start of window 353806145
	far      = start + 1_000_000
)

// collector is a combiner, and what it has emitted for each partition since the last Flush.
type collector struct {
	*Combiner
	records [][][]byte
}

// combiner returns one that has started at start.
func combiner(t testing.TB, inputs int, change ...func(*Config)) *collector {
	t.Helper()
	tokenizer, err := tokenize.New("space")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{}
	cfg := Config{Slot: 1, Interval: interval, Grace: 250, Partitions: 4, Tokenizer: tokenizer, MaxRecord: 1 << 20,
		Emit: func(q int, record []byte) { c.records[q] = append(c.records[q], slices.Clone(record)) }}
	for _, change := range change {
		change(&cfg)
	}
	c.Combiner = New(cfg, inputs)
	c.records = make([][][]byte, cfg.Partitions)
	c.Start(start)
	return c
}

func createTime(c *Config)   { c.CreateTime = true }
func onePartition(c *Config) { c.Partitions = 1 }
func maxRecord(n int) func(*Config) {
	return func(c *Config) { c.MaxRecord = n }
}

// counted is one window of what was flushed.
type counted struct {
	lines, late int64
	words       map[string]int64
}

// flushed returns the records that there are for each partition after a Flush.
func flushed(c *collector, linesPartitions int) [][][]byte {
	c.Flush(linesPartitions)
	records := c.records
	c.records = make([][][]byte, c.cfg.Partitions)
	return records
}

// flush decodes what there is after a Flush and checks what holds for every flush.
func flush(t *testing.T, c *collector) (windows map[int64]counted, mark wire.Watermark) {
	t.Helper()
	const linesPartitions = 7
	size, load, pending := c.Size(), c.Load(), c.Pending()
	records := flushed(c, linesPartitions)
	watermark := c.Watermark()
	windows = make(map[int64]counted)
	lines, words := int64(0), int64(0)
	for q, list := range records {
		order := int64(math.MinInt64)
		seen := make(map[int64]bool)
		for i, record := range list {
			partial, entries, m, err := wire.ParseShuffle(record)
			if err != nil {
				t.Fatal(err)
			}
			if m != nil {
				if i != len(list)-1 {
					t.Errorf("partition %d: the watermark is record %d of %d", q, i, len(list))
				}
				want := wire.Watermark{Slot: c.cfg.Slot, Interval: interval, Time: watermark, Partitions: linesPartitions}
				if *m != want {
					t.Errorf("partition %d: watermark %+v, want %+v", q, *m, want)
				}
				mark = *m
				continue
			}
			if i == len(list)-1 {
				t.Errorf("partition %d does not end with a watermark", q)
			}
			if partial.Slot != c.cfg.Slot || partial.Interval != interval {
				t.Errorf("partition %d: a partial of slot %d, interval %d", q, partial.Slot, partial.Interval)
			}
			if partial.Window < order {
				t.Errorf("partition %d: window %d after window %d", q, partial.Window, order)
			}
			order = partial.Window
			w, ok := windows[partial.Window]
			if !ok {
				w = counted{words: make(map[string]int64)}
			}
			if first := !seen[partial.Window]; first != (partial.Lines > 0) {
				t.Errorf("partition %d, window %d: %d lines in a record that is the first: %t", q, partial.Window, partial.Lines, first)
			}
			if seen[partial.Window] && partial.Late != 0 {
				t.Errorf("partition %d, window %d: late lines in a further record", q, partial.Window)
			}
			if q == 0 {
				w.lines, w.late = w.lines+partial.Lines, w.late+partial.Late
			}
			entriesInRecord := 0
			for len(entries) > 0 {
				word, count, rest, ok := wire.NextEntry(entries)
				if !ok {
					t.Fatal("malformed entries")
				}
				if kafkaio.Partition(word, c.cfg.Partitions) != int32(q) {
					t.Errorf("%q is in partition %d", word, q)
				}
				if _, twice := w.words[string(word)]; twice {
					t.Errorf("%q stands twice for window %d", word, partial.Window)
				}
				w.words[string(word)] = count
				words += count
				entries = rest
				entriesInRecord++
			}
			if len(record) > c.cfg.MaxRecord && entriesInRecord > 1 {
				t.Errorf("partition %d: a record of %d bytes with %d words, the limit is %d", q, len(record), entriesInRecord, c.cfg.MaxRecord)
			}
			seen[partial.Window] = true
			windows[partial.Window] = w
		}
		if !maps.Equal(seen, all(windows)) {
			t.Errorf("partition %d has windows %v of %v", q, seen, windows)
		}
	}
	for _, w := range windows {
		lines += w.lines
	}
	if lines != pending.Lines || words != pending.Words {
		t.Errorf("%d lines and %d words were flushed, %d and %d were pending", lines, words, pending.Lines, pending.Words)
	}
	if (size > 0) != (words > 0) || (load > 0) != (words > 0) || c.Size() != 0 || c.Load() != 0 || c.Pending() != (Totals{}) || c.Until() != math.MinInt64 {
		t.Errorf("after the flush: size %d (was %d), load %d (was %d), pending %+v, until %d",
			c.Size(), size, c.Load(), load, c.Pending(), c.Until())
	}
	return windows, mark
}

// A watermark is the newest also where nobody has asked for it since the last line, and none of the lines was in another window.
func TestFlushHasTheNewestWatermark(t *testing.T) {
	c := combiner(t, 2, onePartition)
	c.Line(0, start+1000, far, []byte("a"))
	c.Line(1, start+1200, far, []byte("a"))
	c.Flush(1)
	c.Line(0, start+2000, far, []byte("a"))
	c.Flush(1)
	if got, want := c.emitted(t), "0:2 >1000 0:1 >1200"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// emitted returns what partition 0 has got since it was asked last: windows and their lines, watermarks as ms, both from the start on.
func (c *collector) emitted(t *testing.T) string {
	t.Helper()
	var all []string
	for _, record := range c.records[0] {
		partial, _, mark, err := wire.ParseShuffle(record)
		if err != nil {
			t.Fatal(err)
		}
		if mark != nil {
			all = append(all, fmt.Sprintf(">%d", mark.Time-start))
		} else {
			all = append(all, fmt.Sprintf("%d:%d", partial.Window-start/interval, partial.Lines))
		}
	}
	c.records[0] = nil
	return strings.Join(all, " ")
}

// What FlushAhead has emitted is not emitted again; the watermark is, where it is another one than was said.
func TestFlushAhead(t *testing.T) {
	for _, test := range []struct {
		name  string
		then  func(c *collector)
		ahead string // what is emitted first
		want  string
		until int64
	}{
		{"the window closes", func(c *collector) { c.Idle(0, start+5250) }, "0:2 >5000", "", start + interval},
		{"and nothing else is known", func(*collector) {}, "0:2 >5000", ">1000", start + interval},
		{"a further line of the window", func(c *collector) { c.Line(0, start+2000, far, []byte("c")) }, "0:2 >5000", "0:1 >2000", start + interval},
		{"which closes then", func(c *collector) {
			c.Line(0, start+2000, far, []byte("c"))
			c.Idle(0, start+5250)
		}, "0:2 >5000", "0:1", start + interval},
		{"a line of the next window", func(c *collector) { c.Line(0, start+5001, far, []byte("c")) }, "0:2 >5000", "1:1 >5001", start + 2*interval},
		{"a line at its beginning", func(c *collector) { c.Line(0, start+5000, far, []byte("c")) }, "0:2 >5000", "1:1", start + 2*interval},
		{"ahead again", func(c *collector) { c.FlushAhead(1) }, "0:2 >5000", ">1000", start + interval},
		{"and again with a line", func(c *collector) {
			c.Line(0, start+2000, far, []byte("c"))
			c.FlushAhead(1)
		}, "0:2 >5000", "0:1 >2000", start + interval},
		{"and again for the window behind", func(c *collector) {
			c.Line(0, start+5001, far, []byte("c"))
			c.FlushAhead(1)
		}, "0:2 >5000", "1:1 >10000 >5001", start + 2*interval},
	} {
		c := combiner(t, 1, onePartition)
		c.Line(0, start+500, far, []byte("a b"))
		c.Line(0, start+1000, far, []byte("a"))
		c.FlushAhead(1)
		if got := c.emitted(t); got != test.ahead {
			t.Errorf("%s: ahead %s, want %s", test.name, got, test.ahead)
		}
		if want := (Totals{Lines: 2, Words: 3}); c.Pending() != want || c.Until() != start+interval || c.Load() == 0 || c.Size() == 0 || c.Closes() {
			t.Errorf("%s: pending %+v until %d, load %d, size %d, closes %t", test.name, c.Pending(), c.Until(), c.Load(), c.Size(), c.Closes())
		}
		test.then(c)
		if c.Until() != test.until {
			t.Errorf("%s: until %d, want %d", test.name, c.Until(), test.until)
		}
		c.Flush(1)
		if got := c.emitted(t); got != test.want {
			t.Errorf("%s: then %s, want %s", test.name, got, test.want)
		}
		if c.Pending() != (Totals{}) || c.Load() != 0 || c.Size() != 0 || c.Closes() {
			t.Errorf("%s: in the end pending %+v, load %d, size %d, closes %t", test.name, c.Pending(), c.Load(), c.Size(), c.Closes())
		}
		watermark := c.Watermark() - start
		if c.Flush(1); c.emitted(t) != fmt.Sprintf(">%d", watermark) { // it is said with every transaction
			t.Errorf("%s: the next transaction does not say %d", test.name, watermark)
		}
	}
}

// What was emitted ahead counts for Until, also when lines of an earlier window come behind it.
func TestUntilAfterFlushAhead(t *testing.T) {
	c := combiner(t, 2)
	c.Line(0, start+5001, far, []byte("a"))
	c.FlushAhead(1)
	c.Line(1, start+1000, far, []byte("a"))
	if got := c.Until() - start; got != 2*interval {
		t.Errorf("until start%+d", got)
	}
	c.FlushAhead(1)
	if got := c.Until() - start; got != 2*interval {
		t.Errorf("until start%+d, when all is emitted", got)
	}
}

func all(windows map[int64]counted) map[int64]bool {
	seen := make(map[int64]bool)
	for number := range windows {
		seen[number] = true
	}
	return seen
}

// TestLine: the window in which a line is counted, whether it is late, and the slot's watermark after it.
func TestLine(t *testing.T) {
	const w0 = int64(start / interval)
	type line struct {
		input int
		time  int64
		// what is wanted
		window    int64
		late      bool
		watermark int64
	}
	for _, c := range []struct {
		name   string
		inputs int
		change []func(*Config)
		now    int64
		lines  []line
	}{
		{"windows by time, the watermark is the newest time", 1, nil, far, []line{
			{0, start, w0, false, start},
			{0, start + 4999, w0, false, start + 4999},
			{0, start + 5000, w0 + 1, false, start + 5000},
			{0, start + 4999, w0 + 1, true, start + 5000},
			{0, start + 60_000, w0 + 12, false, start + 60_000},
		}},
		{"the least of two inputs", 2, nil, far, []line{
			{0, start + 20_000, w0 + 4, false, start},
			{1, start + 6000, w0 + 1, false, start + 6000},
			{1, start + 5500, w0 + 1, false, start + 6000},
			{1, start + 4000, w0 + 1, true, start + 6000}, // its window has ended
			{1, start + 30_000, w0 + 6, false, start + 20_000},
			{0, start + 19_000, w0 + 4, true, start + 20_000}, // its window ends where the watermark is
		}},
		{"CreateTime: less the grace", 1, []func(*Config){createTime}, far, []line{
			{0, start + 5100, w0 + 1, false, start + 4850},
			{0, start + 4900, w0, false, start + 4850}, // out of order within the grace
			{0, start + 5250, w0 + 1, false, start + 5000},
			{0, start + 4999, w0 + 1, true, start + 5000},
			{0, start + 200, w0 + 1, true, start + 5000},
		}},
		{"a minute ahead is taken as it is, more counts as now", 1, nil, start + 1000, []line{
			{0, start + 61_000, w0 + 12, false, start + 61_000},
			{0, start + 61_001, w0 + 12, true, start + 61_000}, // now is behind the watermark
		}},
		{"far ahead counts as now", 1, nil, start + 7000, []line{
			{0, math.MaxInt64, w0 + 1, false, start + 7000},
			{0, start + 7000 + 60_001, w0 + 1, false, start + 7000},
		}},
		{"negative times are late", 1, nil, far, []line{
			{0, -1, w0, true, start},
			{0, start + 5000, w0 + 1, false, start + 5000},
			{0, math.MinInt64, w0 + 1, true, start + 5000},
		}},
		{"before the start is late", 1, nil, far, []line{
			{0, start - 1, w0, true, start},
			{0, 0, w0, true, start},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			combiner := combiner(t, c.inputs, c.change...)
			for i, l := range c.lines {
				combiner.Line(l.input, l.time, c.now, []byte("a b a"))
				if got := combiner.Watermark(); got != l.watermark {
					t.Errorf("line %d: watermark %d, want %d (start %+d)", i, got, l.watermark, got-start)
				}
				late := int64(0)
				if l.late {
					late = 1
				}
				if got, want := combiner.Pending(), (Totals{Lines: 1, Words: 3, Late: late}); got != want {
					t.Errorf("line %d: pending %+v, want %+v", i, got, want)
				}
				if got := combiner.Until(); got != (l.window+1)*interval {
					t.Errorf("line %d: until %d, want the end of window %d", i, got, l.window)
				}
				windows, _ := flush(t, combiner)
				w, ok := windows[l.window]
				if len(windows) != 1 || !ok || w.lines != 1 || w.late != late || !maps.Equal(w.words, map[string]int64{"a": 2, "b": 1}) {
					t.Errorf("line %d is in %+v, want one line, late %t, in window %d", i, windows, l.late, l.window)
				}
			}
		})
	}
}

// TestWatermark: idle partitions and the clock.
func TestWatermark(t *testing.T) {
	want := func(c *collector, watermark int64) {
		t.Helper()
		if got := c.Watermark(); got != watermark {
			t.Errorf("watermark %d, want %d (start %+d, want %+d)", got, watermark, got-start, watermark-start)
		}
	}

	c := combiner(t, 2)
	want(c, start)
	c.Idle(0, start+9000)
	want(c, start) // nothing is known of the other input
	c.Idle(1, start+5249)
	want(c, start) // less the grace, the window has not ended
	c.Idle(1, start+5250)
	want(c, start+5000)
	c.Line(1, start+7000, far, []byte("a"))
	want(c, start+5000)   // as the other input, which no window has passed since
	c.Idle(1, start+6000) // a fetch that was sent before
	want(c, start+5000)
	c.Idle(0, start+1000)
	want(c, start+5000)
	c.Now(far) // is for slots without inputs
	want(c, start+5000)
	c.Line(0, start+8000, far, []byte("a"))
	c.Line(1, start+9000, far, []byte("a"))
	want(c, start+8000)

	c = combiner(t, 0)
	want(c, start)
	c.Now(start + 100)
	want(c, start) // never falls
	c.Now(start + 5250)
	want(c, start+5000)
	c.Now(start + 9000)
	want(c, start+5000) // no window has ended since
	c.Now(start + 1000)
	want(c, start+5000)

	// A watermark that was committed holds whatever the inputs say.
	c = combiner(t, 1)
	c.Start(start + 60_000)
	c.Line(0, start+30_000, far, []byte("a"))
	want(c, start+60_000)
	c.Idle(0, start+50_000)
	want(c, start+60_000)
	if windows, _ := flush(t, c); windows[start/interval+12].late != 1 {
		t.Errorf("the line is in %+v, want it late in the window of the watermark", windows)
	}

	c = combiner(t, 1, onePartition)
	c.Combiner = New(c.cfg, 1)
	if got := c.Watermark(); got != wire.NoWatermark {
		t.Errorf("before the start: watermark %d", got)
	}
	if c.Closes() || c.NextEnd() != math.MinInt64 {
		t.Errorf("before the start: closes %t, next end %d", c.Closes(), c.NextEnd())
	}
	if _, mark := flushOne(t, c); mark.Time != wire.NoWatermark {
		t.Errorf("before the start: watermark record %+v", mark)
	}
}

func flushOne(t *testing.T, c *collector) (records [][]byte, mark wire.Watermark) {
	t.Helper()
	records = flushed(c, 1)[0]
	_, _, m, err := wire.ParseShuffle(records[len(records)-1])
	if err != nil || m == nil {
		t.Fatalf("the last record is no watermark: %v", err)
	}
	return records, *m
}

func TestClosesAndNextEnd(t *testing.T) {
	c := combiner(t, 1)
	want := func(closes bool, end int64) {
		t.Helper()
		if c.Closes() != closes || c.NextEnd() != end {
			t.Errorf("closes %t, next end start%+d; want %t, start%+d", c.Closes(), c.NextEnd()-start, closes, end-start)
		}
	}
	want(false, start+5000)
	c.Line(0, start+4999, far, []byte("a"))
	want(false, start+5000)
	flush(t, c)
	want(false, start+5000)
	c.Line(0, start+5000, far, []byte("a"))
	want(true, start+10_000)
	c.Line(0, start+23_000, far, []byte("a"))
	want(true, start+25_000)
	flush(t, c)
	want(false, start+25_000)
	c.Idle(0, start+25_250)
	want(true, start+30_000)
}

// TestFlushSplits: records are split by partition and by size, whatever the sizes of words are.
func TestFlushSplits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, limit := range []int{64, 200, 1000, 1 << 20} {
		c := combiner(t, 1, maxRecord(limit))
		want := make(map[int64]map[string]int64)
		for range 300 {
			at := start + r.Int64N(12_000)
			if c.Watermark() > at {
				at = c.Watermark()
			}
			word := strings.Repeat("x", r.IntN(90)) + fmt.Sprint(r.IntN(500))
			c.Line(0, at, far, []byte(word))
			number := window.Interval(interval).Of(at)
			if want[number] == nil {
				want[number] = make(map[string]int64)
			}
			want[number][word]++
		}
		records := 0
		for _, list := range flushed(c, 1) {
			records += len(list)
			for _, record := range list {
				partial, entries, _, err := wire.ParseShuffle(record)
				if err != nil {
					t.Fatal(err)
				}
				for n := 0; len(entries) > 0; n++ {
					if n > 0 && len(record) > limit {
						t.Errorf("a record of %d bytes has several words, the limit is %d", len(record), limit)
					}
					word, count, rest, _ := wire.NextEntry(entries)
					if want[partial.Window][string(word)] -= count; want[partial.Window][string(word)] == 0 {
						delete(want[partial.Window], string(word))
					}
					entries = rest
				}
			}
		}
		for number, words := range want {
			if len(words) > 0 {
				t.Errorf("limit %d, window %d: %v is missing or too much", limit, number, words)
			}
		}
		if limit < 1000 && records < 50 {
			t.Errorf("limit %d: only %d records", limit, records)
		}
		if limit == 1<<20 && records != 4*(3+1) { // of three windows, and the watermark
			t.Errorf("limit %d: %d records", limit, records)
		}
	}
}

// A word that is longer than a record may be stands alone; one that is longer than words may be is cut.
func TestLongWords(t *testing.T) {
	c := combiner(t, 1, onePartition, maxRecord(1000))
	long := strings.Repeat("y", tokenize.MaxWord)
	c.Line(0, start, far, []byte("a "+long+" "+long+"z b"))
	if got, want := c.Pending(), (Totals{Lines: 1, Words: 4, Cut: 1}); got != want {
		t.Errorf("pending %+v, want %+v", got, want)
	}
	windows, _ := flush(t, c)
	want := map[string]int64{"a": 1, "b": 1, long: 1, long + "…": 1}
	if got := windows[start/interval].words; !maps.Equal(got, want) {
		t.Errorf("%d words, want %d", len(got), len(want))
	}
}

func TestInvalidUTF8(t *testing.T) {
	c := combiner(t, 1, onePartition)
	c.Line(0, start, far, []byte("a\xffb ok"))
	c.Line(0, start, far, []byte("a\xe2\x82b"))
	c.Line(0, start, far, nil) // a record without a value is an empty line
	windows, _ := flush(t, c)
	if got, want := windows[start/interval].words, map[string]int64{"a\ufffdb": 2, "ok": 1, "": 1}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Size and Load grow with new words only. A window that gets no more lines takes less memory, but as much where it is summed.
func TestSize(t *testing.T) {
	c := combiner(t, 1)
	c.Line(0, start, far, []byte("hello"))
	size := c.Size()
	if size < len("hello") || c.Load() != size {
		t.Errorf("size %d, load %d", size, c.Load())
	}
	c.Line(0, start, far, []byte("hello hello"))
	if c.Size() != size || c.Load() != size {
		t.Errorf("size %d, load %d after the same word, were %d", c.Size(), c.Load(), size)
	}
	c.Line(0, start+4999, far, []byte("hello"))
	if got := len(slices.Concat(c.records...)); got != 0 {
		t.Errorf("%d records of a window that may get more lines", got)
	}
	c.Line(0, start+5000, far, []byte("hello"))
	records := len(slices.Concat(slices.Concat(c.records...)...))
	if c.Size() != size+records || c.Load() != 2*size || records == 0 {
		t.Errorf("size %d, load %d after the same word in another window, want %d (records have %d bytes) and %d", c.Size(), c.Load(), size+records, records, 2*size)
	}
	c.Idle(0, start+10_250)
	if c.Size() > 3*records || c.Load() != 2*size || c.Until() != start+10_000 {
		t.Errorf("size %d, load %d, until %d when no window is open, want two windows' records and %d", c.Size(), c.Load(), c.Until(), 2*size)
	}
	if windows, _ := flush(t, c); len(windows) != 2 {
		t.Errorf("windows %v", windows)
	}
}

// TestAgainstOracle: random lines, idle notes and flushes; every line is in its window or late in the watermark's, no partial
// comes after its window's end was promised, and the watermark never falls.
func TestAgainstOracle(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		inputs := 1 + r.IntN(3)
		change := []func(*Config){maxRecord(64 + r.IntN(500))}
		if r.IntN(2) == 0 {
			change = append(change, createTime)
		}
		c := combiner(t, inputs, change...)
		i := c.cfg.Interval
		now, lines, late := int64(start), int64(0), int64(0)
		want := make(map[int64]int64) // lines by window
		got := make(map[int64]int64)
		promised := int64(math.MinInt64)
		inputsAt := make([]int64, inputs)
		for range 400 {
			before := max(start, slices.Min(inputsAt)) // what the watermark should be; nobody asks for it, mostly
			now += r.Int64N(700)
			input := r.IntN(inputs)
			switch n := r.IntN(10); {
			case n == 0:
				sentAt := now - r.Int64N(500)
				c.Idle(input, sentAt)
				inputsAt[input] = max(inputsAt[input], i.Floor(sentAt-c.cfg.Grace))
			case n == 1:
				windows, mark := flush(t, c)
				for number, w := range windows {
					if i.End(number) <= promised {
						t.Errorf("seed %d: a partial of window %d after the watermark %d", seed, number, promised)
					}
					got[number] += w.lines
				}
				promised = mark.Time
			default:
				at := now - r.Int64N(3000)
				if r.IntN(30) == 0 {
					at = []int64{-5, 0, now + 60_000, now + 60_001, math.MaxInt64, now - 100_000}[r.IntN(6)]
				}
				c.Line(input, at, now, []byte("a"))
				lines++
				counted := at
				if at > now+60_000 {
					counted = now
				}
				number := i.Of(counted)
				if at < 0 || i.End(number) <= before {
					late++
					number = i.Of(before)
				} else if c.cfg.CreateTime {
					inputsAt[input] = max(inputsAt[input], counted-c.cfg.Grace)
				} else {
					inputsAt[input] = max(inputsAt[input], counted)
				}
				want[number]++
			}
			after := max(before, slices.Min(inputsAt))
			if c.Reached(input) != max(inputsAt[input], after) || c.NextEnd() != i.End(i.Of(after)) {
				t.Fatalf("seed %d: reached %d, the next end is %d with the watermark %d", seed, c.Reached(input), c.NextEnd(), after)
			}
			if r.IntN(10) == 0 && c.Watermark() != after {
				t.Fatalf("seed %d: the watermark is %d, want %d", seed, c.Watermark(), after)
			}
		}
		windows, _ := flush(t, c)
		for number, w := range windows {
			got[number] += w.lines
		}
		if !maps.Equal(got, want) {
			t.Errorf("seed %d: lines by window %v, want %v", seed, got, want)
		}
		if late == 0 || lines == 0 {
			t.Errorf("seed %d: %d lines, %d late", seed, lines, late)
		}
	}
}

// The order of a window's words is the order in which they came, so that a flush is the same for the same lines.
func TestFlushIsDeterministic(t *testing.T) {
	flush := func() [][][]byte {
		c := combiner(t, 1, maxRecord(300))
		for n := range 50 {
			c.Line(0, start+int64(n)*100, far, fmt.Appendf(nil, "w%d w%d", n%7, n))
		}
		return flushed(c, 4)
	}
	one, two := flush(), flush()
	for q := range one {
		if !slices.EqualFunc(one[q], two[q], slices.Equal) {
			t.Errorf("partition %d differs", q)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	tokenizer, _ := tokenize.New("space")
	c := New(Config{Interval: interval, Grace: 250, Partitions: 4, Tokenizer: tokenizer}, 1)
	c.Start(start)
	line := []byte("hello spark streaming this is a line of text")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		c.Line(0, start, far, line)
	}
}

// BenchmarkFlush: what a distinct word costs from the table to a shuffle record.
func BenchmarkFlush(b *testing.B) {
	const distinct = 10_000
	c := combiner(b, 1, maxRecord(256<<10), func(cfg *Config) { cfg.Emit = func(int, []byte) {} })
	var line []byte
	for i := range distinct {
		line = fmt.Appendf(line, "word%d ", i)
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += distinct {
		b.StopTimer()
		c.Line(0, start, far, line)
		b.StartTimer()
		c.Flush(4)
	}
}
