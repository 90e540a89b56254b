// Package wire holds the formats of the records that the services exchange over Kafka: here the lines of JSON on the topics
// word-counts (one a word and window) and batches (one a window and partition), which are a contract with everyone who reads
// these topics: their bytes stay as the tests here have them.
//
// Appending never allocates beyond the growth of its destination, because a counter writes millions of rows. Parsing takes
// lines in exactly the shape that the Append functions write without encoding/json, and any other JSON with it.
package wire

import (
	"strconv"
	"time"
)

// Count is a record of the topic word-counts: how often a word stood in the lines of a window. Times are whole milliseconds in UTC.
type Count struct {
	WindowStart, WindowEnd time.Time // the window [start, end)
	Word                   string    // valid UTF-8; may be empty
	Count                  int64     // 1 or more
}

// Batch is a record of the topic batches: what partition Partition of Partitions holds of a window. Lines and LateLines are the
// whole window's, the same in each of its records; Words and DistinctWords are the partition's share. Times are whole
// milliseconds in UTC.
type Batch struct {
	WindowStart, WindowEnd      time.Time
	Partition, Partitions       int
	Lines, Words, DistinctWords int64
	LateLines                   int64
	ClosedAt                    time.Time // when the counter closed the window
}

// AppendCount appends the value of a word-counts record. Start and end are milliseconds since the epoch, word is valid UTF-8. It is the
// plain form of what the counter writes compressed at once, from the same parts.
func AppendCount(dst []byte, start, end int64, word []byte, count int64) []byte {
	dst = appendEscaped(AppendCountHead(dst, start, end), word)
	return append(strconv.AppendInt(append(dst, CountMiddle...), count, 10), CountTail...)
}

// AppendCountHead appends what the values of a window's word-counts records begin with. Behind it come the word as Escaped makes it,
// CountMiddle, the count in decimal, and CountTail.
func AppendCountHead(dst []byte, start, end int64) []byte {
	dst = AppendTime(append(dst, countStart...), start)
	dst = AppendTime(append(dst, countEnd...), end)
	return append(dst, countWord...)
}

// The parts of a word-counts record between and behind its word and count.
const (
	CountMiddle = `","count":`
	CountTail   = `}`
)

// The parts of a word-counts record in front of its word.
const (
	countStart = `{"window_start":"`
	countEnd   = `","window_end":"`
	countWord  = `","word":"`
)

// AppendBatch appends the value of a batches record. What its times have below a millisecond is cut off.
func AppendBatch(dst []byte, b Batch) []byte {
	dst = AppendTime(append(dst, batchStart...), b.WindowStart.UnixMilli())
	dst = AppendTime(append(dst, batchEnd...), b.WindowEnd.UnixMilli())
	dst = strconv.AppendInt(append(dst, batchPartition...), int64(b.Partition), 10)
	dst = strconv.AppendInt(append(dst, batchPartitions...), int64(b.Partitions), 10)
	dst = strconv.AppendInt(append(dst, batchLines...), b.Lines, 10)
	dst = strconv.AppendInt(append(dst, batchWords...), b.Words, 10)
	dst = strconv.AppendInt(append(dst, batchDistinct...), b.DistinctWords, 10)
	dst = strconv.AppendInt(append(dst, batchLate...), b.LateLines, 10)
	dst = AppendTime(append(dst, batchClosed...), b.ClosedAt.UnixMilli())
	return append(dst, `"}`...)
}

// The parts of a batches record between its values.
const (
	batchStart      = `{"window_start":"`
	batchEnd        = `","window_end":"`
	batchPartition  = `","partition":`
	batchPartitions = `,"partitions":`
	batchLines      = `,"lines":`
	batchWords      = `,"words":`
	batchDistinct   = `,"distinct_words":`
	batchLate       = `,"late_lines":`
	batchClosed     = `,"closed_at":"`
)
