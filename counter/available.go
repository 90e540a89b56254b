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

// watch returns nil when the lines below ends, by partition, are counted and their windows are closed.
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
				return nil
			}
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
