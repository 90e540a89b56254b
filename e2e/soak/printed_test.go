package soak

import (
	"strings"
	"testing"
	"time"

	"wordcount/e2e/oracle"
)

func TestPrinted(t *testing.T) {
	e := NewExpected(time.Second)
	shown := map[int64]string{}
	for _, end := range []int64{1000, 2000, 3000} {
		json := oracle.JSON(time.UnixMilli(end), time.Second, &oracle.Window{Lines: 1, Counts: map[string]int64{"w": end}}, 0)
		e.Add(end, json)
		shown[end] = strings.Replace(json, `"counts":`, `"closed_at":"2026-01-21T21:25:30Z","counts":`, 1)
	}
	for name, c := range map[string]struct {
		output  string
		windows int
		wrong   bool
	}{
		"all":               {shown[1000] + shown[2000] + shown[3000], 3, false},
		"some, then killed": {shown[2000] + shown[3000] + shown[3000][:20], 2, false},
		"twice":             {shown[1000] + shown[1000], 1, true},
		"left out":          {shown[1000] + shown[3000], 1, true},
		"changed":           {strings.Replace(shown[1000], `"lines":1`, `"lines":2`, 1), 1, true},
		"not JSON":          {"panic\n", 0, true},
		"another":           {strings.Replace(shown[3000], "03Z", "04Z", 1), 1, true},
	} {
		p := e.Printer(name)
		for output := c.output; output != ""; { // in pieces
			n := min(len(output), 33)
			p.Write([]byte(output[:n]))
			output = output[n:]
		}
		if windows, err := p.Check(); windows != c.windows || err != nil != c.wrong {
			t.Errorf("%s: %d windows, %v", name, windows, err)
		}
	}
}
