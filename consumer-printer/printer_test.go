package printer

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"wordcount/internal/service"
)

func fromBeginning(c *Config) { c.FromBeginning = true }

func TestFromBeginning(t *testing.T) {
	b := newBroker(t, 4, countsTopic, batchesTopic)
	b.close(b.counted(0, "hello spark spark streaming spark streaming"), b.counted(1, ""), b.counted(2, "a b c d e f g h i j k"))
	r := startPrinter(b, fromBeginning)
	r.expect(block(0, "('spark', 3)", "('streaming', 2)", "('hello', 1)"))
	r.expect(block(1))
	r.expect(block(2, "('a', 1)", "('b', 1)", "('c', 1)", "('d', 1)", "('e', 1)", "('f', 1)", "('g', 1)", "('h', 1)", "('i', 1)", "('j', 1)", "..."))
	r.ready()

	// A share that is not committed holds the batch back, and what was aborted is never seen.
	w := b.counted(3, "one two three four five")
	b.begin(0, b.counted(3, "one two three four five never"))
	b.end(0, kgo.TryAbort)
	for q := range 4 {
		b.begin(q, w)
	}
	for _, q := range []int{2, 0, 3} {
		b.end(q, kgo.TryCommit)
	}
	if len(r.writes) > 0 {
		t.Fatalf("printed before the last share was committed:\n%s", <-r.writes)
	}
	b.end(1, kgo.TryCommit)
	r.expect(block(3, "('five', 1)", "('four', 1)", "('one', 1)", "('three', 1)", "('two', 1)"))
	for number := range 4 {
		if end := <-r.shown; end.UnixMilli() != int64(testEnd+5000*number) {
			t.Errorf("Shown was called with %v for batch %d", end, number)
		}
	}

	r.stop()
	if err := r.expectEnd(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	r.expectCounter("wordcount_printer_batches_total", 4)
	r.expectCounter("wordcount_printer_rows_total", 3+0+11+5)
	r.expectCounter("wordcount_printer_skipped_batches_total", 0)
	h := r.metric("wordcount_printer_end_to_end_seconds").GetHistogram()
	late := time.Since(time.UnixMilli(testEnd)).Seconds()
	if h.GetSampleCount() != 4 || h.GetSampleSum() > 4*late || h.GetSampleSum() < 3.9*late || h.Schema == nil || len(h.GetBucket()) == 0 {
		t.Errorf("end to end: %d batches, %v s, native schema %v, %d classic buckets; want 4, about %v s",
			h.GetSampleCount(), h.GetSampleSum(), h.Schema, len(h.GetBucket()), 4*late)
	}
}

// Batches that close from the start on, however many transactions without a record stand at the partitions' ends.
func TestFromNow(t *testing.T) {
	b := newBroker(t, 3, countsTopic, batchesTopic)
	for number := range 8 {
		b.close(b.counted(number, "three old words"))
		for ms := time.Now().UnixMilli(); ms == time.Now().UnixMilli(); { // kafka's times are that coarse
			runtime.Gosched()
		}
	}
	eight := b.counted(8, "closed in one partition when the printer starts")
	b.begin(0, eight)
	b.end(0, kgo.TryCommit)
	for range 20 {
		b.begin(1, b.counted(8, "aborted"))
		b.end(1, kgo.TryAbort)
	}
	b.begin(2, eight)

	r := newRunning(b, nil)
	p, err := newPrinter(r.config)
	b.check(err)
	defer p.client.Close()
	p.clockSkew = 0 // here all clocks are one
	r.start(p.run)
	r.ready()
	b.end(2, kgo.TryCommit)
	b.begin(1, eight)
	b.end(1, kgo.TryCommit)
	b.close(b.counted(9, "first words"), b.counted(10, ""))
	r.expect(block(9, "('first', 1)", "('words', 1)"))
	r.expect(block(10))
	if !strings.Contains(r.logs.String(), `batches="ending after 2026-01-21T21:26:10Z"`) {
		t.Errorf("the log does not tell what is shown:\n%s", r.logs)
	}
	// Of the old rows at most those of the last window are read again.
	if rows := r.metric("wordcount_printer_rows_total").GetCounter().GetValue(); rows < 8+2 || rows > 3+8+2 {
		t.Errorf("%v rows were read", rows)
	}
}

// Without any batch, the first one that is closed is shown, even if some partitions have shown rows of it already.
func TestFromNowOnEmptyTopics(t *testing.T) {
	b := newBroker(t, 2, countsTopic, batchesTopic)
	w := b.counted(0, "a b c d")
	b.begin(0, w)
	r := startPrinter(b, nil)
	r.ready()
	b.begin(1, w)
	b.end(1, kgo.TryCommit)
	b.end(0, kgo.TryCommit)
	r.expect(block(0, "('a', 1)", "('b', 1)", "('c', 1)", "('d', 1)"))
}

func TestWaitsForTopics(t *testing.T) {
	b := newBroker(t, 2)
	r := startPrinter(b, nil)
	r.until("the log says that it waits", func() bool { return strings.Contains(r.logs.String(), "find topic word-counts: waiting") })
	if len(r.health.NotReady()) == 0 {
		t.Error("ready without topics")
	}
	for _, topic := range []string{countsTopic, batchesTopic} {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Topics = append(req.Topics, kmsg.CreateTopicsRequestTopic{Topic: topic, NumPartitions: 2, ReplicationFactor: 1})
		_, err := req.RequestWith(b.context(), b.client())
		b.check(err)
	}
	r.ready()
	b.close(b.counted(0, "a"))
	r.expect(block(0, "('a', 1)"))
}

// Retention has removed the rows of the first batches, and all there were in one partition.
func TestCutByRetention(t *testing.T) {
	b := newBroker(t, 2, countsTopic, batchesTopic)
	for number := range 3 {
		b.close(b.counted(number, "a b c d e f g h"))
	}
	whole := b.counted(3, "")
	for _, word := range strings.Fields("a b c d e f g h") { // in partition 1 only
		for q, n := range b.counted(3, word).shares[1] {
			whole.shares[1][q] = n
		}
	}
	client := b.kafkaClient()
	ends, err := client.Offsets(b.context(), countsTopic, -1)
	b.check(err)
	b.check(client.DeleteRecords(b.context(), countsTopic, 0, ends[0]))
	r := startPrinter(b, fromBeginning)
	r.until("skipped", func() bool { return r.metric("wordcount_printer_skipped_batches_total").GetCounter().GetValue() == 3 })
	b.close(whole)
	var lines []string
	for _, word := range strings.Fields("a b c d e f g h") {
		if whole.shares[1][word] > 0 {
			lines = append(lines, "('"+word+"', 1)")
		}
	}
	r.expect(block(3, lines...))
	if !strings.Contains(r.logs.String(), "batches=3 first_window_end=2026-01-21T21:25:30Z last_window_end=2026-01-21T21:25:40Z") {
		t.Errorf("the log does not tell what was skipped:\n%s", r.logs)
	}
	r.stop()
	b.check(r.expectEnd())
	r.expectCounter("wordcount_printer_skipped_batches_total", 3)
}

// Positions that retention overtakes after the start.
func TestOffsetOutOfRange(t *testing.T) {
	b := newBroker(t, 1, countsTopic, batchesTopic)
	b.close(b.counted(0, "a b"), b.counted(1, "a b"), b.counted(2, "a b"))
	client := b.kafkaClient()
	b.check(client.DeleteRecords(b.context(), countsTopic, 0, 4)) // a row of window 1 is left
	b.check(client.DeleteRecords(b.context(), batchesTopic, 0, 2))
	r := newRunning(b, nil)
	p, err := newPrinter(r.config)
	b.check(err)
	defer p.client.Close()
	r.start(func(ctx context.Context) error {
		return p.follow(ctx, start{counts: []int64{0}, batches: []int64{0}, after: FromBeginning})
	})
	r.expect(block(2, "('a', 1)", "('b', 1)"))
	for _, want := range []string{"topic=word-counts partition=0 offset=0 removed=4", "topic=batches partition=0 offset=0 removed=2",
		"window_end=2026-01-21T21:25:35Z"} {
		if !strings.Contains(r.logs.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, r.logs)
		}
	}

	r = newRunning(b, nil)
	p, err = newPrinter(r.config)
	b.check(err)
	defer p.client.Close()
	err = p.follow(b.context(), start{counts: []int64{1000}, batches: []int64{4}, after: FromBeginning})
	if err == nil || !strings.Contains(err.Error(), "word-counts/0 at offset 1000") || !strings.Contains(err.Error(), "start the printer again") {
		t.Errorf("behind the end of the log: %v", err)
	}
}

func TestUnusableRecords(t *testing.T) {
	for _, tc := range []struct {
		topic, value string
		want         []string
	}{
		{countsTopic, "hello", []string{"read word-counts/1 at offset 0: not a JSON object", "kafka-delete-records"}},
		{countsTopic, `{"word":"a"}`, []string{"read word-counts/1 at offset 0: window_start: missing"}},
		{batchesTopic, "", []string{"read batches/1 at offset 0: not a JSON object", "kafka-delete-records"}},
		{batchesTopic, `{"window_start":"2026-01-21T21:25:25Z","window_end":"2026-01-21T21:25:30Z","partition":1,"partitions":3,"lines":5,"words":14,"distinct_words":3,"late_lines":0,"closed_at":"2026-01-21T21:25:30Z"}`,
			[]string{"read batches/1 at offset 0: the record is of 3 partitions, the topic has 2", "start the printer again"}},
	} {
		b := newBroker(t, 2, countsTopic, batchesTopic)
		b.raw(tc.topic, 1, tc.value)
		err := startPrinter(b, fromBeginning).expectEnd()
		var usage *service.UsageError
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) || errors.As(err, &usage) {
				t.Errorf("%s %q: %v, want %q", tc.topic, tc.value, err, want)
			}
		}
	}
	b := newBroker(t, 2, countsTopic, batchesTopic)
	b.raw(batchesTopic, 1, "hello")
	if err := startPrinter(b, nil).expectEnd(); err == nil || !strings.Contains(err.Error(), "read batches/1 at offset 0: not a JSON object") {
		t.Errorf("the newest record is not one: %v", err)
	}
}

func TestTopicsThatDoNotMatch(t *testing.T) {
	b := newBroker(t, 2, countsTopic, batchesTopic)
	c := b.client()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, kmsg.CreateTopicsRequestTopic{Topic: "three", NumPartitions: 3, ReplicationFactor: 1})
	_, err := req.RequestWith(b.context(), c)
	b.check(err)
	err = startPrinter(b, func(c *Config) { c.BatchesTopic = "three" }).expectEnd()
	if err == nil || !strings.Contains(err.Error(), "topic word-counts has 2 partitions and topic three has 3") {
		t.Error(err)
	}
}

func TestOutputThatEnds(t *testing.T) {
	b := newBroker(t, 1, countsTopic, batchesTopic)
	b.close(b.counted(0, "a"))

	reader, writer, err := os.Pipe()
	b.check(err)
	defer writer.Close()
	b.check(reader.Close())
	r := startPrinter(b, func(c *Config) { c.FromBeginning, c.Runtime.Stdout = true, writer })
	if err := r.expectEnd(); err != nil {
		t.Errorf("closed pipe: %v", err)
	}
	r.expectCounter("wordcount_printer_batches_total", 0)

	in, broken := io.Pipe()
	in.CloseWithError(errors.New("disk full"))
	err = startPrinter(b, func(c *Config) { c.FromBeginning, c.Runtime.Stdout = true, broken }).expectEnd()
	if err == nil || err.Error() != "write the batch ending 2026-01-21T21:25:30Z to standard output: disk full" {
		t.Errorf("failing output: %v", err)
	}
}

// A batch whose writing has begun when ctx ends is written, and the next one is not.
func TestStopWhileWriting(t *testing.T) {
	b := newBroker(t, 1, countsTopic, batchesTopic)
	b.close(b.counted(0, "a"), b.counted(1, "b"))
	in, out := io.Pipe()
	r := startPrinter(b, func(c *Config) { c.FromBeginning, c.Runtime.Stdout, c.Format = true, out, "json" })
	half := make([]byte, 40)
	_, err := io.ReadFull(in, half)
	b.check(err)
	r.stop()
	go func() { r.ended <- errors.Join(<-r.ended, out.Close()) }()
	rest, err := io.ReadAll(in)
	b.check(err)
	if got := string(half) + string(rest); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, `"counts":[{"word":"a","count":1}],"more":false}`+"\n") {
		t.Errorf("written: %s", got)
	}
	b.check(r.expectEnd())
}

// What is shown is a choice of the most frequent words that pass the filter, in the order asked for; the totals are the batch's.
func TestChoiceOfWords(t *testing.T) {
	b := newBroker(t, 2, countsTopic, batchesTopic)
	b.close(b.counted(0, "spark spark spark stream stream streaming hello hello hello hello"))
	r := startPrinter(b, func(c *Config) {
		c.FromBeginning, c.Num, c.Sort, c.Filter, c.Format = true, 2, "word", "s*", "json"
	})
	r.expect(`{"window_start":"2026-01-21T21:25:25Z","window_end":"2026-01-21T21:25:30Z","lines":0,"late_lines":0,"words":10,"distinct_words":4,` +
		`"closed_at":"2026-01-21T21:25:30.1Z","counts":[{"word":"spark","count":3},{"word":"stream","count":2}],"more":true}` + "\n")
	r = startPrinter(b, func(c *Config) { c.FromBeginning, c.Sort, c.Filter = true, "word", "streaming hello" })
	r.expect(block(0, "('hello', 4)", "('streaming', 1)"))
}
