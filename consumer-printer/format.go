package printer

import (
	"strconv"
	"time"

	"wordcount/internal/wire"
)

// formatter appends a batch as it is shown, with all that separates it from the next.
type formatter func(dst []byte, b *Batch) []byte

const pprintRule = "-------------------------------------------\n"

// newPprint returns the formatter that shows a batch as Spark does (DStream.pprint in pyspark/streaming/dstream.py): the end of the
// window as str() of a datetime in a time zone, its words as tuples, "..." when there are more of them, a blank line.
func newPprint(zone *time.Location) formatter {
	return func(dst []byte, b *Batch) []byte {
		end := time.UnixMilli(b.WindowEnd).In(zone)
		layout := "2006-01-02 15:04:05"
		if end.Nanosecond() != 0 {
			layout = "2006-01-02 15:04:05.000000"
		}
		dst = append(dst, pprintRule+"Time: "...)
		dst = end.AppendFormat(dst, layout)
		dst = append(dst, "\n"+pprintRule...)
		for _, word := range b.Top {
			dst = appendRepr(append(dst, '('), word.Word)
			dst = append(dst, ", "...)
			dst = strconv.AppendInt(dst, word.Count, 10)
			dst = append(dst, ")\n"...)
		}
		if b.More() {
			dst = append(dst, "...\n"...)
		}
		return append(dst, '\n')
	}
}

// appendJSON is the formatter of one JSON object a line. Times are UTC, in the format of the topics.
func appendJSON(dst []byte, b *Batch) []byte {
	dst = wire.AppendTime(append(dst, `{"window_start":"`...), b.WindowStart)
	dst = wire.AppendTime(append(dst, `","window_end":"`...), b.WindowEnd)
	dst = strconv.AppendInt(append(dst, `","lines":`...), b.Lines, 10)
	dst = strconv.AppendInt(append(dst, `,"late_lines":`...), b.LateLines, 10)
	dst = strconv.AppendInt(append(dst, `,"words":`...), b.Words, 10)
	dst = strconv.AppendInt(append(dst, `,"distinct_words":`...), b.DistinctWords, 10)
	dst = wire.AppendTime(append(dst, `,"closed_at":"`...), b.ClosedAt)
	dst = append(dst, `","counts":[`...)
	for i, word := range b.Top {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(append(dst, `{"word":`...), word.Word)
		dst = strconv.AppendInt(append(dst, `,"count":`...), word.Count, 10)
		dst = append(dst, '}')
	}
	dst = strconv.AppendBool(append(dst, `],"more":`...), b.More())
	return append(dst, "}\n"...)
}
