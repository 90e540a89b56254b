package oracle

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The words of these tests by partition of 2: murmur2 (TestKafkaTools of e2e asks Kafka itself).
const (
	inPartition0 = "spark"
	inPartition1 = "hello"
)

func countValue(end int, word string, n int) string {
	return fmt.Sprintf(`{"window_start":"1970-01-01T00:00:0%dZ","window_end":"1970-01-01T00:00:0%dZ","word":"%s","count":%d}`, end-1, end, word, n)
}

func batchValue(end, partition, lines, words, distinct int) string {
	return fmt.Sprintf(`{"window_start":"1970-01-01T00:00:0%dZ","window_end":"1970-01-01T00:00:0%dZ","partition":%d,"partitions":2,`+
		`"lines":%d,"words":%d,"distinct_words":%d,"late_lines":0,"closed_at":"1970-01-01T00:00:0%d.25Z"}`, end-1, end, partition, lines, words, distinct, end)
}

func batchKey(end int) string { return fmt.Sprintf("1970-01-01T00:00:0%dZ", end) }

// step is a record that a test feeds. A step without key is a batch's with the right one.
type step struct {
	batch      bool
	partition  int32
	key, value string
}

func counted(end int, partition int32, word string, n int) step {
	return step{false, partition, word, countValue(end, word, n)}
}

func reported(end, partition, lines, words, distinct int) step {
	return step{true, int32(partition), batchKey(end), batchValue(end, partition, lines, words, distinct)}
}

func feed(o *Output, steps ...step) error {
	for _, s := range steps {
		take := o.Count
		if s.batch {
			take = o.Batch
		}
		if err := take(s.partition, []byte(s.key), []byte(s.value)); err != nil {
			return err
		}
	}
	return nil
}

// right is the output of "hello spark hello" in the window that ends at 2 s, "hello" in the one at 4 s, and nothing in between.
func right() []step {
	return []step{
		counted(2, 0, inPartition0, 1), counted(2, 1, inPartition1, 2), reported(2, 0, 1, 1, 1), reported(2, 1, 1, 2, 1),
		reported(3, 0, 0, 0, 0), reported(3, 1, 0, 0, 0),
		counted(4, 1, inPartition1, 1), reported(4, 0, 1, 0, 0), reported(4, 1, 1, 1, 1),
	}
}

func lines() []Line { return []Line{line(1000, "hello spark hello"), line(3999, "hello")} }

func TestOutputRight(t *testing.T) {
	o := NewOutput(time.Second, 2)
	for i, complete := range []int64{0, 0, 0, 2, 2, 3, 3, 3, 4} {
		if err := feed(o, right()[i]); err != nil {
			t.Fatal(err)
		}
		if got := o.Complete(); !got.IsZero() && got.Unix() != complete || got.IsZero() && complete != 0 {
			t.Errorf("complete to %v after record %d, not %d s", got, i, complete)
		}
	}
	if err := o.Compare(Windows(lines(), time.Second, Space)); err != nil {
		t.Error(err)
	}
	if got := o.Reported(); len(got) != 3 || got[2].Unix() != 4 || o.Empty() != 1 {
		t.Errorf("windows %v, %d of them empty", got, o.Empty())
	}
}

// A counter that stopped has closed one more window in one partition than in the other.
func TestOutputUneven(t *testing.T) {
	o := NewOutput(time.Second, 2)
	if err := feed(o, append(right(), reported(5, 0, 0, 0, 0))...); err != nil {
		t.Fatal(err)
	}
	if err := o.Compare(Windows(lines(), time.Second, Space)); err != nil {
		t.Error(err)
	}
	if n := len(o.Reported()); n != 3 {
		t.Errorf("%d windows are reported by both, not 3", n)
	}
}

// A reader gets the partitions in any order: a batch before its rows is not complete, and no error.
func TestOutputTorn(t *testing.T) {
	o := NewOutput(time.Second, 2)
	if err := feed(o, reported(2, 1, 1, 2, 1), reported(2, 0, 1, 1, 1), counted(2, 0, inPartition0, 1), reported(3, 0, 0, 0, 0), reported(3, 1, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if got := o.Complete(); !got.IsZero() {
		t.Errorf("complete to %v without the row of partition 1", got)
	}
	if err := o.Compare(Windows(lines()[:1], time.Second, Space)); err == nil || !strings.Contains(err.Error(), "batches/1 says 2 words, 1 distinct; word-counts/1 has 0, 0") {
		t.Error(err)
	}
}

func TestOutputRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		steps []step
		want  string
	}{
		"a word twice":        {[]step{counted(2, 1, inPartition1, 2), counted(2, 1, inPartition1, 2)}, "counted TWICE"},
		"a batch twice":       {[]step{reported(2, 0, 0, 0, 0), reported(2, 0, 0, 0, 0)}, "reported TWICE"},
		"a batch left out":    {[]step{reported(2, 0, 0, 0, 0), reported(4, 0, 0, 0, 0)}, "comes after the window"},
		"a batch after later": {[]step{reported(3, 0, 0, 0, 0), reported(2, 0, 0, 0, 0)}, "comes after the window"},
		"rows after later":    {[]step{counted(3, 1, inPartition1, 2), counted(2, 1, inPartition1, 2)}, "had the window"},
		"a wrong partition":   {[]step{counted(2, 0, inPartition1, 2)}, "Kafka's partitioner says 1"},
		"a wrong key":         {[]step{{false, 1, inPartition0, countValue(2, inPartition1, 1)}}, "the key is"},
		"count of 0":          {[]step{counted(2, 1, inPartition1, 0)}, "count is 0"},
		"a batch's wrong key": {[]step{{true, 0, batchKey(3), batchValue(2, 0, 0, 0, 0)}}, "the key is"},
		"a batch elsewhere":   {[]step{{true, 1, batchKey(2), batchValue(2, 0, 0, 0, 0)}}, "in partition 1"},
		"closed before":       {[]step{{true, 0, batchKey(2), strings.Replace(batchValue(2, 0, 0, 0, 0), "02.25", "01.25", 1)}}, "closed before"},
		"not a window":        {[]step{{true, 0, batchKey(2), strings.Replace(batchValue(2, 0, 0, 0, 0), "01Z", "00Z", 1)}}, "not a window"},
		"fields in wrong order": {[]step{{false, 1, "hello", `{"window_end":"1970-01-01T00:00:02Z","window_start":"1970-01-01T00:00:01Z","word":"hello","count":1}`}},
			"stands where the field window_start should"},
		"a field more":      {[]step{{false, 1, "hello", strings.Replace(countValue(2, "hello", 1), "}", `,"x":1}`, 1)}}, "after the field count"},
		"a field less":      {[]step{{false, 1, "hello", strings.Replace(countValue(2, "hello", 1), `,"count":1`, "", 1)}}, "field count"},
		"white space":       {[]step{{false, 1, "hello", strings.Replace(countValue(2, "hello", 1), ",", ", ", 1)}}, "white space"},
		"needless escape":   {[]step{{false, 1, "<", countValue(2, `\u003c`, 1)}}, "is enough"},
		"not UTF-8":         {[]step{{false, 1, "\xff", countValue(2, "\xff", 1)}}, "not UTF-8"},
		"time with offset":  {[]step{{false, 1, "hello", strings.Replace(countValue(2, "hello", 1), "02Z", "02+00:00", 1)}}, "window_end"},
		"time with zeros":   {[]step{{false, 1, "hello", strings.Replace(countValue(2, "hello", 1), "02Z", "02.000Z", 1)}}, "window_end"},
		"a number as text":  {[]step{{false, 1, "hello", strings.Replace(countValue(2, "hello", 1), ":1}", `:"1"}`, 1)}}, "field count"},
		"another partition": {[]step{{true, 0, batchKey(2), strings.Replace(batchValue(2, 0, 0, 0, 0), `s":2`, `s":4`, 1)}}, "in partition 0 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := feed(NewOutput(time.Second, 2), c.steps...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, not %q", err, c.want)
			}
		})
	}
}

func TestCompareFinds(t *testing.T) {
	without := func(i int) []step { return append(right()[:i], right()[i+1:]...) }
	instead := func(i int, s step) []step { r := right(); r[i] = s; return r }
	for name, c := range map[string]struct {
		steps []step
		want  string
	}{
		"a row lost":            {without(0), `"spark" counted 0, there were 1`},
		"a share lost":          {without(8), "partition 0 reports windows up to 1970-01-01T00:00:04Z, with lines, and another only up to 1970-01-01T00:00:03Z"},
		"a row too many":        {append([]step{counted(1, 1, inPartition1, 1)}, right()...), "and no batch"},
		"a word counted wrong":  {instead(1, counted(2, 1, inPartition1, 3)), `"hello" counted 3, there were 2`},
		"words wrong":           {instead(3, reported(2, 1, 1, 3, 1)), "batches/1 says 3 words"},
		"lines wrong":           {instead(4, reported(3, 0, 1, 0, 0)), "batches/0 says 1 lines"},
		"late":                  {instead(2, step{true, 0, batchKey(2), strings.Replace(batchValue(2, 0, 1, 1, 1), `late_lines":0`, `late_lines":1`, 1)}), "1 late"},
		"a window not reported": {right()[:6], "the window that ends 1970-01-01T00:00:04Z has 1 lines and is not reported"},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewOutput(time.Second, 2)
			if err := feed(o, c.steps...); err != nil {
				t.Fatal(err)
			}
			if err := o.Compare(Windows(lines(), time.Second, Space)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("differences %v, not %q", err, c.want)
			}
		})
	}
}
