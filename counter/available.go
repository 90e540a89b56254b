package counter

import (
	"context"
	"math"
	"time"

	"wordcount/counter/combine"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// With --available-now the counter works as always, and somebody watches: when the group has counted what was there at the
// start, whichever counter did it, and has closed its windows, the counter stops gracefully.

const watchInterval = 50 * time.Millisecond

// backlog is what was there at the start.
type backlog struct {
	ends   []int64 // where each lines partition ended
	newest int64   // time of the newest line
}

// watch returns nil when the backlog is counted and its windows are closed.
func (j *job) watch(ctx context.Context, b *backlog) error {
	until, counted := int64(0), false
	for {
		if !counted {
			offsets, err := j.broker.Committed(ctx, j.cfg.Group, j.cfg.LinesTopic, allPartitions(len(b.ends)))
			if err != nil {
				return err
			}
			if counted = b.counted(offsets); counted {
				until = j.until(b.newest, offsets)
			}
		}
		if counted {
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

// counted tells whether all lines of the backlog are, by the group's committed offsets.
func (b *backlog) counted(offsets []kafkaio.Offset) bool {
	for p, o := range offsets {
		if o.Offset < b.ends[p] {
			return false
		}
	}
	return true
}

// until returns the end of the last window that the backlog's lines can be in, when they are counted. With times out of order
// that may be a slot's watermark's, for late lines, or now's, for those that were ahead.
func (j *job) until(newest int64, offsets []kafkaio.Offset) int64 {
	if j.createTime {
		newest = min(newest, j.clock.Now()+combine.MaxAhead)
		for _, o := range offsets {
			if s, err := wire.ParseCombineState(o.Metadata); err == nil {
				newest = max(newest, s.Watermark)
			}
		}
	}
	return j.interval.End(j.interval.Of(newest))
}

// available looks at what is there: nil when there is no line at all.
func (j *job) available(ctx context.Context) (*backlog, error) {
	n, err := j.broker.Partitions(ctx, j.cfg.LinesTopic)
	if err != nil {
		return nil, err
	}
	partitions, ends := allPartitions(n), make([]int64, n)
	newest := int64(math.MinInt64)
	for _, p := range partitions {
		start, err := j.broker.Offset(ctx, j.cfg.LinesTopic, p, kafkaio.Earliest)
		if err != nil {
			return nil, err
		}
		if ends[p], err = j.broker.Offset(ctx, j.cfg.LinesTopic, p, kafkaio.Latest); err != nil {
			return nil, err
		}
		t, err := j.newest(ctx, p, start, ends[p])
		if err != nil {
			return nil, err
		}
		newest = max(newest, t)
	}
	if newest == math.MinInt64 { // but what retention has removed since it was counted may be in a window that is open
		committed, err := j.broker.Committed(ctx, j.cfg.Group, j.cfg.LinesTopic, partitions)
		if err != nil {
			return nil, err
		}
		for _, o := range committed {
			if s, err := wire.ParseCombineState(o.Metadata); err == nil {
				newest = max(newest, s.Watermark)
			}
		}
	}
	if newest == math.MinInt64 {
		j.log.Info("no line is there", "topic", j.cfg.LinesTopic)
		return nil, nil
	}
	newest, err = j.newer(ctx, ends, max(newest, 0)) // negative times count as late
	return &backlog{ends: ends, newest: newest}, err
}

// newer returns the time of the newest line when times are out of order, given that of some line. It asks for lines after
// a time in growing steps, then halves the last one.
func (j *job) newer(ctx context.Context, ends []int64, newest int64) (int64, error) {
	for growing, step := true, int64(1); step > 0; {
		later := false
		if at := newest + step; at > newest { // no overflow
			for p := 0; p < len(ends) && !later; p++ {
				offset, err := j.broker.Offset(ctx, j.cfg.LinesTopic, int32(p), at)
				if err != nil {
					return 0, err
				}
				later = offset < ends[p]
			}
		}
		if later {
			newest += step
		} else {
			growing = false
		}
		if growing {
			step *= 2
		} else {
			step /= 2
		}
	}
	return newest, nil
}

// newest returns the time of the last line of a partition, math.MinInt64 when there is none. It looks back from the end,
// where control records of transactions may stand.
func (j *job) newest(ctx context.Context, partition int32, start, end int64) (int64, error) {
	newest := int64(math.MinInt64)
	for back := int64(1); start < end; back *= 2 {
		from := max(end-back, start)
		reader := j.broker.NewReader([]kafkaio.Position{{Topic: j.cfg.LinesTopic, Partition: partition, Offset: from}})
		for position := from; position < end; {
			fetched, err := reader.Poll(ctx, maxPoll)
			if err != nil {
				reader.Close()
				return 0, err
			}
			for _, f := range fetched {
				var rec kafkaio.Record
				for f.Next(&rec) {
					newest = max(newest, rec.Time)
				}
				if err := f.Err(); err != nil {
					reader.Close()
					return 0, err
				}
				position = f.Position()
			}
		}
		reader.Close()
		if newest != math.MinInt64 || from == start {
			break
		}
	}
	return newest, nil
}
