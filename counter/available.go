package counter

import (
	"context"
	"slices"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// With --available-now the counter works as always, and somebody watches: when the group has counted what was there at the
// start, whichever counter did it, and has closed its windows, the counter stops gracefully.

const watchInterval = 50 * time.Millisecond

// watch returns nil when the lines below ends, by partition, are counted, their windows are closed and the results visible.
func (j *job) watch(ctx context.Context, ends []int64) error {
	until := int64(wire.NoWatermark)
	for {
		if until == wire.NoWatermark {
			offsets, err := j.broker.Committed(ctx, j.cfg.Group, j.cfg.LinesTopic, allPartitions(len(ends)))
			if err != nil {
				return err
			}
			if counted(ends, offsets) {
				if until, err = linesUntil(offsets); err != nil {
					return err
				}
			}
		}
		if until != wire.NoWatermark {
			states, err := j.reduceStates(ctx)
			if err != nil {
				return err
			}
			if closed := leastClosed(states); closed != wire.NoWatermark && closed >= until {
				return j.visible(ctx)
			}
		}
		if err := pause(ctx, watchInterval); err != nil {
			return err
		}
	}
}

// visible waits until consumers of committed data see what the reduces have committed. A transaction is decided before its markers are
// written, and the offsets' marker may be there before the rows' is.
func (j *job) visible(ctx context.Context) error {
	for _, topic := range []string{j.cfg.CountsTopic, j.cfg.BatchesTopic} {
		for p := range int32(j.partitions) {
			end, err := j.broker.Offset(ctx, topic, p, kafkaio.HighWatermark)
			if err != nil {
				return err
			}
			if err := j.stable(ctx, topic, p, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// stable waits until no transaction is open below an offset of a partition.
func (j *job) stable(ctx context.Context, topic string, partition int32, end int64) error {
	for {
		stable, err := j.broker.Offset(ctx, topic, partition, kafkaio.Latest)
		if err != nil || stable >= end {
			return err
		}
		if err := pause(ctx, watchInterval); err != nil {
			return err
		}
	}
}

// counted tells whether all lines below ends are, by the group's committed offsets.
func counted(ends []int64, offsets []kafkaio.Offset) bool {
	for p, o := range offsets {
		if o.Offset < ends[p] {
			return false
		}
	}
	return true
}

// linesUntil returns the end of the newest window with lines, by the group's committed offsets: 0 when no line was counted.
func linesUntil(offsets []kafkaio.Offset) (until int64, err error) {
	for _, o := range offsets {
		if o.Offset < 0 {
			continue
		}
		s, err := wire.ParseCombineState(o.Metadata)
		if err != nil {
			return 0, refusal{err}
		}
		until = max(until, s.Lines)
	}
	return until, nil
}

// available returns where each lines partition ends: nil when nothing is there and nothing was, not even a line that retention
// has removed, whose window may be open.
func (j *job) available(ctx context.Context) (ends []int64, err error) {
	n, err := j.broker.Partitions(ctx, j.cfg.LinesTopic)
	if err != nil {
		return nil, err
	}
	ends = make([]int64, n)
	for p := range ends {
		if ends[p], err = j.broker.Offset(ctx, j.cfg.LinesTopic, int32(p), kafkaio.Latest); err != nil {
			return nil, err
		}
	}
	if slices.Max(ends) == 0 {
		j.log.Info("no line is there", "topic", j.cfg.LinesTopic)
		return nil, nil
	}
	return ends, nil
}
