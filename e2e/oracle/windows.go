// Package oracle says what the pipeline must have produced, computed from the lines themselves in the plainest way, and checks
// records of word-counts and batches against it. It shares no code with the services: what it knows is what README.md and docs/delivery.md promise.
package oracle

import (
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Line is a record of the topic lines. Time is when the broker appended it.
type Line struct {
	Partition int32
	Offset    int64
	Time      time.Time
	Value     []byte
}

// Window is what must be reported of the lines appended in [End − interval, End).
type Window struct {
	End    time.Time
	Lines  int64
	Counts map[string]int64
}

// Words is the number of words, repeated ones included.
func (w *Window) Words() (n int64) {
	for _, count := range w.Counts {
		n += count
	}
	return n
}

// Windows counts the words of each window in which there were lines. The keys are the windows' ends in milliseconds since the
// epoch. The interval is at least a millisecond.
func Windows(lines []Line, interval time.Duration, tokenize func(line string) []string) map[int64]*Window {
	windows := make(map[int64]*Window)
	for _, line := range lines {
		end := WindowEnd(line.Time, interval)
		w := windows[end.UnixMilli()]
		if w == nil {
			w = &Window{End: end, Counts: make(map[string]int64)}
			windows[end.UnixMilli()] = w
		}
		w.Lines++
		for _, word := range tokenize(string(line.Value)) {
			w.Counts[cut(repair(word))]++
		}
	}
	return windows
}

// WindowEnd is the end of the window that contains t. Windows are aligned to the Unix epoch.
func WindowEnd(t time.Time, interval time.Duration) time.Time {
	ms := interval.Milliseconds()
	return time.UnixMilli((t.UnixMilli()/ms + 1) * ms).UTC()
}

// Space splits as Python's line.split(" ") does: an empty line has one empty word.
func Space(line string) []string { return strings.Split(line, " ") }

// Fields splits at any white space and has no empty words.
func Fields(line string) []string { return strings.Fields(line) }

// Words yields the runs of letters and digits, in lower case. (Combining marks are not for these tests: they would belong to
// the letter before them.)
func Words(line string) []string {
	return strings.FieldsFunc(strings.ToLower(line), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// Matches returns a tokenizer whose words are what the pattern matches.
func Matches(pattern string) func(line string) []string {
	re := regexp.MustCompile(pattern)
	return func(line string) []string { return re.FindAllString(line, -1) }
}

// repair puts U+FFFD in the place of what is not UTF-8, as Python's decoder does: one for each longest start of a
// well-formed sequence, else one for each byte.
func repair(word string) string {
	var b strings.Builder
	for len(word) > 0 {
		r, n := utf8.DecodeRuneInString(word)
		if r == utf8.RuneError && n == 1 {
			for _, rest := range []string{"\x80", "\x80\x80"} {
				for start := 2; start <= min(3, len(word)); start++ {
					if completed := word[:start] + rest; utf8.ValidString(completed) && utf8.RuneCountInString(completed) == 1 {
						n = max(n, start)
					}
				}
			}
		}
		b.WriteRune(r)
		word = word[n:]
	}
	return b.String()
}

// maxWord is how many bytes of a word are kept.
const maxWord = 128 << 10

// cut shortens a word of more than 128 KiB to whole runes within that length, and puts … behind them.
func cut(word string) string {
	if len(word) <= maxWord {
		return word
	}
	n := maxWord
	for !utf8.RuneStart(word[n]) {
		n--
	}
	return word[:n] + "…"
}
