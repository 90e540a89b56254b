package reduce

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"wordcount/internal/wire"
)

const (
	interval = 5000
	w0       = 353806145 // of 2026-01-21T21:25:25Z
	start    = w0 * interval
)

// partial makes a partial record; words are "word" or "word*count".
func partial(slot int, number, lines, late int64, words ...string) []byte {
	record := wire.AppendPartial(nil, wire.Partial{Slot: slot, Interval: interval, Window: number, Lines: lines, Late: late})
	for _, word := range words {
		count := int64(1)
		if text, n, ok := strings.Cut(word, "*"); ok {
			word = text
			fmt.Sscan(n, &count)
		}
		record = wire.AppendEntry(record, []byte(word), count)
	}
	return record
}

func watermark(slot int, time int64) []byte {
	return wire.AppendWatermark(nil, wire.Watermark{Slot: slot, Interval: interval, Time: time, Partitions: 4})
}

func watermarkOf(slot int, time int64, partitions int) []byte {
	return wire.AppendWatermark(nil, wire.Watermark{Slot: slot, Interval: interval, Time: time, Partitions: partitions})
}

// take takes in a record that is a transaction.
func take(r *Reducer, offset int64, record []byte) error {
	err := r.Apply(0, offset, record)
	r.Ended(0)
	return err
}

// apply takes in records from an offset on, each a transaction.
func apply(t *testing.T, r *Reducer, from int64, records ...[]byte) {
	t.Helper()
	for i, record := range records {
		if err := take(r, from+int64(i), record); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
}

// counted returns a window's words.
func counted(w Window) map[string]int64 {
	counts := make(map[string]int64)
	for word, count := range w.Counts.All {
		counts[string(word)] = count
	}
	return counts
}

// closed closes all that is due and renders it: number:lines/late/words{distinct words}.
func closed(r *Reducer) (windows []string, skipped int64) {
	for {
		w, n, ok, err := r.Close()
		skipped += n
		if err != nil {
			return append(windows, err.Error()), skipped
		}
		if !ok {
			return windows, skipped
		}
		if w.Start != w.End-interval {
			windows = append(windows, fmt.Sprintf("window of %d to %d", w.Start, w.End))
			continue
		}
		windows = append(windows, fmt.Sprintf("%d:%d/%d/%d%v", w.Start/interval-w0, w.Lines, w.Late, w.Words, counted(w)))
	}
}

func wantClosed(t *testing.T, r *Reducer, skipped int64, windows ...string) {
	t.Helper()
	got, n := closed(r)
	if fmt.Sprint(got) != fmt.Sprint(windows) || n != skipped {
		t.Errorf("closed %v and skipped %d, want %v and %d", got, n, windows, skipped)
	}
}

func first(partitions int) *Reducer {
	return New(Config{Interval: interval, Partitions: partitions, MaxEmpty: 3}, nil, 0)
}

// The first batch of a group is the earliest of the slots' first windows, whoever speaks first.
func TestStart(t *testing.T) {
	r := first(3)
	if _, _, ok, _ := r.Close(); ok || r.Started() || r.Watermark() != wire.NoWatermark {
		t.Error("a reduce that has read nothing has started")
	}
	apply(t, r, 0,
		watermark(0, wire.NoWatermark),
		watermark(1, wire.NoWatermark),
		watermark(1, start+12_000),
		partial(1, w0+2, 1, 0, "b"),
		watermark(1, start+14_999),
		watermark(2, wire.NoWatermark),
		watermark(2, start+40_000),
		watermark(2, start+41_000))
	if r.Started() {
		t.Error("started before slot 0 said where it starts")
	}
	apply(t, r, 8, watermark(0, start+7000)) // the window of start+5000
	if !r.Started() || r.Closed() != start+5000 {
		t.Errorf("started %t, closed until start%+d, want start%+d", r.Started(), r.Closed()-start, 5000)
	}
	if got := r.Watermark(); got != start+7000 {
		t.Errorf("watermark start%+d", got-start)
	}
	wantClosed(t, r, 0) // window 1 is open
	apply(t, r, 9, partial(0, w0+1, 1, 0, "a"), watermark(0, start+10_000))
	wantClosed(t, r, 0, "1:1/0/1map[a:1]")
	// What a slot announces later does not move the start.
	apply(t, r, 11, watermark(1, start+50_000), watermark(0, start+50_000), watermark(2, start+50_000))
	wantClosed(t, r, 4, "2:1/0/1map[b:1]", "3:0/0/0map[]", "4:0/0/0map[]", "5:0/0/0map[]")
}

// A window closes when all slots have passed its end, in order, with the words of all.
func TestClose(t *testing.T) {
	r := first(2)
	apply(t, r, 0,
		watermark(0, start), watermark(1, start),
		partial(0, w0, 2, 0, "a*2", "b"),
		partial(0, w0, 0, 0, "c"), // a further record of the same window has no lines
		partial(0, w0+1, 1, 0, "x"),
		watermark(0, start+9999),
		partial(1, w0+1, 3, 1, "x*5", "y"),
		partial(1, w0, 1, 0, "a"),
		watermark(1, start+4999))
	wantClosed(t, r, 0)
	apply(t, r, 9, watermark(1, start+5000))
	wantClosed(t, r, 0, "0:3/0/5map[a:3 b:1 c:1]")
	apply(t, r, 10, watermark(1, start+5000)) // said again
	wantClosed(t, r, 0)
	apply(t, r, 11, watermark(1, start+10_000), watermark(0, start+10_001))
	wantClosed(t, r, 0, "1:4/1/7map[x:6 y:1]")
	// A watermark never falls.
	apply(t, r, 13, watermark(0, start), watermark(1, start))
	if got := r.Watermark(); got != start+10_000 {
		t.Errorf("watermark start%+d", got-start)
	}
	// A window with lines but none of this partition's words is not empty.
	apply(t, r, 15, partial(0, w0+2, 7, 0), watermark(0, start+15_000), watermark(1, start+15_000))
	wantClosed(t, r, 0, "2:7/0/0map[]")
	if r.Closed() != start+15_000 {
		t.Errorf("closed until start%+d", r.Closed()-start)
	}
}

// Of a run of empty windows the first MaxEmpty are reported; which ones does not depend on when they are closed.
func TestSkip(t *testing.T) {
	for _, maxEmpty := range []int64{0, 1, 3, 100} {
		for _, step := range []int64{1, 2, 7, 100} { // windows by which the watermark moves
			r := New(Config{Interval: interval, Partitions: 1, MaxEmpty: maxEmpty}, nil, 0)
			apply(t, r, 0, watermark(0, start))
			nonEmpty := map[int64]bool{0: true, 4: true, 5: true, 30: true, 31: true, 70: true}
			offset, got, skipped := int64(1), []int64(nil), int64(0)
			for to := step; to < 100+step; to += step {
				for k := to - step; k < min(to, 100); k++ {
					if nonEmpty[k] {
						apply(t, r, offset, partial(0, w0+k, 1, 0, "a"))
						offset++
					}
				}
				apply(t, r, offset, watermark(0, start+min(to, 100)*interval))
				offset++
				for {
					w, n, ok, err := r.Close()
					skipped += n
					if err != nil {
						t.Fatal(err)
					}
					if !ok {
						break
					}
					k := w.Start/interval - w0
					if nonEmpty[k] != (w.Lines == 1) {
						t.Errorf("window %d has %d lines", k, w.Lines)
					}
					got = append(got, k)
				}
			}
			var want []int64
			last, wantSkipped := int64(-1), int64(0)
			for k := range int64(100) {
				switch {
				case nonEmpty[k]:
					last = k
					fallthrough
				case k-last <= maxEmpty:
					want = append(want, k)
				default:
					wantSkipped++
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || skipped != wantSkipped {
				t.Errorf("at most %d empty, %d windows at a time: %v and %d skipped, want %v and %d", maxEmpty, step, got, skipped, want, wantSkipped)
			}
			if r.Closed() != start+100*interval {
				t.Errorf("at most %d empty, %d windows at a time: closed until window %d", maxEmpty, step, r.Closed()/interval-w0)
			}
		}
	}
}

// Who walks through the rows of windows without words, or lines, does not walk through a table that was made for a full one.
func TestEmptyTakesNoTable(t *testing.T) {
	r := New(Config{Interval: interval, Partitions: 1, MaxEmpty: 10}, nil, 0)
	apply(t, r, 0, watermark(0, start), partial(0, w0, 1, 0, "hello"), partial(0, w0+2, 1, 0), watermark(0, start+4*interval))
	full, _, ok, err := r.Close()
	if err != nil || !ok || len(counted(full)) != 1 {
		t.Fatalf("the window closed as %+v, %v, %v", full, ok, err)
	}
	for i := range 3 {
		empty, _, ok, err := r.Close()
		if err != nil || !ok || empty.Lines != int64(i%2) || len(counted(empty)) != 0 || empty.Counts == full.Counts {
			t.Errorf("window %d closed as %+v, %v, %v", i+1, empty, ok, err)
		}
	}
	apply(t, r, 4, partial(0, w0+4, 1, 0, "spark"), watermark(0, start+5*interval))
	if next, _, ok, err := r.Close(); err != nil || !ok || next.Counts != full.Counts || len(counted(next)) != 1 {
		t.Errorf("the next window closed as %+v, %v, %v", next, ok, err)
	}
}

// The safe offset is the least of the open windows' first partials and the slots' newest watermark records.
func TestCommit(t *testing.T) {
	r := first(2)
	type step struct {
		record []byte
		safe   int64 // after it; −1: nothing can be committed yet
		closed int64 // relative to start
	}
	for i, s := range []step{
		{watermark(0, wire.NoWatermark), -1, 0},
		{partial(1, w0, 1, 0, "early"), -1, 0},
		{watermark(1, start), -1, 0},
		{watermark(0, start), 1, 0}, // the partial of record 1
		{partial(0, w0, 1, 0, "a"), 1, 0},
		{watermark(0, start+5000), 1, 0},
		{partial(1, w0+1, 1, 0, "b"), 1, 0},
		{watermark(1, start+5000), 5, 5000}, // window 0 is closed; slot 0's watermark is record 5
		{watermark(0, start+5001), 6, 5000}, // window 1's partial is record 6
		{watermark(0, start+10_000), 6, 5000},
		{watermark(1, start+10_000), 9, 10_000},
		{watermark(0, start+20_000), 10, 10_000},
		{watermark(1, start+20_000), 11, 20_000},
		{watermark(1, start+20_001), 11, 20_000},
		{watermark(0, start+20_001), 13, 20_000},
	} {
		apply(t, r, int64(i), s.record)
		closed(r)
		if (s.safe >= 0) != r.Started() {
			t.Fatalf("record %d: started %t", i, r.Started())
		}
		if r.Next() != int64(i)+1 {
			t.Errorf("record %d: next %d", i, r.Next())
		}
		if s.safe < 0 {
			continue
		}
		safe, state := r.Commit()
		if safe != s.safe || state.Closed != start+s.closed {
			t.Errorf("record %d: safe offset %d, closed until start%+d; want %d, start%+d", i, safe, state.Closed-start, s.safe, s.closed)
		}
		if state.Interval != interval || state.Partitions != 2 || state.LinesPartitions != 4 {
			t.Errorf("record %d: state %+v", i, state)
		}
	}
	_, state := r.Commit()
	if state.LastNonEmpty != w0+1 {
		t.Errorf("last non-empty window %d, want %d", state.LastNonEmpty-w0, 1)
	}
}

// What is expected is what comes, as long as windows go on to have lines, or none; and what was open then, and is still, can be read from the offset.
func TestExpected(t *testing.T) {
	r := first(2)
	apply(t, r, 0, watermark(0, start), watermark(1, start))
	at := int64(2)
	for i, window := range []struct {
		lines int64
		early bool // a partial of the next window is there before
		want  bool // as expected
	}{
		{1, false, true}, {2, false, true}, {0, false, false}, {0, false, true}, {1, true, false}, {1, false, true},
	} {
		number, end := w0+int64(i), start+int64(i+1)*interval
		safe, state := r.Expected()
		var records [][]byte
		if window.lines > 0 {
			records = append(records, partial(1, number, window.lines, 0, "a"))
		}
		if window.early {
			records = append(records, partial(0, number+1, 1, 0, "b"))
		}
		records = append(records, watermark(0, end), watermark(1, end))
		apply(t, r, at, records...)
		at += int64(len(records))
		if windows, _ := closed(r); len(windows) != 1 {
			t.Fatalf("window %d: closed %v", i, windows)
		}
		then, came := r.Commit()
		if (state == came) != window.want || state.Closed != came.Closed {
			t.Errorf("window %d: expected %+v, came %+v", i, state, came)
		}
		if safe > then {
			t.Errorf("window %d: the offset was %d, and %d is safe", i, safe, then)
		}
	}
}

// What was counted of the window that is expected to close need not be read again, but what is open behind it, and where the slots are.
func TestExpectedOffset(t *testing.T) {
	for _, test := range []struct {
		next bool // a partial of the next window is there, too
		want int64
	}{{false, 4}, {true, 3}} {
		r := first(2)
		number := int64(w0)
		if test.next {
			number++
		}
		apply(t, r, 0, watermark(0, start), watermark(1, start),
			partial(0, w0, 1, 0, "a"), partial(0, number, 1, 0, "a"), watermark(0, start), watermark(1, start), partial(1, w0, 1, 0, "a"))
		if safe, _ := r.Commit(); safe != 2 {
			t.Errorf("%+v: %d is safe now, want 2", test, safe)
		}
		if safe, _ := r.Expected(); safe != test.want {
			t.Errorf("%+v: %d will be safe, want %d", test, safe, test.want)
		}
	}
}

// How many lines partitions have committed offsets for sure: as many as the slot that knows of the fewest has said with a
// watermark, for only that came with offsets.
func TestLinesPartitions(t *testing.T) {
	r := first(2)
	want := func(n int) {
		t.Helper()
		if _, state := r.Commit(); state.LinesPartitions != n {
			t.Errorf("%d lines partitions, want %d", state.LinesPartitions, n)
		}
	}
	apply(t, r, 0, watermarkOf(0, wire.NoWatermark, 9), watermarkOf(0, start, 4), watermarkOf(1, start, 6))
	want(4)
	apply(t, r, 3, watermarkOf(0, start, 6))
	want(6)
	apply(t, r, 4, watermarkOf(0, start, 4)) // from a task with old metadata
	want(6)
	_, state := r.Commit()
	r = New(Config{Interval: interval, Partitions: 2}, &state, 2)
	want(6) // nothing is read yet
	apply(t, r, 2, watermarkOf(0, start, 8), watermarkOf(1, start, 8))
	want(8)
}

// A reduce that starts from what was committed passes over partials of closed windows and closes the rest once.
func TestRestart(t *testing.T) {
	records := [][]byte{
		watermark(0, start),
		watermark(1, start),
		partial(0, w0, 1, 0, "a"),
		partial(0, w0+1, 1, 0, "b"),
		watermark(0, start+5000),
		partial(1, w0, 1, 0, "c"),
		watermark(1, start+5000),
		partial(1, w0+1, 1, 0, "d"),
		watermark(0, start+10_000),
		watermark(1, start+10_000),
	}
	r := first(2)
	apply(t, r, 0, records[:8]...)
	wantClosed(t, r, 0, "0:2/0/2map[a:1 c:1]")
	safe, state := r.Commit()
	if safe != 3 {
		t.Fatalf("safe offset %d", safe)
	}
	r = New(Config{Interval: interval, Partitions: 2, MaxEmpty: 3}, &state, safe)
	if !r.Started() || r.Closed() != start+5000 || r.Next() != safe {
		t.Errorf("started %t, closed until start%+d, next %d", r.Started(), r.Closed()-start, r.Next())
	}
	wantClosed(t, r, 0)
	apply(t, r, safe, records[safe:]...)
	wantClosed(t, r, 0, "1:2/0/2map[b:1 d:1]")
}

// A watermark holds when its transaction has ended, and then the last one of it.
func TestWatermarkHoldsWhenItsTransactionHasEnded(t *testing.T) {
	r := first(2)
	apply(t, r, 0, watermark(0, start), watermark(1, start))
	add := func(offset int64, record []byte) {
		t.Helper()
		if err := r.Apply(int64(offset%2), offset, record); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, r, 0)
	}
	// Two transactions, of the even offsets and of the odd.
	add(2, partial(0, w0, 1, 0, "a"))
	add(3, watermark(1, start+10_000))
	add(4, watermark(0, start+5000))
	r.Ended(1)
	wantClosed(t, r, 0) // slot 0 has not
	add(6, partial(0, w0, 1, 0, "late"))
	add(8, watermark(0, start+4000))
	r.Ended(2) // nobody's
	wantClosed(t, r, 0)
	r.Ended(0)
	wantClosed(t, r, 0)
	if safe, _ := r.Commit(); safe != 2 || r.Watermark() != start+4000 {
		t.Errorf("safe offset %d, watermark start%+d", safe, r.Watermark()-start)
	}
	add(10, partial(0, w0, 1, 0, "a"))
	add(12, watermark(0, start+5000))
	r.Ended(0)
	wantClosed(t, r, 0, "0:3/0/3map[a:2 late:1]")
	if safe, _ := r.Commit(); safe != 3 {
		t.Errorf("safe offset %d, want that of slot 1's watermark", safe)
	}
	r.Ended(0) // of a transaction without records here
	wantClosed(t, r, 0)

	// A task that starts in between finds the watermark before, and does not lose the one that does not hold yet.
	_, state := r.Commit()
	r = New(r.cfg, &state, 3)
	add(3, watermark(1, start+10_000))
	if safe, _ := r.Commit(); safe != 3 {
		t.Errorf("safe offset %d, want that of the watermark whose end is still to be read", safe)
	}
	r.Ended(1)
	add(12, watermark(0, start+10_000))
	r.Ended(0)
	wantClosed(t, r, 0, "1:0/0/0map[]")
}

// refused returns the error that comes of records, sooner or later.
func refused(r *Reducer, from int64, records ...[]byte) error {
	for i, record := range records {
		if err := take(r, from+int64(i), record); err != nil {
			return err
		}
	}
	_, _, _, first := r.Close()
	if _, _, ok, err := r.Close(); first != nil && (ok || fmt.Sprint(err) != fmt.Sprint(first)) {
		return fmt.Errorf("not the same again: %v, then %v", first, err)
	}
	return first
}

func TestApplyRefuses(t *testing.T) {
	good := partial(0, w0, 1, 0, "a")
	for _, c := range []struct {
		name   string
		record []byte
	}{
		{"nothing", nil},
		{"another version", append([]byte{3}, good[1:]...)},
		{"another kind", append([]byte{1, 'X'}, good[2:]...)},
		{"an entry cut short", good[:len(good)-1]},
		{"an entry of no count", append(partial(0, w0, 1, 0), 1, 'a', 0)},
		{"a word longer than the record", append(partial(0, w0, 1, 0), 200)},
		{"a watermark with more behind it", append(watermark(0, start), 0)},
		{"a slot too many", partial(2, w0, 1, 0)},
		{"a watermark of a slot too many", watermark(2, start)},
		{"another interval", wire.AppendPartial(nil, wire.Partial{Interval: 1000, Window: w0})},
		{"a watermark of another interval", wire.AppendWatermark(nil, wire.Watermark{Interval: 1000, Time: start})},
		{"a negative window", wire.AppendPartial(nil, wire.Partial{Interval: interval, Window: -1})},
		{"a window beyond time", wire.AppendPartial(nil, wire.Partial{Interval: interval, Window: math.MaxInt64 / interval})},
	} {
		r := first(2)
		apply(t, r, 0, watermark(0, start), watermark(1, start))
		if err := refused(r, 2, c.record, watermark(0, start+5000), watermark(1, start+5000)); err == nil || !strings.HasPrefix(err.Error(), "at offset 2: ") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// Entries that have waited are told apart from those of other records, and so are those that need no longer wait.
	short, many := good[:len(good)-1], partial(0, w0, 1, 0, strings.Repeat("long", mayWait/4))
	for _, records := range [][][]byte{{good, short, good}, {good, short, many}, {good, short, many, good}, {many, short}, {many, good, short}} {
		r := first(1)
		apply(t, r, 0, watermark(0, start))
		want := 1 + slices.IndexFunc(records, func(record []byte) bool { return len(record) == len(short) })
		if err := refused(r, 1, append(records, watermark(0, start+5000))...); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("at offset %d: ", want)) {
			t.Errorf("a record cut short at offset %d: %v", want, err)
		}
	}
	// A slot that says less than it has promised has a bug, and going on would lose the lines.
	r := first(2)
	apply(t, r, 0, watermark(0, start+5000), watermark(1, start))
	if err := take(r, 2, partial(0, w0, 1, 0, "a")); err == nil {
		t.Error("a partial behind its slot's watermark was taken")
	}
	apply(t, r, 2, partial(1, w0, 1, 0, "a"), partial(0, w0+1, 1, 0, "a"))
}

// FuzzApply: no bytes make a reduce panic, count what is not there, or close a window twice.
func FuzzApply(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add(partial(0, w0, 1, 0, "a", "b*3"), watermark(0, start+5000))
	f.Add(partial(1, w0+3, 1, 1), watermark(1, math.MaxInt64))
	f.Add(watermark(0, wire.NoWatermark), []byte{1, 'P', 0, 0x88, 0x27, 2, 0, 0, 1})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		r := New(Config{Interval: interval, Partitions: 2, MaxEmpty: 3}, nil, 0)
		before := int64(math.MinInt64)
		for i, record := range [][]byte{watermark(0, start), watermark(1, start), one, two, one, watermark(0, start+20_000), watermark(1, start+20_000)} {
			if err := take(r, int64(i), record); err != nil {
				continue
			}
			for {
				w, skipped, ok, err := r.Close()
				if err != nil {
					break // what was not looked at before is malformed
				}
				if skipped < 0 {
					t.Fatalf("%d windows skipped", skipped)
				}
				if !ok {
					break
				}
				if w.Start < before {
					t.Fatalf("window from %d after one until %d", w.Start, before)
				}
				before = w.End
				sum := int64(0)
				for _, n := range counted(w) {
					sum += n
				}
				if sum != w.Words {
					t.Fatalf("%d words, %v", w.Words, counted(w))
				}
			}
			if r.Started() {
				if safe, state := r.Commit(); safe > int64(i)+1 || safe < 0 || state.Closed < before {
					t.Fatalf("safe offset %d after record %d, closed until %d after %d", safe, i, state.Closed, before)
				}
			}
		}
	})
}

// The words of a window are the sums of its partials, whatever their order, and however many of them have waited for its end.
func TestSums(t *testing.T) {
	r := first(1)
	apply(t, r, 0, watermark(0, start))
	offset := int64(1)
	for k, partials := range []int64{100, 3, 200_000, 0, 1, 200_000, 100} {
		number := w0 + int64(k)
		want := make(map[string]int64)
		lines := int64(0)
		for i := range partials {
			word := fmt.Sprint("w", i%(17+int64(k)))
			apply(t, r, offset, partial(0, number, 2, 1, word+"*"+fmt.Sprint(i+1), "the"))
			offset++
			want[word] += i + 1
			want["the"]++
			lines += 2
		}
		if w := r.windows[number]; w != nil && (w.words == nil) != (partials < 1000) {
			t.Errorf("%d partials wait: %t", partials, w.words == nil)
		}
		apply(t, r, offset, watermark(0, (number+1)*interval))
		offset++
		w, _, ok, err := r.Close()
		if err != nil || !ok || w.Lines != lines || w.Late != partials || !maps.Equal(counted(w), want) {
			t.Errorf("%+v %v %v, want %d lines and %v", w, counted(w), err, lines, want)
		}
	}
	room := 0
	for _, w := range r.spare {
		room += w.room()
	}
	if len(r.spare) != 1 || room != r.spareBytes { // they took it in turns
		t.Errorf("%d spares of %d bytes, %d by the sum", len(r.spare), room, r.spareBytes)
	}
}

// What is kept for other windows is not more than is worth it.
func TestSpareIsLittle(t *testing.T) {
	r := first(1)
	apply(t, r, 0, watermark(0, start))
	offset := int64(1)
	for k := range int64(20) {
		apply(t, r, offset, partial(0, w0+k, 1, 0, strings.Repeat("long", mayWait/5)))
		offset++
	}
	apply(t, r, offset, watermark(0, (w0+20)*interval))
	wantLines(t, r, 20)
	if r.spareBytes == 0 || r.spareBytes > maySpare {
		t.Errorf("%d bytes are kept", r.spareBytes)
	}
	before := len(r.spare)
	apply(t, r, offset+1, watermark(0, (w0+23)*interval)) // empty windows
	wantLines(t, r, 0)
	if len(r.spare) != before {
		t.Errorf("%d spares after empty windows, %d before", len(r.spare), before)
	}
}

// wantLines closes what is due, and wants so many lines in it.
func wantLines(t *testing.T, r *Reducer, want int64) {
	t.Helper()
	for {
		w, _, ok, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		want -= w.Lines
	}
	if want != 0 {
		t.Errorf("%d lines are missing", want)
	}
}

// BenchmarkApply: what a partial count costs from a shuffle record to its sum, closing included.
func BenchmarkApply(b *testing.B) {
	const entries = 10_000
	var words []string
	for i := range entries {
		words = append(words, fmt.Sprint("word", i))
	}
	r := first(1)
	if err := take(r, 0, watermark(0, start)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	offset := int64(1)
	for i, number := 0, int64(w0); i < b.N; number++ {
		b.StopTimer()
		record := partial(0, number, 1, 0, words...)
		b.StartTimer()
		for range 4 { // slots
			if err := take(r, offset, record); err != nil {
				b.Fatal(err)
			}
			offset++
			i += entries
		}
		if err := take(r, offset, watermark(0, (number+1)*interval)); err != nil {
			b.Fatal(err)
		}
		offset++
		if w, _, ok, _ := r.Close(); !ok || w.Words != 4*entries {
			b.Fatal("not closed")
		}
	}
}
