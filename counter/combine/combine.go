// Package combine adds up the words of lines by window, and keeps a slot's watermark. It knows no Kafka, no clock and
// no goroutine: times are ms since the epoch and come from the caller.
package combine

import (
	"math"
	"slices"

	"wordcount/counter/tokenize"
	"wordcount/counter/window"
	"wordcount/internal/kafkaio"
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
}

// Combiner is the state of one slot's combine task: what was counted since the last Flush, and the watermark.
type Combiner struct {
	cfg       Config
	inputs    []int64 // watermark of each lines partition of the slot
	watermark int64
	sent      int64 // the watermark of the last Flush
	windows   []*counts
	current   *counts // the window of the last line
	pending   Totals
	size      int

	words   [][]byte
	scratch []byte
}

// counts are the partial counts of one window.
type counts struct {
	number int64
	lines  int64
	late   int64
	index  map[string]int32
	words  []word
}

type word struct {
	text  string
	count int64
}

// Totals are what was counted.
type Totals struct {
	Lines, Words, Late, Cut int64
}

// New returns a combiner whose watermark has not been set yet: it is wire.NoWatermark until Start.
func New(cfg Config, inputs int) *Combiner {
	c := &Combiner{cfg: cfg, inputs: make([]int64, inputs), watermark: wire.NoWatermark, sent: wire.NoWatermark}
	for i := range c.inputs {
		c.inputs[i] = wire.NoWatermark
	}
	return c
}

// Start sets the watermark that the slot begins with: the one committed, or the start of the first window.
func (c *Combiner) Start(watermark int64) { c.watermark = watermark }

// Watermark returns the slot's watermark: no window that ends at or before it gets another line of this slot.
func (c *Combiner) Watermark() int64 { return c.watermark }

// Reached returns the time that an input's lines have reached: its watermark, at least the slot's.
func (c *Combiner) Reached(input int) int64 { return max(c.inputs[input], c.watermark) }

// Line counts a line of an input (index of the slot's partitions) with its time; now is the broker's time.
func (c *Combiner) Line(input int, t, now int64, line []byte) {
	if t > now+MaxAhead {
		t = now
	}
	number := c.cfg.Interval.Of(t)
	late := t < 0 || c.cfg.Interval.End(number) <= c.watermark
	if late {
		number = c.cfg.Interval.Of(c.watermark)
	} else {
		c.advance(input, t)
	}
	w := c.window(number)
	w.lines++
	c.pending.Lines++
	if late {
		w.late++
		c.pending.Late++
	}
	line, c.scratch = tokenize.Valid(c.scratch, line)
	c.words = c.cfg.Tokenizer.Words(c.words[:0], line)
	c.pending.Words += int64(len(c.words))
	for _, text := range c.words {
		if len(text) > tokenize.MaxWord {
			text = tokenize.Cut(text)
			c.pending.Cut++
		}
		c.size += w.add(text)
	}
}

// advance moves an input's watermark to the newest time read, less the grace where times may be out of order.
func (c *Combiner) advance(input int, t int64) {
	if c.cfg.CreateTime {
		t -= c.cfg.Grace
	}
	if t > c.inputs[input] {
		c.inputs[input] = t
		c.raise()
	}
}

// Idle notes that a fetch sent at the broker's time sentAt found nothing beyond an input's position.
func (c *Combiner) Idle(input int, sentAt int64) {
	if t := sentAt - c.cfg.Grace; t > c.inputs[input] {
		c.inputs[input] = t
		c.raise()
	}
}

// Now notes the broker's time for a slot without inputs, whose watermark follows it.
func (c *Combiner) Now(now int64) {
	if len(c.inputs) == 0 {
		c.watermark = max(c.watermark, now-c.cfg.Grace)
	}
}

// raise sets the slot's watermark to the least of its inputs'; it never falls.
func (c *Combiner) raise() { c.watermark = max(c.watermark, slices.Min(c.inputs)) }

func (c *Combiner) window(number int64) *counts {
	if c.current != nil && c.current.number == number {
		return c.current
	}
	i, found := slices.BinarySearchFunc(c.windows, number, func(w *counts, n int64) int { return int(min(max(w.number-n, -1), 1)) })
	if !found {
		c.windows = slices.Insert(c.windows, i, &counts{number: number, index: make(map[string]int32)})
	}
	c.current = c.windows[i]
	return c.current
}

// entryOverhead is about what a distinct word costs beyond its text, in bytes.
const entryOverhead = 100

func (w *counts) add(text []byte) (grown int) {
	if i, ok := w.index[string(text)]; ok {
		w.words[i].count++
		return 0
	}
	s := string(text)
	w.index[s] = int32(len(w.words))
	w.words = append(w.words, word{s, 1})
	return len(s) + entryOverhead
}

// Pending returns what was counted since the last Flush.
func (c *Combiner) Pending() Totals { return c.pending }

// Size returns about how many bytes of memory the pending counts take.
func (c *Combiner) Size() int { return c.size }

// Closes tells whether the watermark has passed the end of a window since the last Flush.
func (c *Combiner) Closes() bool {
	return c.sent != c.watermark && (c.sent == wire.NoWatermark || c.cfg.Interval.Of(c.watermark) > c.cfg.Interval.Of(c.sent))
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
	if len(c.windows) == 0 {
		return math.MinInt64
	}
	return c.cfg.Interval.End(c.windows[len(c.windows)-1].number)
}

// Flush hands over what was counted as shuffle records: for each shuffle partition q, in order, the partial counts of
// the words whose Kafka partition is q, then the watermark. No record exceeds maxRecord bytes but one with a single word.
// linesPartitions is noted with the watermark.
func (c *Combiner) Flush(maxRecord, linesPartitions int) [][][]byte {
	records := make([][][]byte, c.cfg.Partitions)
	for _, w := range c.windows {
		c.flushWindow(w, maxRecord, records)
	}
	mark := wire.AppendWatermark(nil, wire.Watermark{
		Slot: c.cfg.Slot, Interval: int64(c.cfg.Interval), Time: c.watermark, Partitions: linesPartitions})
	for q := range records {
		records[q] = append(records[q], mark)
	}
	c.windows, c.current, c.pending, c.size = nil, nil, Totals{}, 0
	c.sent = c.watermark
	return records
}

func (c *Combiner) flushWindow(w *counts, maxRecord int, records [][][]byte) {
	open := make([][]byte, c.cfg.Partitions)
	header := wire.Partial{Slot: c.cfg.Slot, Interval: int64(c.cfg.Interval), Window: w.number, Lines: w.lines, Late: w.late}
	for q := range open {
		open[q] = wire.AppendPartial(nil, header)
	}
	header.Lines, header.Late = 0, 0 // stand in the first record of each partition only
	const entryMax = 20              // of the two varints
	for _, entry := range w.words {
		q := kafkaio.Partition([]byte(entry.text), c.cfg.Partitions)
		if len(open[q])+len(entry.text)+entryMax > maxRecord {
			records[q] = append(records[q], open[q])
			open[q] = wire.AppendPartial(nil, header)
		}
		open[q] = wire.AppendEntry(open[q], entry.text, entry.count)
	}
	for q := range open {
		records[q] = append(records[q], open[q])
	}
}
