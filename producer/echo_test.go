package producer

import (
	"errors"
	"strings"
	"testing"
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

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestEchoReportsABrokenOutput(t *testing.T) {
	err := newEcho(brokenWriter{}).acknowledged([]shown{{0, []byte("a")}})
	if err == nil || !strings.Contains(err.Error(), "standard output: broken pipe") {
		t.Errorf("error %v", err)
	}
}
