package printer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// pollWait is how long a fetch waits at the broker when there is nothing new. What is new comes at once.
const pollWait = 500 * time.Millisecond

// read takes in what the next fetch brings.
func (p *printer) read(ctx context.Context) error {
	fetched, err := p.reader.Poll(ctx, pollWait)
	if err != nil {
		return err
	}
	for _, f := range fetched {
		if f.Topic == p.cfg.CountsTopic {
			err = p.readCounts(f)
		} else {
			err = p.readBatches(f)
		}
		if err == nil {
			err = p.end(f)
		}
		if err != nil {
			return err
		}
	}
	if !p.ready && len(fetched) > 0 {
		p.ready = true
		p.cfg.Runtime.Health.SetReady("printer", true)
	}
	return nil
}

func (p *printer) readCounts(f *kafkaio.Fetched) error {
	rows := 0
	defer func() { p.metrics.rows.Add(float64(rows)) }()
	var rec kafkaio.Record
	for ; f.Next(&rec); rows++ {
		err := wire.ParseCountRow(rec.Value, &p.row)
		if err == nil {
			err = p.joiner.Count(f.Partition, &p.row)
		}
		if err != nil {
			return unusable(f, rec.Offset, err)
		}
	}
	if f.CaughtUp() {
		p.joiner.CaughtUp(f.Partition, f.SentAt)
	}
	return nil
}

func (p *printer) readBatches(f *kafkaio.Fetched) error {
	received := time.Now()
	var rec kafkaio.Record
	for f.Next(&rec) {
		b, err := wire.ParseBatch(rec.Value)
		if err == nil {
			err = p.joiner.Batch(f.Partition, b, rec.Time, received)
		}
		if err != nil {
			return unusable(f, rec.Offset, err)
		}
	}
	return nil
}

// end handles what ended a fetch early.
func (p *printer) end(f *kafkaio.Fetched) error {
	var gone *kafkaio.OffsetOutOfRangeError
	switch err := f.Err(); {
	case err == nil:
		return nil
	case !errors.As(err, &gone):
		return err
	case gone.Offset > gone.LogEnd:
		return fmt.Errorf("%w: the topic was truncated or made anew; start the printer again", err)
	case gone.Offset < gone.LogStart:
		p.log.Warn("records were removed before they were read: by retention, or by hand", "topic", f.Topic, "partition", f.Partition,
			"offset", gone.Offset, "removed", gone.LogStart-gone.Offset)
		p.reader.Seek(f.Topic, f.Partition, gone.LogStart)
		if f.Topic == p.cfg.CountsTopic {
			p.joiner.Cut(f.Partition)
		}
	default: // it is in the log by now: a new leader had to catch up
		p.reader.Seek(f.Topic, f.Partition, gone.Offset)
	}
	return nil
}

// unusable is the error for a record that is not what a counter writes.
func unusable(f *kafkaio.Fetched, offset int64, err error) error {
	remedy := "only one group of counters may write to this topic: give each its own (--counts-topic, --batches-topic), " +
		"or remove the records up to this one (kafka-delete-records) and start the printer again"
	var partitions *PartitionsError
	if errors.As(err, &partitions) {
		remedy = "if partitions were added just now, start the printer again; batches from before that cannot be shown: leave out --from-beginning"
	}
	return fmt.Errorf("read %s/%d at offset %d: %w: %s", f.Topic, f.Partition, offset, err, remedy)
}

// cutBatches gathers the batches in a row that retention has cut, so that each is named in the log, a thousand of them in one line.
type cutBatches struct {
	number      int
	first, last int64 // window ends
	cut         string
}

func (c *cutBatches) add(b *Batch) {
	if c.number == 0 {
		c.first, c.cut = b.WindowEnd, b.Cut
	}
	c.number++
	c.last = b.WindowEnd
}

func (c *cutBatches) report(log *slog.Logger) {
	switch c.number {
	case 0:
		return
	case 1:
		log.Warn("skipped a batch: retention has removed part of it", "window_end", formatTime(c.first), "removed", c.cut)
	default:
		log.Warn("skipped batches: retention has removed part of each", "batches", c.number,
			"first_window_end", formatTime(c.first), "last_window_end", formatTime(c.last), "removed_of_first", c.cut)
	}
	*c = cutBatches{}
}
