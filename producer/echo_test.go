package producer

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestEchoShowsInTheOrderChosen(t *testing.T) {
	var out strings.Builder
	e := newEcho(&out)
	for _, step := range []struct {
		lines []shown
		want  string
	}{
		{[]shown{{1, []byte("b")}, {3, []byte("d")}}, ""},
		{[]shown{{0, []byte("a")}}, "[producer] sent -> a\n[producer] sent -> b\n"},
		{nil, ""},
		{[]shown{{2, []byte("hello spark streaming")}}, "[producer] sent -> hello spark streaming\n[producer] sent -> d\n"},
	} {
		out.Reset()
		if err := e.acknowledged(step.lines); err != nil {
			t.Fatal(err)
		}
		if out.String() != step.want {
			t.Errorf("after %v: %q, want %q", step.lines, out.String(), step.want)
		}
	}
	if len(e.waiting) != 0 {
		t.Errorf("%d lines are kept", len(e.waiting))
	}
}

func TestEchoEscapes(t *testing.T) {
	for text, want := range map[string]string{
		`plain "text" \ 漢字 👨‍👩‍👧`: `plain "text" \ 漢字 👨‍👩‍👧`,
		"tab\there":      `tab\there`,
		"\x1b[2Jgone":    `\x1b[2Jgone`,
		"\u009b2J":       `\u009b2J`,
		"a\r\nb\x00\x7f": `a\r\nb\x00\x7f`,
		"\xff\x9b2J":     `\xff\x9b2J`,
		"\u3000\u00a0":   "\u3000\u00a0",
		"\uFFFD":         "\uFFFD",
	} {
		if got := string(appendShown(nil, []byte(text))); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
}

// Lines are shown while there are at most ten in a second, whether these come at once or spread over it.
func TestFew(t *testing.T) {
	start := time.Now()
	for _, c := range []struct {
		name  string
		every time.Duration
		lines int
		shown int
	}{
		{"ten at once", 0, 10, 10},
		{"a hundred at once", 0, 100, 10},
		{"ten a second", 100 * time.Millisecond, 100, 100},
		{"eleven a second", time.Second / 11, 100, 10},
		{"one a minute", time.Minute, 100, 100},
	} {
		f := &few{}
		shown := 0
		now := start
		for range c.lines {
			if f.line(now) {
				shown++
			}
			now = now.Add(c.every)
		}
		if shown != c.shown {
			t.Errorf("%s: %d of %d shown, want %d", c.name, shown, c.lines, c.shown)
		}
		if !f.line(now.Add(time.Second)) {
			t.Errorf("%s: not shown a second later", c.name)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestEchoReportsABrokenOutput(t *testing.T) {
	err := newEcho(brokenWriter{}).acknowledged([]shown{{0, []byte("a")}})
	if err == nil || !strings.Contains(err.Error(), "standard output: broken pipe") {
		t.Errorf("error %v", err)
	}
}
