package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// CountRow is a Count as a reader of millions of them wants it: without an allocation for each.
type CountRow struct {
	WindowStart, WindowEnd int64  // milliseconds since the epoch
	Word                   []byte // valid UTF-8; may point into what was parsed
	Count                  int64
}

// ParseCount reads the value of a word-counts record. Every field must be there and make sense (errors name the field); fields
// that it does not know are ignored, so that a newer counter may add some.
func ParseCount(data []byte) (Count, error) {
	var row CountRow
	if err := ParseCountRow(data, &row); err != nil {
		return Count{}, err
	}
	return Count{WindowStart: utc(row.WindowStart), WindowEnd: utc(row.WindowEnd), Word: string(row.Word), Count: row.Count}, nil
}

// ParseCountRow is ParseCount into a row, whose word is valid only as long as data is. After an error the row's content is
// undefined.
func ParseCountRow(data []byte, row *CountRow) error {
	if !scanCount(data, row) {
		if err := parseCount(data, row); err != nil {
			return err
		}
	}
	return row.check()
}

func (row *CountRow) check() error {
	if row.WindowStart >= row.WindowEnd {
		return errors.New("window_end: not after window_start")
	}
	if row.Count < 1 {
		return fmt.Errorf("count: %d is less than 1", row.Count)
	}
	return nil
}

func scanCount(data []byte, row *CountRow) bool {
	s := scanner{rest: data}
	s.skip(countStart)
	row.WindowStart = s.time()
	s.skip(countEnd)
	row.WindowEnd = s.time()
	s.skip(countWord)
	row.Word = s.text()
	s.skip(CountMiddle)
	row.Count = s.natural()
	s.last(CountTail)
	return !s.bad
}

// parseCount reads any JSON that holds a count.
func parseCount(data []byte, row *CountRow) error {
	object := parseObject(data)
	row.WindowStart = object.time("window_start")
	row.WindowEnd = object.time("window_end")
	row.Word = []byte(object.text("word"))
	row.Count = object.integer("count")
	return object.err
}

// ParseBatch reads the value of a batches record, with the strictness of ParseCount.
func ParseBatch(data []byte) (Batch, error) {
	b, ok := scanBatch(data)
	if !ok {
		var err error
		if b, err = parseBatch(data); err != nil {
			return Batch{}, err
		}
	}
	return b, b.check()
}

func (b *Batch) check() error {
	switch {
	case !b.WindowStart.Before(b.WindowEnd):
		return errors.New("window_end: not after window_start")
	case b.Partition >= b.Partitions:
		return fmt.Errorf("partition: %d of %d partitions", b.Partition, b.Partitions)
	case b.DistinctWords > b.Words:
		return fmt.Errorf("distinct_words: %d of %d words", b.DistinctWords, b.Words)
	}
	return nil
}

func scanBatch(data []byte) (b Batch, ok bool) {
	s := scanner{rest: data}
	s.skip(batchStart)
	b.WindowStart = utc(s.time())
	s.skip(batchEnd)
	b.WindowEnd = utc(s.time())
	s.skip(batchPartition)
	b.Partition = int(s.natural())
	s.skip(batchPartitions)
	b.Partitions = int(s.natural())
	s.skip(batchLines)
	b.Lines = s.natural()
	s.skip(batchWords)
	b.Words = s.natural()
	s.skip(batchDistinct)
	b.DistinctWords = s.natural()
	s.skip(batchLate)
	b.LateLines = s.natural()
	s.skip(batchClosed)
	b.ClosedAt = utc(s.time())
	s.last(`"}`)
	return b, !s.bad
}

// parseBatch reads any JSON that holds a batch.
func parseBatch(data []byte) (Batch, error) {
	object := parseObject(data)
	b := Batch{
		WindowStart:   utc(object.time("window_start")),
		WindowEnd:     utc(object.time("window_end")),
		Partition:     int(object.natural("partition")),
		Partitions:    int(object.natural("partitions")),
		Lines:         object.natural("lines"),
		Words:         object.natural("words"),
		DistinctWords: object.natural("distinct_words"),
		LateLines:     object.natural("late_lines"),
		ClosedAt:      utc(object.time("closed_at")),
	}
	return b, object.err
}

func utc(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// object is a JSON object under inspection; err is the first thing that was wrong with it.
type object struct {
	fields map[string]json.RawMessage
	err    error
}

func parseObject(data []byte) (o object) {
	if err := json.Unmarshal(data, &o.fields); err != nil {
		o.err = fmt.Errorf("not a JSON object: %w", err)
	}
	return o // null leaves no fields: the first one asked for is missing
}

// read decodes a field into a pointer's target.
func (o *object) read(name string, target any) {
	if o.err != nil {
		return
	}
	value, ok := o.fields[name]
	if !ok || string(value) == "null" {
		o.err = fmt.Errorf("%s: missing", name)
	} else if err := json.Unmarshal(value, target); err != nil {
		o.err = fmt.Errorf("%s: %s is not what belongs there: %w", name, shorten(value), err)
	}
}

func (o *object) text(name string) (s string) {
	o.read(name, &s)
	return s
}

func (o *object) integer(name string) (n int64) {
	o.read(name, &n)
	return n
}

func (o *object) natural(name string) int64 {
	n := o.integer(name)
	if n < 0 && o.err == nil {
		o.err = fmt.Errorf("%s: %d is negative", name, n)
	}
	return n
}

func (o *object) time(name string) int64 {
	s := o.text(name)
	if o.err != nil {
		return 0
	}
	ms, ok := parseTime(s)
	if !ok {
		o.err = fmt.Errorf("%s: %s is not a time in RFC 3339 with milliseconds at most", name, shorten(o.fields[name]))
	}
	return ms
}

// shorten keeps a value that somebody else wrote from flooding a message.
func shorten(value []byte) string {
	const most = 64
	if len(value) <= most {
		return string(value)
	}
	return string(value[:most]) + "…"
}
