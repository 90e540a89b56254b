package counter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"wordcount/counter/reduce"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// resumption is where a slot goes on.
type resumption struct {
	watermark int64 // the greatest that the slot has announced; wire.NoWatermark when it has never run
	closed    int64 // the least time up to which all reduces have closed, or where the slot began before they did
}

// recover fills the task's inputs from the group's committed offsets and returns where to resume from. It refuses to guess
// where the group has run and an offset, or what a counter notes with it, is missing.
func (t *combineTask) recover(ctx context.Context) (r resumption, err error) {
	states, err := t.reduceStates(ctx)
	if err != nil {
		return r, err
	}
	lines := t.lines
	if len(lines) == 0 { // the first that it would have
		lines = []int32{t.slot}
	}
	committed, err := t.broker.Committed(ctx, t.cfg.Group, t.cfg.LinesTopic, lines)
	if err != nil {
		return r, err
	}
	if len(t.lines) == 0 {
		if committed[0].Offset >= 0 { // what it promised now would be committed nowhere
			return r, fmt.Errorf("%s/%d was read before and is not assigned: the group's leader does not see it", t.cfg.LinesTopic, t.slot)
		}
		committed = nil
	}
	known, started := 0, false // how many partitions have committed offsets for sure; whether a reduce has
	for _, s := range states {
		if s != nil {
			started = true
			known = max(known, s.LinesPartitions)
		}
	}
	r.watermark, t.until = wire.NoWatermark, 0
	for _, o := range committed {
		if o.Offset < 0 {
			continue
		}
		s, err := wire.ParseCombineState(o.Metadata)
		if errors.Is(err, wire.ErrNoMetadata) {
			return r, t.lost(o.Topic, o.Partition, err.Error())
		}
		if err != nil {
			return r, refusal{err}
		}
		r.watermark = max(r.watermark, s.Watermark)
		t.until = max(t.until, s.Lines)
		known = max(known, s.Partitions)
	}
	r.closed = leastClosed(states)
	if r.watermark == wire.NoWatermark || r.closed == wire.NoWatermark {
		// A slot without partitions has committed nothing, but it must not promise less than before either.
		said, err := t.announcedBefore(ctx, started)
		if err != nil {
			return r, err
		}
		r.watermark = max(r.watermark, said.Watermark)
		known = max(known, said.Partitions)
		if r.closed == wire.NoWatermark {
			r.closed = said.First
		}
	}
	return r, t.resume(ctx, committed, known)
}

// leastClosed returns up to where all reduces have closed, wire.NoWatermark when some have not committed yet.
func leastClosed(states []*wire.ReduceState) int64 {
	least := int64(math.MaxInt64)
	for _, s := range states {
		if s == nil {
			return wire.NoWatermark
		}
		least = min(least, s.Closed)
	}
	return least
}

// resume sets where the task reads on; known is how many partitions must have committed offsets.
func (t *combineTask) resume(ctx context.Context, committed []kafkaio.Offset, known int) (err error) {
	t.inputs = t.inputs[:0]
	for _, o := range committed {
		if o.Offset < 0 {
			if int(o.Partition) < known {
				return t.lost(o.Topic, o.Partition, "no offset is committed")
			}
			// The first start, or a partition that was added to the topic.
			if o.Offset, err = t.broker.Offset(ctx, o.Topic, o.Partition, kafkaio.Earliest); err != nil {
				return err
			}
		}
		t.inputs = append(t.inputs, input{partition: o.Partition, position: o.Offset, end: o.Offset})
	}
	return nil
}

// announcedBefore reads the slot's own watermarks from the shuffle topic: the newest is there for sure, because reduces
// delete what lies below every slot's newest, and the first until they have committed.
func (t *combineTask) announcedBefore(ctx context.Context, started bool) (said reduce.Promise, err error) {
	said = reduce.NoPromise
	topic := t.cfg.shuffleTopic()
	at, err := t.broker.Offset(ctx, topic, t.slot, kafkaio.Earliest)
	if err != nil {
		return said, err
	}
	if at > 0 && !started { // a reduce deletes after its first commit, and that one is lost
		said.Partitions = t.known
	}
	reader := t.broker.NewReader([]kafkaio.Position{{Topic: topic, Partition: t.slot, Offset: at}})
	defer reader.Close()
	// Up to the high watermark: another slot's open transaction may hold the last stable offset back, and what was
	// announced lies behind it.
	wait := time.Duration(0)
	for end := int64(-1); end < 0 || at < end; wait = retryIdle {
		fetched, err := reader.Poll(ctx, wait)
		if err != nil {
			return said, err
		}
		for _, f := range fetched {
			var rec kafkaio.Record
			f.Ended = said.Ended
			for f.Next(&rec) {
				_, _, mark, err := wire.ParseShuffle(rec.Value)
				if err != nil {
					return said, shuffleError(f.Topic, f.Partition, fmt.Errorf("at offset %d: %w", rec.Offset, err))
				}
				if mark != nil && mark.Slot == int(t.slot) {
					said.Say(f.ProducerID(), rec.Offset, mark)
				}
			}
			if err := f.Err(); err != nil {
				return said, err
			}
			at = f.Position()
			if end < 0 {
				end = f.HighWatermark
			}
		}
	}
	return said, nil
}

// shuffleError says what to do about records that are no counter's; err says where they are.
func shuffleError(topic string, partition int32, err error) error {
	return refusal{fmt.Errorf("%s/%d %w; nothing but counters of this group may write to this topic: start with a new --shuffle-topic (docs/operations.md)",
		topic, partition, err)}
}
