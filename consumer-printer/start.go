package printer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// start is where a printer begins to read: an offset for each partition of both topics, and the window end after which it shows
// batches.
type start struct {
	counts, batches []int64
	after           int64
}

// LogValue tells a person which batches are shown.
func (s start) LogValue() slog.Value {
	if s.after == FromBeginning {
		return slog.StringValue("all")
	}
	return slog.StringValue("ending after " + formatTime(s.after))
}

// defaultClockSkew is how far the clocks of two brokers may be apart without harm, in milliseconds. It costs reading what was
// written to word-counts in that time.
const defaultClockSkew = 5000

// offsets returns where each partition begins at a time, as kafkaio.Client.Offset does.
func (p *printer) offsets(ctx context.Context, topic string, at int64) (offsets []int64, err error) {
	offsets = make([]int64, p.partitions)
	for q := range offsets {
		if offsets[q], err = p.client.Offset(ctx, topic, int32(q), at); err != nil {
			return nil, err
		}
	}
	return offsets, nil
}

// fromBeginning starts at the oldest records. Batches that retention has cut are seen as such by the Joiner.
func (p *printer) fromBeginning(ctx context.Context) (s start, err error) {
	s.after = FromBeginning
	if s.counts, err = p.offsets(ctx, p.cfg.CountsTopic, kafkaio.Earliest); err != nil {
		return s, err
	}
	s.batches, err = p.offsets(ctx, p.cfg.BatchesTopic, kafkaio.Earliest)
	return s, err
}

// fromNow starts so that exactly the batches are shown of which no partition shows a record yet.
//
// Of a window after the newest one that any partition shows, every batches record is still to come. Its rows in partition q come
// after the last visible transaction of reduce task q, for a task has one transactional producer, which begins a transaction when all
// markers of the one before are written. So they were appended after that transaction's batches record, and word-counts is read from
// the time of the oldest of these records on. (From each partition's own record on would do; but their times hardly differ, and
// so one look-up serves all.) Where batches/q shows nothing, everything may still belong to the first batch.
func (p *printer) fromNow(ctx context.Context) (s start, err error) {
	s.after = FromBeginning
	if s.batches, err = p.offsets(ctx, p.cfg.BatchesTopic, kafkaio.Latest); err != nil {
		return s, err
	}
	newest, err := p.newest(ctx, s.batches)
	if err != nil {
		return s, err
	}
	if s.counts, err = p.offsets(ctx, p.cfg.CountsTopic, kafkaio.Earliest); err != nil || len(newest) == 0 {
		return s, err
	}
	oldest := int64(math.MaxInt64)
	for _, record := range newest {
		s.after = max(s.after, record.windowEnd)
		oldest = min(oldest, record.time)
	}
	counts, err := p.offsets(ctx, p.cfg.CountsTopic, max(oldest-p.clockSkew, 0))
	if err != nil {
		return s, err
	}
	for q := range newest {
		s.counts[q] = counts[q]
	}
	return s, nil
}

// positions returns where the reader begins, and tells the joiner what may be missing before that.
func (p *printer) positions(s start) []kafkaio.Position {
	var positions []kafkaio.Position
	for q := range s.counts {
		positions = append(positions,
			kafkaio.Position{Topic: p.cfg.CountsTopic, Partition: int32(q), Offset: s.counts[q]},
			kafkaio.Position{Topic: p.cfg.BatchesTopic, Partition: int32(q), Offset: s.batches[q]})
		if s.counts[q] > 0 {
			p.joiner.Cut(int32(q))
		}
	}
	return positions
}

// newestRecord is the last record of batches/q.
type newestRecord struct {
	windowEnd int64 // milliseconds since the epoch
	time      int64 // of the record
}

// newest finds the last committed record below an offset of each partition of batches. Partitions without any are not in the result.
// Between records stand control records and aborted ones, so it looks back further and further.
func (p *printer) newest(ctx context.Context, below []int64) (map[int32]newestRecord, error) {
	const firstLook, more = 32, 8
	first, err := p.offsets(ctx, p.cfg.BatchesTopic, kafkaio.Earliest)
	if err != nil {
		return nil, err
	}
	found := make(map[int32]newestRecord)
	looked := append([]int64(nil), below...) // there is none from here on
	for look := int64(firstLook); ; look *= more {
		var spans []span
		for q := range looked {
			if _, ok := found[int32(q)]; !ok && looked[q] > first[q] {
				spans = append(spans, span{partition: int32(q), from: max(first[q], looked[q]-look), to: looked[q]})
			}
		}
		if len(spans) == 0 {
			return found, nil
		}
		if err := p.lastOf(ctx, spans, found); err != nil {
			return nil, err
		}
		for _, s := range spans {
			looked[s.partition] = s.from
		}
	}
}

// span is a stretch of a partition, from an offset up to another one.
type span struct {
	partition int32
	from, to  int64
}

// lastOf puts the last record of each span of batches that has one into newest.
func (p *printer) lastOf(ctx context.Context, spans []span, newest map[int32]newestRecord) error {
	to := make(map[int32]int64)
	var positions []kafkaio.Position
	for _, s := range spans {
		to[s.partition] = s.to
		positions = append(positions, kafkaio.Position{Topic: p.cfg.BatchesTopic, Partition: s.partition, Offset: s.from})
	}
	reader := p.client.NewReader(positions)
	defer reader.Close()
	for len(to) > 0 {
		fetched, err := reader.Poll(ctx, pollWait)
		if err != nil {
			return err
		}
		for _, f := range fetched {
			end := to[f.Partition] // 0 when it was reached before
			var rec, last kafkaio.Record
			found := false
			for f.Next(&rec) {
				if rec.Offset < end {
					rec.Value = append(last.Value[:0], rec.Value...) // the next batch may take its place
					last, found = rec, true
				}
			}
			if found {
				b, err := wire.ParseBatch(last.Value)
				if err != nil {
					return unusable(f, last.Offset, err)
				}
				newest[f.Partition] = newestRecord{windowEnd: b.WindowEnd.UnixMilli(), time: last.Time}
			}
			var gone *kafkaio.OffsetOutOfRangeError
			switch err := f.Err(); {
			case errors.As(err, &gone) && gone.Offset > gone.LogEnd:
				return fmt.Errorf("%w: the topic was truncated or made anew; start the printer again", err)
			case errors.As(err, &gone): // retention went on
				reader.Seek(f.Topic, f.Partition, max(gone.Offset, gone.LogStart))
				if gone.LogStart >= end {
					delete(to, f.Partition)
				}
			case err != nil:
				return err
			case f.Position() >= end:
				delete(to, f.Partition)
			}
		}
	}
	return nil
}
