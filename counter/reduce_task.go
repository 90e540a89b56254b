package counter

import (
	"context"
	"errors"
	"time"

	"wordcount/counter/reduce"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

const (
	transactionBytes = 8 << 20          // of rows and batch records, after which no further window joins a transaction
	deleteInterval   = 10 * time.Second // from one DeleteRecords of a shuffle partition to the commit that calls for the next one, at least
	// From that commit to the DeleteRecords. The broker writes files for each, and waits for its disk; by then no other reduce has that window to commit.
	deleteAfter = 500 * time.Millisecond
	// How long a stopping task waits for the markers of the last transactions. One that a dead counter left open, or another one has prepared for a
	// window that does not close, is there until the next generation: who waits for it holds the group up.
	lastRead = 300 * time.Millisecond
	// However long the grace is, no transaction is prepared longer ahead, for it is open so long.
	maxLead = time.Second
)

// reduceTask sums a shuffle partition's partial counts and writes the windows that all slots have passed.
type reduceTask struct {
	task
	reducer   *reduce.Reducer
	reader    reader
	committed bool
	rows      rows
	ends      packer // the batch records
	row       []byte
	expected  kafkaio.Offset // what the transaction was prepared with, if it was

	safe                int64     // the committed offset: no task reads below it
	deleteAt, deletedAt time.Time // deleteAt is zero when no commit calls for it
}

// run is one attempt: from the committed state until ctx ends; what has closed by then is committed.
func (t *reduceTask) run(ctx context.Context) error {
	if err := t.start(ctx); err != nil {
		return err
	}
	defer func() { t.reader.Close() }()
	defer t.reduces.listen(t.slot)()
	for {
		next := t.reducer.Next()
		_, err := t.read(ctx, t.wait())
		if err == nil && t.reducer.Next() == next { // there is time to look: who reads the last windows does not wait for the next ones
			err = t.producer.Settled(ctx)
		}
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return t.stop(ctx)
			}
			return err
		}
		if err := t.close(ctx); err != nil {
			return err
		}
		if !t.deleteAt.IsZero() && !time.Now().Before(t.deleteAt) {
			t.deleteBelow(ctx)
		}
		if t.reducer.Started() && t.mayPrepare(t.nextEnd(), t.lead()) {
			if err := t.prepareNext(ctx); err != nil {
				return err
			}
		}
	}
}

// nextEnd returns the end of the next window.
func (t *reduceTask) nextEnd() int64 { return t.reducer.Closed() + int64(t.interval) }

// wait returns how long to wait for records: until the next transaction may be prepared, if that lies ahead.
func (t *reduceTask) wait() time.Duration {
	if t.reducer.Started() {
		if left := t.untilClosing(t.nextEnd()) - t.lead(); left > 0 {
			return min(left, maxPoll)
		}
	}
	return maxPoll
}

// lead is how long before the broker's clock closes a window its transaction is prepared: before the window ends, where the grace is not too long
// for that, because lines of the next one may close it at once. Between two windows a reduce has nothing else to commit.
func (t *reduceTask) lead() time.Duration {
	if t.createTime { // lines close a window when the grace is over, too
		return prepareAhead
	}
	return min(t.cfg.Grace+prepareAhead, maxLead)
}

// offset is what is committed with a state; equal states have equal metadata.
func (t *reduceTask) offset(safe int64, state wire.ReduceState) kafkaio.Offset {
	return kafkaio.Offset{Topic: t.cfg.shuffleTopic(), Partition: t.slot, Offset: safe, Metadata: state.Encode()}
}

// prepareNext prepares the transaction in which the next window closes.
func (t *reduceTask) prepareNext(ctx context.Context) error {
	t.expected = t.offset(t.reducer.Expected())
	return t.prepare(ctx, nil, t.expected)
}

// stop closes what the combine tasks' last transactions have made ready. It reads on, with a fetch of its own, to what is there
// now: the fetch under way may have been answered before. Those of other counters go on writing.
func (t *reduceTask) stop(ctx context.Context) error {
	t.reader.Close()
	t.reader = t.broker.NewReader([]kafkaio.Position{{Topic: t.cfg.shuffleTopic(), Partition: t.slot, Offset: t.reducer.Next()}})
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRead)
	defer cancel()
	for end := int64(-1); patience.Err() == nil; {
		f, err := t.read(patience, retryIdle)
		if err != nil && patience.Err() == nil {
			return err
		}
		if f == nil {
			continue
		}
		if end < 0 {
			end = f.HighWatermark
		}
		if f.Position() >= end {
			break
		}
	}
	if err := t.close(ctx); err != nil || t.prepared.IsZero() {
		return err
	}
	return t.commit(ctx, nil, t.offset(t.reducer.Commit())) // as before: the transaction that was prepared has to end
}

func (t *reduceTask) start(ctx context.Context) error {
	if err := t.begin(ctx); err != nil {
		return err
	}
	topic := t.cfg.shuffleTopic()
	// In this order: a reduce deletes below what it has committed.
	logStart, err := t.broker.Offset(ctx, topic, t.slot, kafkaio.Earliest)
	if err != nil {
		return err
	}
	committed, err := t.broker.Committed(ctx, t.cfg.Group, topic, []int32{t.slot})
	if err != nil {
		return err
	}
	var state *wire.ReduceState
	offset := committed[0].Offset
	switch {
	case offset >= 0:
		if state, err = t.parseReduceState(committed[0]); err != nil {
			return err
		}
		t.reduces.close(t.slot, state.Closed)
		if offset < logStart {
			return t.lost(topic, t.slot, "the committed offset lies before the topic's start")
		}
	case logStart > 0: // a reduce deletes only what lies below its committed offset
		return t.lost(topic, t.slot, "no offset is committed")
	default:
		offset = 0
	}
	t.rows, t.ends = newRows(t.settings[t.cfg.CountsTopic]), packer{max: t.settings[t.cfg.BatchesTopic].MaxMessageBytes}
	t.committed, t.deleteAt = state != nil, time.Time{}
	t.reducer = reduce.New(reduce.Config{Interval: t.interval, Partitions: t.partitions, MaxEmpty: t.cfg.maxEmpty(), Settings: t.cfg.shared()}, state, offset)
	t.reader = t.broker.NewReader([]kafkaio.Position{{Topic: topic, Partition: t.slot, Offset: offset}})
	return nil
}

// read applies the partial counts and watermarks of one poll, and returns what it found, walked to its end: nil without an
// answer.
func (t *reduceTask) read(ctx context.Context, wait time.Duration) (found *kafkaio.Fetched, err error) {
	fetched, err := t.reader.Poll(ctx, wait)
	if err != nil {
		return nil, err
	}
	for _, f := range fetched {
		var rec kafkaio.Record
		f.Ended = t.reducer.Ended
		for f.Next(&rec) {
			if err := t.reducer.Apply(f.ProducerID(), rec.Offset, rec.Value); err != nil {
				return nil, shuffleError(f.Topic, f.Partition, err)
			}
		}
		var gone *kafkaio.OffsetOutOfRangeError
		if errors.As(f.Err(), &gone) {
			return nil, t.lost(f.Topic, f.Partition, gone.Error())
		}
		if err := f.Err(); err != nil {
			return nil, err
		}
		found = f
	}
	return found, nil
}

// close commits the windows that are due, several in a transaction.
func (t *reduceTask) close(ctx context.Context) error {
	for {
		more, err := t.closeSome(ctx)
		if err != nil || !more {
			return err
		}
	}
}

func (t *reduceTask) closeSome(ctx context.Context) (more bool, err error) {
	if !t.reducer.Started() {
		return false, nil
	}
	start := t.clock.Now()
	var closed []reduce.Window
	var skipped int64
	for t.rows.bytes+t.ends.bytes < transactionBytes {
		w, s, ok, err := t.reducer.Close()
		if err != nil && len(closed) == 0 {
			return false, shuffleError(t.cfg.shuffleTopic(), t.slot, err)
		}
		skipped += s
		if !ok { // or there is an error, which comes again when the windows before it are committed
			break
		}
		t.write(w, start)
		w.Counts = nil
		closed = append(closed, w)
	}
	if len(closed) == 0 && skipped == 0 && t.committed && !t.overdue() {
		return false, nil
	}
	offset := t.offset(t.reducer.Commit())
	if !t.prepared.IsZero() && offset.Metadata == t.expected.Metadata {
		offset = t.expected
	}
	var outputs []kafkaio.Output
	if rows := t.rows.all(); len(rows) > 0 {
		outputs = append(outputs, kafkaio.Output{Topic: t.cfg.CountsTopic, Partition: t.slot, Batches: rows})
	}
	if ends := t.ends.all(); len(ends) > 0 {
		outputs = append(outputs, kafkaio.Output{Topic: t.cfg.BatchesTopic, Partition: t.slot, Batches: ends})
	}
	if err := t.commit(ctx, outputs, offset); err != nil {
		return false, err
	}
	t.reduces.close(t.slot, t.reducer.Closed())
	t.rows.sent()
	t.ends.sent()
	t.observe(closed, skipped, start)
	t.safe = offset.Offset
	switch now := time.Now(); {
	case !t.committed: // a group whose offsets are lost is known by what is deleted
		t.deleteBelow(ctx)
	case t.deleteAt.IsZero() && now.Sub(t.deletedAt) >= deleteInterval:
		t.deleteAt = now.Add(deleteAfter)
	}
	t.committed = true
	return len(closed) > 0, nil
}

// write appends a window's rows and its batch record.
func (t *reduceTask) write(w reduce.Window, now int64) {
	distinct := t.rows.write(w.Start, w.End, now, w.Counts)
	closedAt := now
	if !t.createTime { // lines appended after the window's end were seen: the clock lags, by an answer's way at most
		closedAt = max(now, w.End)
	}
	t.row = wire.AppendBatch(t.row[:0], wire.Batch{
		WindowStart: time.UnixMilli(w.Start), WindowEnd: time.UnixMilli(w.End),
		Partition: int(t.slot), Partitions: t.partitions,
		Lines: w.Lines, Words: w.Words, DistinctWords: distinct, LateLines: w.Late,
		ClosedAt: time.UnixMilli(closedAt),
	})
	t.ends.append(now, wire.AppendTime(nil, w.End), t.row)
}

func (t *reduceTask) observe(closed []reduce.Window, skipped, start int64) {
	now := t.clock.Now()
	seconds := func(ms int64) float64 { return float64(max(ms, 0)) / 1000 }
	for _, w := range closed {
		t.metrics.latency.Observe(seconds(now - w.End))
		t.metrics.scheduling.Observe(seconds(start - w.End))
		t.metrics.processing.Observe(seconds(now - start))
	}
	t.metrics.behind.Set(seconds(now - t.reducer.Closed()))
	if t.slot != 0 {
		return
	}
	t.metrics.batches.Add(float64(len(closed)))
	if skipped > 0 {
		t.metrics.skipped.Add(float64(skipped))
		t.log.Info("empty windows not reported", "windows", skipped, "until", time.UnixMilli(t.reducer.Closed()).UTC())
	}
}

// deleteBelow removes what no task will read again.
func (t *reduceTask) deleteBelow(ctx context.Context) {
	t.deleteAt, t.deletedAt = time.Time{}, time.Now()
	if err := t.broker.DeleteRecords(ctx, t.cfg.shuffleTopic(), t.slot, t.safe); err != nil && ctx.Err() == nil {
		t.log.Warn("shuffle records stay for now", "error", err)
	}
}
