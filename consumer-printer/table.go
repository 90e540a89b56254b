package printer

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// table shows a batch as a table for people: its statistics, and its words with a bar each. On a terminal it is as wide as that and
// has colours.
type table struct {
	zone    *time.Location
	size    func() (columns, rows int) // of the terminal; 0 when nobody knows
	colours bool
	// refresh draws each batch over the one before, no higher than the terminal, as top and watch do.
	refresh bool
	drawn   bool // something was, so that there is something to draw over
}

const (
	defaultColumns = 80 // where there is no terminal
	leastColumns   = 32
	mostColumns    = 120

	// Control sequences of ECMA-48, as every terminal knows them.
	home        = "\x1b[H"
	eraseLine   = "\x1b[K" // from the cursor on
	eraseScreen = "\x1b[J" // from the cursor on
	bold        = "\x1b[1m"
	faint       = "\x1b[2m"
	cyan        = "\x1b[36m"
	yellow      = "\x1b[33m"
	uncoloured  = "\x1b[m"
)

// format is the formatter.
func (t *table) format(dst []byte, b *Batch) []byte {
	columns, rows := t.size()
	if columns == 0 {
		columns = defaultColumns
	}
	columns = min(max(columns, leastColumns), mostColumns)
	text := t.title(nil, b, columns)
	text = t.statistics(text, b, columns)
	shown := b.Top
	if t.refresh && rows > 0 {
		const others = 4 // rows: an empty one, the head of the words, how many more there are, the cursor's
		shown = shown[:min(len(shown), max(rows-others-bytes.Count(text, []byte("\n")), 1))]
	}
	text = t.words(text, b, shown, columns)
	if !t.refresh {
		return append(append(dst, text...), '\n')
	}
	if !t.drawn { // what stood on the screen moves up, where it can be scrolled to
		t.drawn = true
		dst = append(dst, strings.Repeat("\n", rows)...)
	}
	dst = append(dst, home...)
	dst = append(dst, bytes.ReplaceAll(text, []byte("\n"), []byte(eraseLine+"\n"))...)
	return append(dst, eraseScreen...)
}

// title appends the line with the end and the length of the batch's window.
func (t *table) title(dst []byte, b *Batch, columns int) []byte {
	layout := time.DateTime
	if b.WindowEnd%1000 != 0 {
		layout += ".000"
	}
	end, length := time.UnixMilli(b.WindowEnd).In(t.zone).Format(layout), howLong(b.WindowEnd-b.WindowStart)
	const around = len("-- " + "  " + " --")
	rule := strings.Repeat("─", max(columns-around-len(end)-len(length), 1))
	return fmt.Appendf(dst, "%s %s %s %s %s\n", t.in(faint, "──"), t.in(bold, end), t.in(faint, rule), length, t.in(faint, "──"))
}

// statistics appends what is known of the batch as a whole, in as many lines as it takes.
func (t *table) statistics(dst []byte, b *Batch, columns int) []byte {
	used := 0
	for _, s := range []struct{ name, value, colour string }{
		{"lines", grouped(b.Lines), ""},
		{"words", grouped(b.Words), ""},
		{"distinct", grouped(b.DistinctWords), ""},
		{"late", grouped(b.LateLines), map[bool]string{true: yellow}[b.LateLines > 0]},
		{"delay", howLong(b.AppendedAt - b.WindowEnd), ""},
	} {
		gap, width := 2, len(s.name)+1+len(s.value)
		switch {
		case used > 0 && used+4+width > columns:
			dst, used = append(dst, '\n'), 0
		case used > 0:
			gap = 4
		}
		dst = fmt.Appendf(dst, "%*s%s %s", gap, "", t.in(faint, s.name), t.in(s.colour, s.value))
		used += gap + width
	}
	return append(dst, '\n')
}

// words appends the words, in columns: the word, its count, its share of all words of the batch, and a bar as long as the count is,
// where there is room.
func (t *table) words(dst []byte, b *Batch, shown []WordCount, columns int) []byte {
	if len(shown) == 0 {
		return dst
	}
	const (
		share    = len("100.0%")
		least    = 8 // columns of words, and of bars
		betweens = 2
	)
	highest := slices.MaxFunc(shown, func(a, b WordCount) int { return int(min(max(a.Count-b.Count, -1), 1)) }).Count
	count := max(len("count"), len(grouped(highest)))
	room := columns - 2*betweens - count // for words, shares and bars
	withShare := room >= least+betweens+share
	if withShare {
		room -= betweens + share
	}
	mostForWords := room
	withBars := room >= 2*least+betweens
	if withBars {
		mostForWords = max(least, room*2/5)
	}
	cells, widths, word := make([]string, len(shown)), make([]int, len(shown)), len("word")
	for i := range shown {
		cells[i], widths[i] = cellOf(shown[i].Word, mostForWords)
		word = max(word, widths[i])
	}
	bars := room - word - betweens

	dst = fmt.Appendf(dst, "\n  %s", t.in(faint, fmt.Sprintf("word%*s  %*s", word-len("word"), "", count, "count")))
	if withShare {
		dst = append(dst, "  "+t.in(faint, fmt.Sprintf("%*s", share, "share"))...)
	}
	dst = append(dst, '\n')
	for i := range shown {
		dst = fmt.Appendf(dst, "  %s%*s  %*s", cells[i], word-widths[i], "", count, grouped(shown[i].Count))
		if withShare {
			dst = fmt.Appendf(dst, "  %*.1f%%", share-1, 100*float64(shown[i].Count)/float64(b.Words))
		}
		if withBars {
			dst = append(dst, "  "+t.in(cyan, bar(float64(shown[i].Count)/float64(highest), bars))...)
		}
		dst = append(dst, '\n')
	}
	if more := b.Matching - int64(len(shown)); more > 0 {
		dst = fmt.Appendf(dst, "  %s\n", t.in(faint, "… and "+grouped(more)+" more"))
	}
	return dst
}

// in colours a text where colours are shown.
func (t *table) in(colour, text string) string {
	if !t.colours || colour == "" {
		return text
	}
	return colour + text + uncoloured
}

// bar returns a part, 0 to 1, of a bar of so many columns, at least the thinnest there is.
func bar(part float64, columns int) string {
	eighths := max(int(part*float64(columns*8)+0.5), 1)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// grouped writes a number with a comma between thousands.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// howLong writes a time in milliseconds: 263 ms, 1.5 s, 2h3m4s, 5 days.
func howLong(ms int64) string {
	switch d := time.Duration(ms) * time.Millisecond; {
	case d < time.Second:
		return strconv.FormatInt(ms, 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	default:
		return grouped(int64(d/(24*time.Hour))) + " days"
	}
}
