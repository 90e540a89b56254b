package counter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"wordcount/counter/combine"
	"wordcount/counter/tokenize"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

const (
	maxPoll   = 500 * time.Millisecond // the longest wait for lines
	minPoll   = 5 * time.Millisecond   // a shorter wait is not asked of the broker, whose timer is late by some ms
	retryIdle = 20 * time.Millisecond  // between two looks at a partition that is behind and yields nothing
	readPause = 50 * time.Millisecond  // after the last line that was there, see untilLines
	readAhead = 20 * time.Millisecond  // but from so long before a window's end, by what we know of the broker's clock, lines are read when they come
	checks    = 256                    // so often, at most, is measured what is pending before it is too much
)

// combineTask reads a slot's lines, adds up their words by window, and hands the sums to the reduce tasks.
type combineTask struct {
	task
	combiner *combine.Combiner
	packers  []packer // one for each shuffle partition
	reader   reader
	inputs   []input
	until    int64 // end of the newest window in which lines were counted, ms; 0: none
	flushed  time.Time
	skew     skew
}

// input is one lines partition.
type input struct {
	partition int32
	position  int64
	end       int64 // high watermark of the last fetch
	held      bool  // it is too far ahead of the reduces
}

// run is one attempt: from the committed state until ctx ends; then it commits what it has read.
func (t *combineTask) run(ctx context.Context) error {
	defer t.forget()
	if err := t.start(ctx); err != nil {
		return err
	}
	defer t.reader.Close()
	read := false      // something came of the last poll
	fruitless := false // the last look at partitions that are due found nothing
	for {
		if ctx.Err() != nil {
			return t.stop(ctx)
		}
		ahead, err := t.ahead(ctx)
		if err != nil {
			return t.unlessStopped(ctx, err)
		}
		if ahead {
			continue
		}
		if read && !t.behind() {
			if err := t.rest(ctx, t.untilLines()); err != nil {
				return t.unlessStopped(ctx, err)
			}
		}
		wait, due := t.wait(fruitless)
		read, err = t.read(ctx, wait)
		if err == nil && !read { // there is time to look
			err = t.producer.Settled(ctx)
		}
		if err != nil {
			return t.unlessStopped(ctx, err)
		}
		fruitless = due && !read
		if !t.flushNow() {
			if t.mayPrepare(t.combiner.NextEnd(), prepareAhead) {
				if err := t.prepareNext(ctx); err != nil {
					return err
				}
			}
			continue
		}
		fruitless = false
		if err := t.flush(ctx); err != nil {
			return err
		}
	}
}

// unlessStopped commits what was read when ctx's end is the reason of err.
func (t *combineTask) unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return t.stop(ctx)
	}
	return err
}

// stop commits what was read.
func (t *combineTask) stop(ctx context.Context) error {
	if t.combiner.Pending().Lines == 0 && t.prepared.IsZero() {
		return nil
	}
	return t.flush(ctx)
}

// start finds where the slot is and announces its watermark.
func (t *combineTask) start(ctx context.Context) error {
	tokenizer, err := tokenize.New(t.cfg.Tokenizer)
	if err != nil {
		return refusal{err}
	}
	t.combiner = combine.New(combine.Config{
		Slot:       int(t.slot),
		Interval:   t.interval,
		Grace:      t.cfg.Grace.Milliseconds(),
		Partitions: t.partitions,
		CreateTime: t.createTime,
		Tokenizer:  tokenizer,
		MaxRecord:  min(maxRecord, t.settings[t.cfg.shuffleTopic()].MaxMessageBytes-kafkaio.BatchOverhead-kafkaio.RecordOverhead),
		Emit:       func(q int, record []byte) { t.packers[q].append(t.clock.Now(), nil, record) },
	}, len(t.lines))
	t.packers = newPackers(t.partitions, t.settings[t.cfg.shuffleTopic()].MaxMessageBytes)
	if err := t.begin(ctx); err != nil {
		return err
	}
	from, err := t.recover(ctx)
	if err != nil {
		return err
	}
	positions := make([]kafkaio.Position, len(t.inputs))
	for i, in := range t.inputs {
		positions[i] = kafkaio.Position{Topic: t.cfg.LinesTopic, Partition: in.partition, Offset: in.position}
	}
	t.reader = t.broker.NewReader(positions)
	if err := t.announce(ctx, from); err != nil {
		t.reader.Close()
		return err
	}
	return nil
}

// announce tells the reduces where the slot starts, if they don't know, and us the broker's time: a transaction's answer does.
func (t *combineTask) announce(ctx context.Context, from resumption) error {
	known := from.watermark != wire.NoWatermark && t.clock.Known()
	if from.watermark == wire.NoWatermark {
		if err := t.flush(ctx); err != nil {
			return err
		}
		first, err := t.firstTime(ctx)
		if err != nil {
			return err
		}
		from.watermark = t.interval.Floor(first)
	}
	if from.closed == wire.NoWatermark {
		from.closed = from.watermark
	}
	t.combiner.Start(from.watermark)
	t.skew.start(from.closed)
	if t.until > from.closed { // nobody knows how much was sent for the windows that are open: as much as may be
		t.skew.sent(t.until, t.limits.ahead)
	}
	if known {
		t.flushed = time.Now()
		return nil
	}
	return t.flush(ctx)
}

// firstTime returns the time of the slot's first line, or now where there is none yet.
func (t *combineTask) firstTime(ctx context.Context) (int64, error) {
	now := t.clock.Now()
	first := now
	seen := make(map[int32]bool)
	for wait := time.Duration(0); len(seen) < len(t.inputs); {
		if err := pause(ctx, wait); err != nil {
			return 0, err
		}
		wait = retryIdle // for what has no leader, say
		fetched, err := t.reader.Poll(ctx, 0)
		if err != nil {
			return 0, err
		}
		for _, f := range fetched {
			var rec kafkaio.Record
			switch {
			case f.Next(&rec):
				if rec.Time >= 0 {
					first = min(first, rec.Time)
				}
			case f.Err() != nil:
				if err := t.outOfRange(&t.inputs[t.input(f.Partition)], f.Err()); err != nil {
					return 0, err
				}
				continue
			case f.Position() < f.LastStable:
				wait = 0
				continue // only control records and aborted ones so far
			}
			seen[f.Partition] = true
		}
		for _, in := range t.inputs {
			if seen[in.partition] {
				t.reader.Seek(t.cfg.LinesTopic, in.partition, in.position)
			}
		}
	}
	return first, nil
}

// wait returns how long to wait for lines: until the next transaction may be prepared, then until an idle partition may be taken as such.
// That is due now when a partition is behind, or cannot be read; then it is looked at again and again, but not too often.
func (t *combineTask) wait(fruitless bool) (wait time.Duration, due bool) {
	left := t.untilClosing(t.combiner.NextEnd())
	switch {
	case left > prepareAhead:
		return min(left-prepareAhead, maxPoll), false
	case left > minPoll:
		return left - minPoll, false
	case left > 0:
		return left, false
	case fruitless:
		return retryIdle, true
	}
	return 0, true
}

// untilLines returns how long lines may wait to be read, once all that were there are: until an early flush may be due before the next window's end, or
// lines may close that window. Of many a second each fetch would bring a few, and Kafka and counter would do little else than to give and take them.
// What a broker has answered meanwhile, where several lead the slot's partitions, comes first then: lines of the others may wait two or three times as long.
func (t *combineTask) untilLines() time.Duration {
	left := time.Duration(t.combiner.NextEnd()-t.clock.Now()) * time.Millisecond
	for _, due := range []time.Duration{earlyFlush, readAhead} {
		if left > due {
			return min(left-due, readPause)
		}
	}
	return 0
}

// rest leaves lines alone for so long. Meanwhile there is time to look how the last transaction ended, for which the next one would have to wait.
func (t *combineTask) rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	over := time.Now().Add(d)
	if err := t.producer.Settled(ctx); err != nil {
		return err
	}
	return pause(ctx, time.Until(over))
}

// read counts the lines of one poll. It tells whether anything came of it.
func (t *combineTask) read(ctx context.Context, wait time.Duration) (useful bool, err error) {
	before := t.combiner.Watermark()
	if len(t.inputs) == 0 {
		if err := pause(ctx, wait); err != nil {
			return false, err
		}
		t.combiner.Now(t.clock.Now())
		return t.combiner.Watermark() > before, nil
	}
	if wait > 0 && wait <= minPoll {
		if err := pause(ctx, wait); err != nil {
			return false, err
		}
		wait = 0
	}
	fetched, err := t.reader.Poll(ctx, wait)
	if err != nil {
		return false, err
	}
	now := t.clock.Now()
	for _, f := range fetched {
		i := t.input(f.Partition)
		in := &t.inputs[i]
		var rec kafkaio.Record
		unchecked := 0                 // bytes
		window := int64(math.MinInt64) // the end of the one that the partition has reached
		for f.Next(&rec) {
			t.combiner.Line(i, rec.Time, now, rec.Value)
			in.position = f.Position() // wherever this ends, what was counted is committed with where it ends
			useful = true
			if reached := t.combiner.Reached(i); reached >= window { // one fetch may hold a day of windows
				window = t.interval.End(t.interval.Of(reached))
				far, err := t.tooFar(ctx, reached)
				if err != nil {
					return false, err
				}
				if far {
					break // the rest is fetched again
				}
			}
			if unchecked += len(rec.Value) + 1; unchecked < t.limits.flush/checks {
				continue
			}
			unchecked = 0
			if t.full() { // one fetch may hold far more
				if err := t.flush(ctx); err != nil {
					return false, err
				}
			}
		}
		if err := f.Err(); err != nil {
			if err := t.outOfRange(in, err); err != nil {
				return false, err
			}
			useful = true
			continue
		}
		in.position, in.end = f.Position(), f.HighWatermark
		t.metrics.lag.WithLabelValues(label(in.partition)).Set(float64(f.Lag()))
		if f.CaughtUp() {
			t.combiner.Idle(i, t.clock.At(f.SentAt))
		}
	}
	return useful || t.combiner.Watermark() > before, nil
}

func (t *combineTask) input(partition int32) int {
	for i, in := range t.inputs {
		if in.partition == partition {
			return i
		}
	}
	panic(fmt.Sprintf("fetched partition %d is not of slot %d", partition, t.slot))
}

// outOfRange goes on where the log begins: what retention removed cannot be counted any more. A log that ends before what
// was counted already is another one, or has lost its end: what comes next may or may not be counted.
func (t *combineTask) outOfRange(in *input, err error) error {
	var e *kafkaio.OffsetOutOfRangeError
	if !errors.As(err, &e) {
		return err
	}
	if e.Offset >= e.LogStart {
		return refusal{fmt.Errorf("%w: the topic was truncated or made anew. Going on from anywhere would lose lines or count them twice. "+
			startOver, err)}
	}
	t.metrics.lost.Add(float64(e.LogStart - e.Offset))
	t.log.Error("retention removed lines before they were counted: counting on behind them; raise retention.ms or run more counters",
		"topic", e.Topic, "partition", e.Partition, "lost_offsets", e.LogStart-e.Offset, "from", e.Offset, "to", e.LogStart)
	in.position = e.LogStart
	t.reader.Seek(e.Topic, e.Partition, e.LogStart)
	return nil
}

// prepareNext prepares the transaction in which the next window closes, if no more lines come. If they do, what flush sends behind it holds.
func (t *combineTask) prepareNext(ctx context.Context) error {
	offsets := t.offsets(t.combiner.NextEnd(), t.combiner.Until())
	t.combiner.FlushAhead(t.known)
	if err := t.prepare(ctx, t.outputs(), offsets...); err != nil {
		return err
	}
	if !t.prepared.IsZero() { // else the records go with those of flush
		t.sent()
	}
	return nil
}

// outputs are the records that were emitted and not sent yet.
func (t *combineTask) outputs() []kafkaio.Output {
	outputs := make([]kafkaio.Output, t.partitions)
	for q := range outputs {
		outputs[q] = kafkaio.Output{Topic: t.cfg.shuffleTopic(), Partition: int32(q), Batches: t.packers[q].all()}
	}
	return outputs
}

// sent notes that the outputs were.
func (t *combineTask) sent() {
	for q := range t.packers {
		t.packers[q].sent()
	}
}

// flush commits what was counted, the watermark and the positions in one transaction.
func (t *combineTask) flush(ctx context.Context) error {
	totals, load, until := t.combiner.Pending(), t.combiner.Load(), t.combiner.Until()
	watermark := t.combiner.Watermark()
	t.combiner.Flush(t.known)
	if err := t.commit(ctx, t.outputs(), t.offsets(watermark, until)...); err != nil {
		return err
	}
	t.until = max(t.until, until)
	t.sent()
	t.flushed = time.Now()
	t.skew.sent(until, load)
	t.metrics.lines.Add(float64(totals.Lines))
	t.metrics.words.Add(float64(totals.Words))
	t.metrics.late.Add(float64(totals.Late))
	t.metrics.cut.Add(float64(totals.Cut))
	for _, in := range t.inputs {
		if watermark != wire.NoWatermark {
			t.metrics.watermark.WithLabelValues(label(in.partition)).Set(float64(watermark) / 1000)
		}
		t.metrics.lag.WithLabelValues(label(in.partition)).Set(float64(max(in.end-in.position, 0)))
	}
	return nil
}

// offsets are what is committed with a watermark, and with until as the end of the newest window with lines: where the inputs are, and what
// it takes to resume there.
func (t *combineTask) offsets(watermark, until int64) (offsets []kafkaio.Offset) {
	if watermark == wire.NoWatermark { // nothing is known yet that would be worth resuming from
		return nil
	}
	metadata := wire.CombineState{Watermark: watermark, Lines: max(t.until, until), Partitions: t.known}.Encode()
	for _, in := range t.inputs {
		offsets = append(offsets, kafkaio.Offset{Topic: t.cfg.LinesTopic, Partition: in.partition, Offset: in.position, Metadata: metadata})
	}
	return offsets
}

func (t *combineTask) forget() {
	for _, in := range t.inputs {
		t.metrics.forget(in.partition)
	}
}
