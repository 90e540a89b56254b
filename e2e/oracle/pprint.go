package oracle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Pprint is a batch as Spark Streaming's pprint shows it, in UTC: at most num words, all of them for 0.
func Pprint(end time.Time, counts map[string]int64, num int) string {
	dashes := strings.Repeat("-", 43) + "\n"
	label := end.UTC().Format("2006-01-02 15:04:05")
	if us := end.Nanosecond() / 1000; us > 0 {
		label += fmt.Sprintf(".%06d", us) // Python's str(datetime)
	}
	text := dashes + "Time: " + label + "\n" + dashes
	for i, word := range inOrder(counts) {
		if num > 0 && i == num {
			text += "...\n"
			break
		}
		text += fmt.Sprintf("(%s, %d)\n", repr(word), counts[word])
	}
	return text + "\n"
}

// JSON is a batch as the printer's format json shows it, a line of its own, without the time at which it was closed: at most num
// words, all of them for 0.
func JSON(end time.Time, interval time.Duration, w *Window, num int) string {
	return JSONLate(end, interval, w, 0, num)
}

// JSONLate is JSON for a window with late lines.
func JSONLate(end time.Time, interval time.Duration, w *Window, late int64, num int) string {
	var counts []string
	words := inOrder(w.Counts)
	more := num > 0 && len(words) > num
	if more {
		words = words[:num]
	}
	for _, word := range words {
		counts = append(counts, fmt.Sprintf(`{"word":%s,"count":%d}`, quoted(word), w.Counts[word]))
	}
	return fmt.Sprintf(`{"window_start":"%s","window_end":"%s","lines":%d,"late_lines":%d,"words":%d,"distinct_words":%d,"counts":[%s],"more":%t}`+"\n",
		Stamp(end.Add(-interval)), Stamp(end), w.Lines, late, w.Words(), len(w.Counts), strings.Join(counts, ","), more)
}

// inOrder sorts the most frequent words first, and among equals as Python sorts strings.
func inOrder(counts map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
}

// repr is Python's repr of words whose characters are ASCII or printable.
func repr(word string) string {
	quote := "'"
	if strings.Contains(word, "'") && !strings.Contains(word, `"`) {
		quote = `"`
	}
	text := quote
	for _, r := range word {
		switch {
		case string(r) == quote || r == '\\':
			text += `\` + string(r)
		case r == '\t':
			text += `\t`
		case r == '\r':
			text += `\r`
		case r == '\n':
			text += `\n`
		case r < ' ' || r == 0x7f:
			text += fmt.Sprintf(`\x%02x`, r)
		default:
			text += string(r)
		}
	}
	return text + quote
}
