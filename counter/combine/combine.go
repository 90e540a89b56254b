// Package combine adds up the words of lines by window, and keeps a slot's watermark. It knows no Kafka, no clock and
// no goroutine: times are ms since the epoch and come from the caller.
package combine

import (
	"cmp"
	"math"
	"slices"

	"wordcount/counter/tokenize"
	"wordcount/counter/window"
	"wordcount/counter/words"
	"wordcount/internal/wire"
)

// MaxAhead is how far a line's time may be ahead of the broker's clock before it counts as now, in ms.
const MaxAhead = 60_000

// Config is what a Combiner needs to know.
type Config struct {
	Slot       int
	Interval   window.Interval
	Grace      int64 // ms that an idle partition is waited for after a window's end, or that CreateTime may be out of order
	Partitions int   // Q, of the shuffle topic
	CreateTime bool  // the lines carry their producers' times
	Tokenizer  tokenize.Tokenizer
	MaxRecord  int // bytes of a shuffle record, unless it has a single word
	// Emit takes a shuffle record for partition q, from Line, Idle, Flush and FlushAhead. The record is valid until it returns.
	Emit func(q int, record []byte)
}

// Combiner is the state of one slot's combine task: what was counted and is not emitted yet, and the watermark.
type Combiner struct {
	cfg       Config
	split     bool      // at single spaces: the tables do it
	inputs    []int64   // watermark of each lines partition of the slot
	watermark int64     // or a time before it in the same window: Watermark has the newest
	due       int64     // the end of that window, ms: an input that reaches it may raise the watermark beyond. The least at first
	sent      int64     // the watermark of the last Flush, or the start's
	ahead     int64     // the watermark of a FlushAhead since; notAhead: there was none
	windows   []*counts // with lines, those that may get more, in order
	current   *counts   // the window of the last line
	pending   Totals
	packed    packed

	spares  words.Spares
	words   []words.Span
	scratch []byte   // of a line that is not UTF-8
	room    []byte   // of a line without memory behind it
	open    [][]byte // a record under construction for each shuffle partition
}

// counts are the partial counts of one window.
type counts struct {
	number     int64
	start, end int64 // ms
	lines      int64
	late       int64
	words      *words.Table
}

// packed is what was emitted of windows since the last Flush.
type packed struct {
	bytes int   // of their records
	load  int   // of their counts
	until int64 // the end of the newest of them, ms
}

// Totals are what was counted.
type Totals struct {
	Lines, Words, Late, Cut int64
}

// New returns a combiner whose watermark has not been set yet: it is wire.NoWatermark until Start.
func New(cfg Config, inputs int) *Combiner {
	c := &Combiner{cfg: cfg, split: tokenize.IsSpace(cfg.Tokenizer), inputs: make([]int64, inputs), watermark: wire.NoWatermark, due: math.MinInt64, sent: wire.NoWatermark,
		ahead: notAhead, packed: nothing, open: make([][]byte, cfg.Partitions)}
	for i := range c.inputs {
		c.inputs[i] = wire.NoWatermark
	}
	return c
}

// Start sets the watermark that the slot begins with: the one committed, or the start of the first window.
func (c *Combiner) Start(watermark int64) { c.watermark, c.sent = watermark, watermark }

// Watermark returns the slot's watermark: no window that ends at or before it gets another line of this slot. It notes it as the newest.
func (c *Combiner) Watermark() int64 {
	if len(c.inputs) > 0 {
		c.watermark = max(c.watermark, slices.Min(c.inputs))
	}
	return c.watermark
}

// Reached returns the time that an input's lines have reached: its watermark, at least the slot's.
func (c *Combiner) Reached(input int) int64 { return max(c.inputs[input], c.watermark) }

// Line counts a line of an input (index of the slot's partitions) with its time; now is the broker's time.
func (c *Combiner) Line(input int, t, now int64, line []byte) {
	if t > now+MaxAhead {
		t = now
	}
	w, late := c.current, false
	if w == nil || t < w.start || t >= w.end || w.end <= c.watermark {
		number := c.cfg.Interval.Of(t)
		if late = t < 0 || c.cfg.Interval.End(number) <= c.watermark; late {
			number = c.cfg.Interval.Of(c.watermark)
		}
		w = c.window(number)
		c.current = w
	}
	if late {
		w.late++
		c.pending.Late++
	} else {
		c.advance(input, t)
	}
	w.lines++
	c.pending.Lines++
	line, c.scratch = tokenize.Valid(c.scratch, line)
	if c.split && len(line) <= tokenize.MaxWord {
		c.pending.Words += int64(w.words.AddSplit(c.padded(line)))
		return
	}
	var text []byte
	text, c.words = c.cfg.Tokenizer.Words(c.words[:0], line)
	c.pending.Words += int64(len(c.words))
	if len(text) > tokenize.MaxWord {
		c.countLong(w, text)
		return
	}
	w.words.AddSpans(c.padded(text), c.words)
}

// padded returns a text with words.Slack behind it.
func (c *Combiner) padded(text []byte) []byte {
	if cap(text) < len(text)+words.Slack {
		c.room = slices.Grow(c.room[:0], len(text)+words.Slack)
		text = append(c.room, text...)
	}
	return text
}

// countLong counts the words of a text in which there may be some that are too long.
func (c *Combiner) countLong(w *counts, text []byte) {
	for _, span := range c.words {
		word := text[span.Start:span.End]
		if len(word) > tokenize.MaxWord {
			word = tokenize.Cut(word)
			c.pending.Cut++
		}
		w.words.Add(word, 1)
	}
}

// advance moves an input's watermark to the newest time read, less the grace where times may be out of order.
func (c *Combiner) advance(input int, t int64) {
	if c.cfg.CreateTime {
		t -= c.cfg.Grace
	}
	c.reach(input, t)
}

// Idle notes that a fetch sent at the broker's time sentAt found nothing beyond an input's position: windows that had ended a grace before
// get no more of it. Its watermark is the end of the last of them, which can be told beforehand.
func (c *Combiner) Idle(input int, sentAt int64) {
	c.reach(input, c.cfg.Interval.Floor(sentAt-c.cfg.Grace))
}

// reach raises an input's watermark, and the slot's if that may pass a window: most lines are in the window of the one before.
func (c *Combiner) reach(input int, t int64) {
	if t > c.inputs[input] {
		c.inputs[input] = t
		if t >= c.due {
			c.raise()
		}
	}
}

// Now notes the broker's time for a slot without inputs, whose watermark follows it.
func (c *Combiner) Now(now int64) {
	if len(c.inputs) == 0 {
		c.watermark = max(c.watermark, c.cfg.Interval.Floor(now-c.cfg.Grace))
	}
}

// raise sets the slot's watermark to the least of its inputs'; it never falls. A window that it passes gets no more lines: its counts
// become records at once, and its table, which is in the processor's cache, the next window's.
func (c *Combiner) raise() {
	watermark, passed := c.Watermark(), 0
	for passed < len(c.windows) && c.windows[passed].end <= watermark {
		passed++
	}
	c.due = c.NextEnd()
	if passed > 0 {
		c.pack(passed)
	}
}

// window returns the counts of a window, new ones if there are none yet.
func (c *Combiner) window(number int64) *counts {
	i, found := slices.BinarySearchFunc(c.windows, number, func(w *counts, n int64) int { return cmp.Compare(w.number, n) })
	if !found {
		w := &counts{number: number, start: c.cfg.Interval.Start(number), end: c.cfg.Interval.End(number), words: c.spares.Take()}
		c.windows = slices.Insert(c.windows, i, w)
	}
	return c.windows[i]
}

// Pending returns what was counted since the last Flush.
func (c *Combiner) Pending() Totals { return c.pending }

// Size returns about how many bytes of memory the pending counts take.
func (c *Combiner) Size() int { return c.packed.bytes + c.tables() }

// Load returns about how many bytes of memory the pending counts take where they are summed.
func (c *Combiner) Load() int { return c.packed.load + c.tables() }

func (c *Combiner) tables() (size int) {
	for _, w := range c.windows {
		size += w.words.Size()
	}
	return size
}

// Closes tells whether the watermark has passed the end of a window since the last Flush, or the start.
func (c *Combiner) Closes() bool {
	return c.sent != c.watermark && c.cfg.Interval.Of(c.watermark) > c.cfg.Interval.Of(c.sent)
}

// NextEnd returns the end of the first window that the watermark has not passed.
func (c *Combiner) NextEnd() int64 {
	if c.watermark == wire.NoWatermark {
		return math.MinInt64
	}
	return c.cfg.Interval.End(c.cfg.Interval.Of(c.watermark))
}

// Until returns the end of the newest window with pending counts, math.MinInt64 when there is none.
func (c *Combiner) Until() int64 {
	if last := len(c.windows) - 1; last >= 0 {
		return max(c.packed.until, c.windows[last].end)
	}
	return c.packed.until
}

// Flush emits what was counted and not emitted yet, then for each shuffle partition the watermark, unless FlushAhead has emitted the same. So since the
// last Flush for each q the partial counts of the words were emitted whose Kafka partition is q, by window. linesPartitions is noted with the watermark.
func (c *Combiner) Flush(linesPartitions int) {
	c.pack(len(c.windows))
	if c.Watermark() != c.ahead {
		c.mark(c.watermark, linesPartitions)
	}
	c.pending, c.packed = Totals{}, nothing
	c.sent, c.ahead = c.watermark, notAhead
}

// FlushAhead emits what was counted and not emitted yet, and as watermark the end of the next window, NextEnd. The records belong to a transaction with
// those of the next Flush, which has the last word: what it emits holds.
func (c *Combiner) FlushAhead(linesPartitions int) {
	c.pack(len(c.windows))
	if end := c.NextEnd(); end != c.ahead {
		c.mark(end, linesPartitions)
		c.ahead = end
	}
}

const notAhead = math.MaxInt64 // no watermark is so great

// mark emits a watermark for each shuffle partition.
func (c *Combiner) mark(watermark int64, linesPartitions int) {
	mark := wire.AppendWatermark(nil, wire.Watermark{
		Slot: c.cfg.Slot, Interval: int64(c.cfg.Interval), Time: watermark, Partitions: linesPartitions})
	for q := range c.cfg.Partitions {
		c.cfg.Emit(q, mark)
	}
}

var nothing = packed{until: math.MinInt64}

// pack emits the counts of the first n windows.
func (c *Combiner) pack(n int) {
	for _, w := range c.windows[:n] {
		c.packed.load += c.packWindow(w)
		c.packed.until = max(c.packed.until, w.end)
		c.spares.Put(w.words)
	}
	c.windows = slices.Delete(c.windows, 0, n)
	c.current = nil
}

// packWindow emits the counts of a window, and returns about how many bytes of memory they take where they are summed.
func (c *Combiner) packWindow(w *counts) (load int) {
	header := wire.Partial{Slot: c.cfg.Slot, Interval: int64(c.cfg.Interval), Window: w.number, Lines: w.lines, Late: w.late}
	for q := range c.open {
		c.open[q] = wire.AppendPartial(c.open[q][:0], header)
	}
	header.Lines, header.Late = 0, 0 // stand in the first record of each partition only
	load = w.words.AppendEntries(c.open, c.cfg.MaxRecord, func(q int) {
		c.emit(q)
		c.open[q] = wire.AppendPartial(c.open[q][:0], header)
	})
	for q := range c.open {
		c.emit(q)
	}
	return load
}

// emit hands over the record under construction.
func (c *Combiner) emit(q int) {
	c.packed.bytes += len(c.open[q])
	c.cfg.Emit(q, c.open[q])
}
