// Package reduce sums the partial counts of one shuffle partition by window and closes windows in order. It knows no
// Kafka, no clock and no goroutine; times are ms since the epoch.
package reduce

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"wordcount/counter/window"
	"wordcount/counter/words"
	"wordcount/internal/wire"
)

// Config is what a Reducer needs to know.
type Config struct {
	Interval   window.Interval
	Partitions int    // Q: slots, and partitions of the shuffle topic
	MaxEmpty   int64  // of a run of empty windows so many are reported, the rest is skipped
	Settings   string // committed with the state
}

// Reducer is the state of one reduce task. It is rebuilt after a crash by applying the records from the committed safe
// offset on.
type Reducer struct {
	cfg     Config
	started bool
	state   wire.ReduceState
	slots   []Promise
	windows map[int64]*counts
	next    int64 // offset after the last record applied

	last       *words.Table // of the window that Close returned last, unless it had no words
	none       words.Table  // of all that have none
	tables     words.Spares
	spare      []waiting // of windows that are summed, for others
	spareBytes int
}

// Entries wait as they are until their window closes, or until they are too many. Then they are summed all at once, in a table that the
// processor's cache has from the window before: in a backlog many windows are open, and each entry would be looked for in another table.
const (
	mayWait  = 1 << 20 // bytes, of a window
	maySpare = 8 << 20 // bytes
)

type counts struct {
	offset int64 // of the earliest partial
	lines  int64
	late   int64
	total  int64
	words  *words.Table // nil while the partials' entries wait
	waiting
}

// waiting are the entries of partials, as they are.
type waiting struct {
	entries []byte
	parts   []part
}

// part is a partial record's share: of entries from where the part before ends.
type part struct {
	offset int64 // of the record
	end    int
}

const partSize = int(unsafe.Sizeof(part{}))

// size returns how many bytes wait.
func (w *waiting) size() int { return len(w.entries) + partSize*len(w.parts) }

// room returns how many bytes may wait without more memory.
func (w *waiting) room() int { return cap(w.entries) + partSize*cap(w.parts) }

// New returns the reducer of a group's first start, or of what was committed.
func New(cfg Config, committed *wire.ReduceState, offset int64) *Reducer {
	r := &Reducer{cfg: cfg, slots: make([]Promise, cfg.Partitions), windows: make(map[int64]*counts), next: offset}
	for i := range r.slots {
		r.slots[i] = NoPromise
	}
	r.state = wire.ReduceState{Interval: int64(cfg.Interval), Partitions: cfg.Partitions, Settings: cfg.Settings}
	if committed != nil {
		r.started = true
		r.state.Closed, r.state.LastNonEmpty, r.state.LinesPartitions = committed.Closed, committed.LastNonEmpty, committed.LinesPartitions
	}
	return r
}

// Apply takes in one committed shuffle record of a producer. An error, which says at which offset, means that the record there was not written by a
// counter with these settings.
func (r *Reducer) Apply(producer, offset int64, record []byte) error {
	partial, entries, mark, err := wire.ParseShuffle(record)
	switch {
	case err != nil:
	case mark != nil:
		err = r.applyWatermark(producer, offset, mark)
	default:
		err = r.checkPartial(partial)
	}
	if err != nil {
		return atOffset(offset, err)
	}
	r.next = offset + 1
	if mark != nil {
		return nil
	}
	return r.applyPartial(offset, partial, entries)
}

func atOffset(offset int64, err error) error { return fmt.Errorf("at offset %d: %w", offset, err) }

func (r *Reducer) checkPartial(partial *wire.Partial) error {
	if err := r.check(partial.Slot, partial.Interval); err != nil {
		return err
	}
	end := r.cfg.Interval.End(partial.Window)
	if w := r.slots[partial.Slot].Watermark; w != wire.NoWatermark && end <= w {
		return fmt.Errorf("partial of slot %d for the window that ends at %d, after its watermark %d", partial.Slot, end, w)
	}
	return nil
}

func (r *Reducer) applyPartial(offset int64, partial *wire.Partial, entries []byte) error {
	if r.started && r.cfg.Interval.End(partial.Window) <= r.state.Closed {
		return nil // counted before the crash: partials come before the end of the transaction whose watermark closed their window
	}
	w := r.windows[partial.Window]
	if w == nil {
		w = &counts{offset: offset}
		r.windows[partial.Window] = w
	}
	w.lines += partial.Lines
	w.late += partial.Late
	switch {
	case len(entries) == 0:
		return nil
	case w.words != nil:
		return w.add(offset, entries)
	case len(w.parts) == 0:
		w.waiting = r.takeSpare()
	}
	w.entries = append(w.entries, entries...)
	w.parts = append(w.parts, part{offset, len(w.entries)})
	if w.size() <= mayWait {
		return nil
	}
	return r.sum(w)
}

// takeSpare returns room for entries.
func (r *Reducer) takeSpare() (w waiting) {
	if last := len(r.spare) - 1; last >= 0 {
		w, r.spare[last] = r.spare[last], waiting{}
		r.spare = r.spare[:last]
		r.spareBytes -= w.room()
	}
	return w
}

// putSpare takes room for entries back.
func (r *Reducer) putSpare(w waiting) {
	if room := w.room(); room > 0 && r.spareBytes+room <= maySpare {
		r.spare = append(r.spare, waiting{w.entries[:0], w.parts[:0]})
		r.spareBytes += room
	}
}

// sum counts the entries that wait.
func (r *Reducer) sum(w *counts) error {
	summed, start := counts{words: r.tables.Take()}, 0
	for _, p := range w.parts {
		if err := summed.add(p.offset, w.entries[start:p.end]); err != nil {
			return err
		}
		start = p.end
	}
	r.putSpare(w.waiting)
	w.words, w.total, w.waiting = summed.words, summed.total, waiting{}
	return nil
}

// add counts the entries of the partial at an offset.
func (w *counts) add(offset int64, entries []byte) error {
	n, ok := w.words.AddEntries(entries)
	if w.total += n; !ok || w.total < 0 {
		return atOffset(offset, errors.New("malformed entries in a partial record"))
	}
	return nil
}

func (r *Reducer) check(slot int, interval int64) error {
	if slot >= r.cfg.Partitions || interval != int64(r.cfg.Interval) {
		return fmt.Errorf("record of slot %d with an interval of %d ms: want a slot below %d and %d ms", slot, interval, r.cfg.Partitions, int64(r.cfg.Interval))
	}
	return nil
}

func (r *Reducer) applyWatermark(producer, offset int64, mark *wire.Watermark) error {
	if err := r.check(mark.Slot, mark.Interval); err != nil {
		return err
	}
	r.slots[mark.Slot].Say(producer, offset, mark)
	return nil
}

// Ended notes that a transaction of a producer has ended behind the records applied: the watermark that was last in it holds.
func (r *Reducer) Ended(producer int64) {
	for i := range r.slots {
		r.slots[i].Ended(producer)
	}
	r.start()
}

// start sets where a new group begins, once every slot has said where it does: at the window of the earliest.
func (r *Reducer) start() {
	if r.started {
		return
	}
	first := int64(math.MaxInt64)
	for _, s := range r.slots {
		if s.First == wire.NoWatermark {
			return
		}
		first = min(first, s.First)
	}
	r.started = true
	r.state.Closed = r.cfg.Interval.Floor(first)
	r.state.LastNonEmpty = r.cfg.Interval.Of(first) - 1
}

// Started tells whether every slot has announced itself, now or before what was committed.
func (r *Reducer) Started() bool { return r.started }

// Watermark returns the least of the slots' watermarks: wire.NoWatermark until all are known.
func (r *Reducer) Watermark() int64 {
	least := int64(math.MaxInt64)
	for _, s := range r.slots {
		least = min(least, s.Watermark)
	}
	return least
}

// Closed returns the time up to which windows are closed.
func (r *Reducer) Closed() int64 { return r.state.Closed }

// Next returns the offset after the last record applied.
func (r *Reducer) Next() int64 { return r.next }

// Window is a closed window's share of one shuffle partition.
type Window struct {
	Start, End int64
	Lines      int64 // of the whole batch
	Late       int64 // of the whole batch
	Words      int64
	Counts     *words.Table // valid until the next Close
}

// Close closes the next window that the watermark has passed, in order; ok is false when none is due. Of a run of empty
// windows those beyond the first MaxEmpty are skipped: how many is returned, also with ok false. An error is as Apply's, and stays.
func (r *Reducer) Close() (w Window, skipped int64, ok bool, err error) {
	if r.last != nil {
		r.tables.Put(r.last)
		r.last = nil
	}
	watermark := r.Watermark()
	if !r.started || watermark == wire.NoWatermark {
		return Window{}, 0, false, nil
	}
	number := r.cfg.Interval.Of(r.state.Closed)
	due := r.cfg.Interval.Of(watermark) // the first window that is not due
	for number < due {
		if c := r.windows[number]; c != nil {
			if c.words == nil && len(c.parts) > 0 {
				if err := r.sum(c); err != nil {
					return Window{}, skipped, false, err
				}
			}
			delete(r.windows, number)
			r.state.LastNonEmpty = number
			return r.closed(number, c), skipped, true, nil
		}
		if number-r.state.LastNonEmpty <= r.cfg.MaxEmpty {
			return r.closed(number, new(counts)), skipped, true, nil
		}
		next := due
		for n := range r.windows {
			next = min(next, n)
		}
		skipped += next - number
		number = next
		r.state.Closed = r.cfg.Interval.Start(number)
	}
	return Window{}, skipped, false, nil
}

func (r *Reducer) closed(number int64, c *counts) Window {
	r.state.Closed = r.cfg.Interval.End(number)
	if r.last = c.words; c.words == nil {
		c.words = &r.none
	}
	return Window{
		Start: r.cfg.Interval.Start(number),
		End:   r.cfg.Interval.End(number),
		Lines: c.lines, Late: c.late, Words: c.total, Counts: c.words,
	}
}

// Commit returns what to commit with the windows closed so far: the offset from which everything that is still open can
// be read again, and the state that goes with it. It must not be called before Started.
func (r *Reducer) Commit() (safe int64, state wire.ReduceState) {
	r.noteLinesPartitions()
	return r.safe(r.state.Closed), r.state
}

// noteLinesPartitions notes in the state what the slot says that knows of the fewest. It never falls.
func (r *Reducer) noteLinesPartitions() {
	partitions := math.MaxInt
	for _, s := range r.slots {
		partitions = min(partitions, s.Partitions)
	}
	r.state.LinesPartitions = max(r.state.LinesPartitions, partitions)
}

// safe returns the offset from which everything can be read again that is open when windows are closed up to a time.
func (r *Reducer) safe(closed int64) int64 {
	safe := r.next
	for number, w := range r.windows {
		if r.cfg.Interval.End(number) > closed {
			safe = min(safe, w.offset)
		}
	}
	for _, s := range r.slots {
		switch {
		case s.offset >= 0:
			safe = min(safe, s.offset)
		case s.saidAt >= 0: // the first since the start
			safe = min(safe, s.saidAt)
		}
	}
	return safe
}

// Expected returns what Commit will return when the next window has closed, if that has lines as the one before had, or none again. Only the
// offset may be greater then: what is open can be read from this one, too. It must not be called before Started.
func (r *Reducer) Expected() (safe int64, state wire.ReduceState) {
	r.noteLinesPartitions()
	state = r.state
	next := r.cfg.Interval.Of(state.Closed)
	if state.LastNonEmpty == next-1 {
		state.LastNonEmpty = next
	}
	state.Closed = r.cfg.Interval.End(next)
	return r.safe(state.Closed), state
}
