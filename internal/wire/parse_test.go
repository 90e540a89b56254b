package wire

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseCountAccepts(t *testing.T) {
	want := Count{WindowStart: utc(start), WindowEnd: utc(end), Word: "spark", Count: 3}
	for _, line := range []string{
		goldenCount,
		goldenCount + "\n",
		` { "count" : 3 , "word":"spark", "window_end":"2026-01-21T21:25:30Z","window_start":"2026-01-21T21:25:25Z" } `,
		strings.Replace(goldenCount, "}", `,"share":{"of":["a","newer","version"]}}`, 1),
		strings.Replace(goldenCount, `"count"`, `"Count":7,"count"`, 1),
		strings.Replace(goldenCount, "spark", `\u0073p\u0061rk`, 1),
		strings.Replace(goldenCount, "21:25:30Z", "22:25:30.000+01:00", 1),
	} {
		if got, err := ParseCount([]byte(line)); err != nil || got != want {
			t.Errorf("ParseCount(%s) = %+v, %v", line, got, err)
		}
	}
}

func TestParseCountRefuses(t *testing.T) {
	for _, tc := range []struct{ old, new, wantError string }{
		{goldenCount, ``, "not a JSON object"},
		{goldenCount, `[]`, "not a JSON object"},
		{goldenCount, `"spark"`, "not a JSON object"},
		{goldenCount, `null`, "window_start: missing"},
		{goldenCount, `{}`, "window_start: missing"},
		{goldenCount, goldenCount + "x", "not a JSON object"},
		{goldenCount, goldenCount[:len(goldenCount)-1], "not a JSON object"},
		{`"window_start"`, `"x"`, "window_start: missing"},
		{`"window_end"`, `"Window_End"`, "window_end: missing"},
		{`"2026-01-21T21:25:25Z"`, `"yesterday"`, `window_start: "yesterday" is not a time`},
		{`"2026-01-21T21:25:25Z"`, `1769030725000`, "window_start: 1769030725000 is not what belongs there"},
		{`21:25:25Z`, `21:25:25.1234Z`, "window_start: "},
		{`21:25:30Z`, `21:25:25Z`, "window_end: not after window_start"},
		{`"spark"`, `null`, "word: missing"},
		{`"spark"`, `7`, "word: 7 is not what belongs there"},
		{`"spark"`, "\"a\tb\"", "not a JSON object"},
		{`:3}`, `:0}`, "count: 0 is less than 1"},
		{`:3}`, `:-3}`, "count: -3 is less than 1"},
		{`:3}`, `:3.5}`, "count: 3.5 is not what belongs there"},
		{`:3}`, `:03}`, "not a JSON object"},
		{`:3}`, `:9223372036854775808}`, "count: 9223372036854775808 is not what belongs there"},
		{`:3}`, `:"3"}`, `count: "3" is not what belongs there`},
		{`:3}`, `:"` + strings.Repeat("long", 1000) + `"}`, `count: "longlong`},
		{`:3}`, `:}`, "not a JSON object"},
	} {
		line := strings.Replace(goldenCount, tc.old, tc.new, 1)
		got, err := ParseCount([]byte(line))
		if err == nil || !strings.HasPrefix(err.Error(), tc.wantError) || len(err.Error()) > 300 {
			t.Errorf("ParseCount(%s) = %+v, %v; want an error that starts with %q", line, got, err, tc.wantError)
		}
	}
}

func TestParseBatchRefuses(t *testing.T) {
	for _, tc := range []struct{ old, new, wantError string }{
		{goldenBatch, `nothing`, "not a JSON object"},
		{`"partition"`, `"x"`, "partition: missing"},
		{`"partitions"`, `"x"`, "partitions: missing"},
		{`"lines"`, `"x"`, "lines: missing"},
		{`"words"`, `"x"`, "words: missing"},
		{`"distinct_words"`, `"x"`, "distinct_words: missing"},
		{`"late_lines"`, `"x"`, "late_lines: missing"},
		{`"closed_at"`, `"x"`, "closed_at: missing"},
		{`21:25:25Z`, `21:25:30Z`, "window_end: not after window_start"},
		{`"partition":0`, `"partition":4`, "partition: 4 of 4 partitions"},
		{`"partition":0`, `"partition":-1`, "partition: -1 is negative"},
		{`"lines":5`, `"lines":-5`, "lines: -5 is negative"},
		{`"words":14`, `"words":2`, "distinct_words: 3 of 2 words"},
	} {
		line := strings.Replace(goldenBatch, tc.old, tc.new, 1)
		got, err := ParseBatch([]byte(line))
		if err == nil || !strings.HasPrefix(err.Error(), tc.wantError) {
			t.Errorf("ParseBatch(%s) = %+v, %v; want an error that starts with %q", line, got, err, tc.wantError)
		}
	}
	extended := strings.Replace(goldenBatch, "}", `,"skipped":7}`, 1)
	if got, err := ParseBatch([]byte(extended)); err != nil || got != golden {
		t.Errorf("ParseBatch(%s) = %+v, %v", extended, got, err)
	}
}

// The scanner and encoding/json must agree on every line that the scanner takes; what is accepted survives a round trip.
func FuzzParseCount(f *testing.F) {
	f.Add([]byte(goldenCount))
	f.Add(AppendCount(nil, start, end+1, []byte("a\"\\\n\x01漢"), 1<<62))
	f.Add([]byte(`{"window_start":"2026-01-21T21:25:25Z","window_end":"2026-01-21T21:25:30.5Z","word":"` + "\xff" + `","count":1}`))
	f.Add([]byte(strings.Replace(goldenCount, "spark", `\u0073\/\ud800`, 1)))
	f.Add([]byte(`{"count":3}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		var fast, slow CountRow
		fastErr, slowErr := ParseCountRow(data, &fast), parseCount(data, &slow)
		if slowErr == nil {
			slowErr = slow.check()
		}
		if !bytes.Equal(data, before) {
			t.Fatalf("parsing changed %q into %q", before, data)
		}
		if (fastErr == nil) != (slowErr == nil) {
			t.Fatalf("%q: scanner: %v, encoding/json: %v", data, fastErr, slowErr)
		}
		if fastErr != nil {
			return
		}
		if fast.WindowStart != slow.WindowStart || fast.WindowEnd != slow.WindowEnd || fast.Count != slow.Count || !bytes.Equal(fast.Word, slow.Word) {
			t.Fatalf("%q: scanner: %+v, encoding/json: %+v", data, fast, slow)
		}
		line := AppendCount(nil, fast.WindowStart, fast.WindowEnd, fast.Word, fast.Count)
		var again CountRow
		if err := ParseCountRow(line, &again); err != nil || again.WindowStart != fast.WindowStart || again.WindowEnd != fast.WindowEnd ||
			again.Count != fast.Count || !bytes.Equal(again.Word, fast.Word) {
			t.Fatalf("%q: %+v became %+v, %v", data, fast, again, err)
		}
	})
}

func FuzzParseBatch(f *testing.F) {
	f.Add([]byte(goldenBatch))
	f.Add([]byte(`{"partition":0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBatch(data)
		slow, slowErr := parseBatch(data)
		if slowErr == nil {
			slowErr = slow.check()
		}
		if (err == nil) != (slowErr == nil) || err == nil && b != slow {
			t.Fatalf("%q: scanner: %+v, %v, encoding/json: %+v, %v", data, b, err, slow, slowErr)
		}
		if err != nil {
			return
		}
		if again, err := ParseBatch(AppendBatch(nil, b)); err != nil || again != b {
			t.Fatalf("%q: %+v became %+v, %v", data, b, again, err)
		}
	})
}
