package oracle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// count is a record of word-counts.
type count struct {
	start, end time.Time
	word       string
	count      int64
}

// batch is a record of batches.
type batch struct {
	start, end                            time.Time
	partition, partitions                 int64
	lines, words, distinctWords, lateLine int64
	closedAt                              time.Time
}

// parseCount reads a value of word-counts and refuses whatever is not, byte for byte, what README.md shows of it.
func parseCount(value []byte) (c count, err error) {
	f, err := fields(value, "window_start", "window_end", "word", "count")
	if err != nil {
		return count{}, err
	}
	c = count{start: f.time("window_start"), end: f.time("window_end"), word: f.text("word"), count: f.number("count")}
	if f.err == nil && c.count < 1 {
		f.err = fmt.Errorf("count is %d", c.count)
	}
	return c, f.err
}

// parseBatch is parseCount for a value of batches.
func parseBatch(value []byte) (b batch, err error) {
	f, err := fields(value, "window_start", "window_end", "partition", "partitions", "lines", "words", "distinct_words",
		"late_lines", "closed_at")
	if err != nil {
		return batch{}, err
	}
	b = batch{start: f.time("window_start"), end: f.time("window_end"), partition: f.number("partition"),
		partitions: f.number("partitions"), lines: f.number("lines"), words: f.number("words"),
		distinctWords: f.number("distinct_words"), lateLine: f.number("late_lines"), closedAt: f.time("closed_at")}
	return b, f.err
}

// object is a JSON object of known fields, and the first error met in taking them.
type object struct {
	values map[string]json.RawMessage
	err    error
}

// fields demands an object of exactly these fields in this order, in UTF-8, with no byte of white space outside strings.
func fields(value []byte, names ...string) (*object, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, value); err != nil {
		return nil, err
	}
	if !bytes.Equal(compact.Bytes(), value) {
		return nil, errors.New("white space outside strings")
	}
	if !bytes.Equal(bytes.ToValidUTF8(value, []byte("?")), value) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(value))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("not an object: %v %w", t, err)
	}
	o := &object{values: make(map[string]json.RawMessage)}
	for _, name := range names {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		if t != name {
			return nil, fmt.Errorf("%v stands where the field %s should", t, name)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		o.values[name] = v
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') {
		return nil, fmt.Errorf("%v after the field %s: %w", t, names[len(names)-1], err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something after the object")
	}
	return o, nil
}

func (o *object) fail(name, format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf("field "+name+": "+format, args...)
	}
}

// text demands a string that escapes what JSON demands and nothing else.
func (o *object) text(name string) (s string) {
	if err := json.Unmarshal(o.values[name], &s); err != nil {
		o.fail(name, "%w", err)
		return ""
	}
	if want := quoted(s); want != string(o.values[name]) {
		o.fail(name, "%s where %s is enough", o.values[name], want)
	}
	return s
}

// time demands RFC 3339 in UTC with at most milliseconds, their trailing zeros cut.
func (o *object) time(name string) time.Time {
	s := o.text(name)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		o.fail(name, "%w", err)
	} else if want := Stamp(t); want != s {
		o.fail(name, "%s, not %s", s, want)
	}
	return t
}

func (o *object) number(name string) (n int64) {
	if err := json.Unmarshal(o.values[name], &n); err != nil {
		o.fail(name, "%w", err)
	}
	return n
}

// Stamp is a time as records and keys show it.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }

// quoted is s as a JSON string.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < 0x20 && strings.ContainsRune("\b\f\n\r\t", r):
			b.WriteString(map[rune]string{'\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}[r])
		case r < 0x20:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// CountRecord is the value of word-counts for a word of the window that ends so.
func CountRecord(end time.Time, interval time.Duration, word string, n int64) string {
	return fmt.Sprintf(`{"window_start":"%s","window_end":"%s","word":%s,"count":%d}`, Stamp(end.Add(-interval)), Stamp(end), quoted(word), n)
}
