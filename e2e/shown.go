package e2e

import (
	"regexp"
	"strings"
	"time"

	"wordcount/e2e/oracle"
)

// ShowsPprint waits until a printer that runs from the beginning has shown every reported window, stops it, and demands that
// its output is what Spark would print of them: nothing else, nothing twice.
func (p *Pipeline) ShowsPprint(printer *Process, want map[int64]*oracle.Window, num int) {
	p.t.Helper()
	var expected strings.Builder
	for _, end := range p.Watch.Reported() {
		var counts map[string]int64
		if w := want[end.UnixMilli()]; w != nil {
			counts = w.Counts
		}
		expected.WriteString(oracle.Pprint(end, counts, num))
	}
	p.shows(printer, expected.String(), func(shown string) string { return shown })
}

// ShowsJSON is ShowsPprint for a printer of the format json that shows all words.
func (p *Pipeline) ShowsJSON(printer *Process, want map[int64]*oracle.Window) {
	p.t.Helper()
	var expected strings.Builder
	for _, end := range p.Watch.Reported() {
		w := want[end.UnixMilli()]
		if w == nil {
			w = &oracle.Window{}
		}
		expected.WriteString(oracle.JSON(end, p.Interval, w, 0))
	}
	p.shows(printer, expected.String(), func(shown string) string { return closedAt.ReplaceAllString(shown, "") })
}

var closedAt = regexp.MustCompile(`"closed_at":"[^"]*",`)

// shows waits until a printer has printed as much as expected, stops it, and compares what is comparable of its output.
func (p *Pipeline) shows(printer *Process, expected string, comparable func(shown string) string) {
	p.t.Helper()
	printer.Stdout.Wait(p.t, 20*time.Second, printer.Name+" showing every batch", func(text string) bool {
		return strings.Count(text, "\n") >= strings.Count(expected, "\n")
	})
	printer.Stop()
	shown := strings.SplitAfter(comparable(printer.Stdout.String()), "\n")
	for i, line := range strings.SplitAfter(expected, "\n") {
		if i >= len(shown) || shown[i] != line {
			p.t.Fatalf("%s printed other than expected in line %d:\n%.2000s\nnot\n%.2000s", printer.Name, i+1, strings.Join(shown[min(i, len(shown)):], ""), line)
		}
	}
	if len(shown) > strings.Count(expected, "\n")+1 {
		p.t.Fatalf("%s printed more than every batch:\n%.2000s", printer.Name, strings.Join(shown[strings.Count(expected, "\n"):], ""))
	}
}
