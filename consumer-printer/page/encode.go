package page

import (
	"strconv"

	"wordcount/internal/wire"
)

// eventWords is how many words of a list an event holds, and how many the page shows.
const eventWords = 10

// appendBatch appends the fields of a batch, without braces. Delays that clocks make negative are 0.
func appendBatch(dst []byte, e *entry) []byte {
	dst = wire.AppendTime(append(dst, `"window_start":"`...), e.WindowStart)
	dst = wire.AppendTime(append(dst, `","window_end":"`...), e.WindowEnd)
	dst = strconv.AppendInt(append(dst, `","lines":`...), e.Lines, 10)
	dst = strconv.AppendInt(append(dst, `,"late_lines":`...), e.LateLines, 10)
	dst = strconv.AppendInt(append(dst, `,"words":`...), e.Words, 10)
	dst = strconv.AppendInt(append(dst, `,"distinct_words":`...), e.DistinctWords, 10)
	dst = wire.AppendTime(append(dst, `,"closed_at":"`...), e.ClosedAt)
	dst = wire.AppendTime(append(dst, `","appended_at":"`...), e.AppendedAt)
	dst = wire.AppendTime(append(dst, `","shown_at":"`...), e.shownAt)
	dst = appendSeconds(append(dst, `","scheduling_delay_seconds":`...), e.ClosedAt-e.WindowEnd)
	dst = appendSeconds(append(dst, `,"processing_seconds":`...), e.AppendedAt-e.ClosedAt)
	return appendSeconds(append(dst, `,"total_delay_seconds":`...), e.AppendedAt-e.WindowEnd)
}

func appendSeconds(dst []byte, ms int64) []byte {
	return strconv.AppendFloat(dst, float64(max(ms, 0))/1000, 'f', -1, 64)
}

// appendWords appends the field "top" with the first n words of a list, and whether there are more.
func appendWords(dst []byte, words []Word, n int, distinct int64) []byte {
	words = words[:min(n, len(words))]
	dst = append(dst, `"top":[`...)
	for i, w := range words {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(append(dst, `{"word":`...), w.Word)
		dst = strconv.AppendInt(append(dst, `,"count":`...), w.Count, 10)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"more":`...)
	return strconv.AppendBool(dst, distinct > int64(len(words)))
}

// appendEvent appends the data of an event: some batches, oldest first, the top words of the newest and those of the last minutes.
func appendEvent(dst []byte, batches []*entry, r *recent) []byte {
	dst = append(dst, `{"batches":[`...)
	for i, e := range batches {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '{'), e.json...), '}')
	}
	newest := batches[len(batches)-1]
	dst = append(dst, `],"last":{`...)
	dst = wire.AppendTime(append(dst, `"window_end":"`...), newest.WindowEnd)
	dst = append(appendWords(append(dst, `",`...), newest.Top, eventWords, newest.DistinctWords), '}')
	dst = wire.AppendTime(append(dst, `,"recent":{"window_start":"`...), r.start)
	dst = wire.AppendTime(append(dst, `","window_end":"`...), r.end)
	dst = strconv.AppendInt(append(dst, `","batches":`...), int64(r.batches), 10)
	dst = append(dst, `,"top":[`...)
	for i, w := range r.words {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(append(dst, `{"word":`...), w.word)
		dst = strconv.AppendInt(append(dst, `,"count":`...), w.count, 10)
		if w.missing > 0 {
			dst = append(dst, `,"at_least":true`...)
		}
		dst = append(dst, '}')
	}
	return append(dst, "]}}"...)
}

// appendSeen appends an object for each batch in which a word was looked up.
func appendSeen(dst []byte, history []seen) []byte {
	for i, s := range history {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendTime(append(dst, `{"window_start":"`...), s.WindowStart)
		dst = wire.AppendTime(append(dst, `","window_end":"`...), s.WindowEnd)
		dst = append(dst, `","count":`...)
		if s.known {
			dst = strconv.AppendInt(dst, s.count, 10)
		} else {
			dst = append(dst, "null"...)
		}
		dst = append(dst, '}')
	}
	return dst
}
