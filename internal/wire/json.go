// Package wire holds the formats of the records that the services exchange over Kafka: here the lines of JSON on the topics
// word-counts (one a word and window) and batches (one a window and partition), which are a contract with everyone who reads
// these topics. DESIGN.md, section 1, fixes them.
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

// AppendCount appends the value of a word-counts record. Start and end are milliseconds since the epoch, word is valid UTF-8.
func AppendCount(dst []byte, start, end int64, word []byte, count int64) []byte {
	return AppendCountRest(AppendCountPrefix(dst, start, end), word, count)
}

// AppendCountPrefix appends what the values of a window's records begin with; AppendCountRest appends what follows.
func AppendCountPrefix(dst []byte, start, end int64) []byte {
	dst = append(dst, countStart...)
	dst = AppendTime(dst, start)
	dst = append(dst, countEnd...)
	dst = AppendTime(dst, end)
	return append(dst, countWord...)
}

// AppendCountRest completes the value of a word-counts record after its prefix.
func AppendCountRest(dst, word []byte, count int64) []byte {
	dst = appendEscaped(dst, word)
	dst = append(dst, countCount...)
	dst = strconv.AppendInt(dst, count, 10)
	return append(dst, '}')
}

// The parts of a word-counts record between its values.
const (
	countStart = `{"window_start":"`
	countEnd   = `","window_end":"`
	countWord  = `","word":"`
	countCount = `","count":`
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

// AppendString appends s, valid UTF-8, as a JSON string. It escapes what JSON demands (quotes, backslashes, control characters)
// and nothing else: text in any script stays readable in kcat.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped copies the stretches between bytes that need an escape in one piece each.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	copied := 0
	for i := 0; i < len(s); i++ {
		escape := escapes[s[i]]
		if escape == 0 {
			continue
		}
		dst = append(append(dst, s[copied:i]...), '\\', escape)
		if escape == 'u' {
			dst = append(dst, '0', '0', hexDigits[s[i]>>4], hexDigits[s[i]&15])
		}
		copied = i + 1
	}
	return append(dst, s[copied:]...)
}

const hexDigits = "0123456789abcdef"

// escapes has, for each byte, what follows the backslash when JSON cannot hold it as it is (u: four hexadecimal digits follow).
var escapes = func() (t [256]byte) {
	for c := range byte(0x20) {
		t[c] = 'u'
	}
	t['\b'], t['\f'], t['\n'], t['\r'], t['\t'] = 'b', 'f', 'n', 'r', 't'
	t['"'], t['\\'] = '"', '\\'
	return t
}()
