package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/e2e/oracle"
)

// What people and settings do to the topics of a group that counts, on a real Kafka: either nothing happens to the counts, or the
// counter says what happened and what to do.

// admin is a client for one test.
func (p *Pipeline) admin() (*kadm.Client, context.Context) {
	p.t.Helper()
	client := p.client()
	p.t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	p.t.Cleanup(cancel)
	return kadm.NewClient(client), ctx
}

// refuses demands that a counter ends by itself with a status, and says all of these.
func refuses(t *testing.T, counter *Process, status int, says ...string) {
	t.Helper()
	if got := counter.Exit(30 * time.Second); got != status {
		t.Errorf("the counter ended with status %d, not %d", got, status)
	}
	last := counter.Stderr.last(1)
	for _, want := range says {
		if !strings.Contains(last, want) {
			t.Errorf("the counter does not say %q, but %s", want, last)
		}
	}
}

// Offsets that were reset with Kafka's own tool: refused, whichever of the two topics it was and wherever they were set to.
func TestOffsetsReset(t *testing.T) {
	k := realKafka(t)
	p := NewPipeline(t, programs, k.Address, time.Second, "space")
	p.CreateLines(4)
	counter := p.Counter()
	p.Publish("one", "two", "three", "four", "five")
	p.Watch.Lines(5)
	p.Watch.Counted(20 * time.Second)
	reset := func(topic, to string) (out string, err error) {
		return k.Tool(t.Context(), "", "kafka-consumer-groups.sh", "--group", p.Group, "--reset-offsets", "--execute", to, "--topic", topic)
	}
	if out, err := reset(p.Lines, "--to-earliest"); err == nil && !strings.Contains(out, "inactive") {
		t.Errorf("Kafka let the offsets of a group that counts be reset:\n%s", out)
	}
	counter.Stop()
	p.Watch.Check()
	for _, c := range []struct{ topic, to string }{{p.Lines, "--to-earliest"}, {p.Lines, "--to-latest"}, {p.Shuffle, "--to-earliest"}} {
		if out, err := reset(c.topic, c.to); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		refuses(t, p.Counter(), 1, "reset with a tool", "new --group", "Lost offsets", p.Group)
	}
	p.Watch.Check() // nothing was written
}

// Lines that are gone before they were counted are told, and those after them counted.
func TestRetentionRemovedLines(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
	admin, ctx := p.admin()
	p.CreateLines(2)
	counter := p.Counter()
	p.Publish(strings.Split(strings.Repeat("before ", 99)+"before", " ")...)
	p.Watch.Lines(100)
	p.Watch.Counted(20 * time.Second)
	counter.Stop()
	p.Publish(strings.Split(strings.Repeat("gone ", 99)+"gone", " ")...)
	p.Watch.Lines(200)
	ends, err := admin.ListEndOffsets(ctx, p.Lines)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.DeleteRecords(ctx, ends.Offsets()); err != nil {
		t.Fatal(err)
	}
	p.Publish("after", "after")
	metered := p.MeteredCounter()
	p.Watch.Lines(202)
	p.Watch.Counted(20 * time.Second)
	metered.Reaches(time.Second, "wordcount_counter_lost_offsets_total", 100)
	metered.Stop()
	said := metered.Stderr.String()
	for _, want := range []string{"retention removed lines before they were counted", "raise retention.ms", "lost_offsets=50"} {
		if !strings.Contains(said, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	p.Watch.CheckOnly(func(line oracle.Line) bool { return string(line.Value) != "gone" })
}

// The topic of lines is deleted while it is counted: the counter waits and says so; and when it is made anew, the counter does not
// take the new one's lines for the old one's, whether it has fewer than were counted or, by then, more.
func TestLinesDeletedAndMadeAnew(t *testing.T) {
	for name, lines := range map[string]int{"fewer": 1, "more": 1000} {
		t.Run(name, func(t *testing.T) {
			p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
			admin, ctx := p.admin()
			p.CreateLines(4)
			counter := p.Counter()
			p.Publish(strings.Split(strings.Repeat("old ", 99)+"old", " ")...)
			p.Watch.Lines(100)
			p.Watch.Counted(20 * time.Second)
			p.Watch.Check()
			p.Watch.Stop()
			if lines > 1 {
				counter.Signal(syscall.SIGSTOP) // it sees the new topic when that is full
			}
			if _, err := admin.DeleteTopic(ctx, p.Lines); err != nil {
				t.Fatal(err)
			}
			if lines == 1 {
				counter.Stderr.Wait(t, 20*time.Second, "that it waits for the topic", func(text string) bool {
					return strings.Contains(text, "waiting") && strings.Contains(text, p.Lines)
				})
			}
			for late := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				topics, err := admin.ListTopics(ctx, p.Lines)
				if err == nil && !topics.Has(p.Lines) {
					break
				}
				if time.Now().After(late) {
					t.Fatalf("%s is still there: %v", p.Lines, err)
				}
			}
			p.CreateLines(4)
			p.Publish(strings.Split(strings.TrimSpace(strings.Repeat("new ", lines)), " ")...)
			if lines > 1 {
				counter.Signal(syscall.SIGCONT)
			}
			refuses(t, counter, 1, p.Lines, "made anew", "new --group")
		})
	}
}

// A topic of the counter's in which records carry their producers' times: the counter cannot tell the broker's time by it.
func TestTopicsWithProducersTimes(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
	admin, ctx := p.admin()
	p.CreateLines(2)
	topics := []string{p.Shuffle, p.Counts, p.Batches}
	for _, topic := range topics {
		if _, err := admin.CreateTopic(ctx, 4, 1, map[string]*string{"message.timestamp.type": pointer("CreateTime")}, topic); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range topics {
		refuses(t, p.Counter(), 2, "topic "+topic, "must have LogAppendTime")
		if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "message.timestamp.type", Value: pointer("LogAppendTime")}}, topic); err != nil {
			t.Fatal(err)
		}
	}
	p.Publish("one", "two")
	counter := p.Counter()
	p.Watch.Lines(2)
	p.Watch.Counted(20 * time.Second)
	counter.Stop()
	p.Watch.Check()
}

// A topic's limit for batches that is less than the counter's blocks: it writes smaller ones. A word's record beyond it cannot be
// written, and the counter says which setting to raise.
func TestSmallMaxMessageBytes(t *testing.T) {
	k := realKafka(t)
	p := NewPipeline(t, programs, k.Address, time.Second, "space")
	admin, ctx := p.admin()
	p.CreateLines(4, "max.message.bytes", "20000")
	small := "20000"
	for _, topic := range []string{p.Shuffle, p.Counts, p.Batches} {
		if _, err := admin.CreateTopic(ctx, 4, 1, map[string]*string{"message.timestamp.type": pointer("LogAppendTime"), "max.message.bytes": &small}, topic); err != nil {
			t.Fatal(err)
		}
	}
	producer := p.Producer(nil, "--file", labFile(t), "--rate", "2000")
	counter := p.Counter()
	many := make([]string, 500)
	for i := range many {
		many[i] = fmt.Sprintf("%s%d %s%d", strings.Repeat("long", 20), i, strings.Repeat("word", 25), i)
	}
	p.PublishRecords(19_000, values(many)...)
	p.PublishRecords(19_000, values([]string{strings.Repeat("x", 15_000)})...)
	p.Watch.Batches(3)
	producer.Stop()
	p.Watch.Counted(20 * time.Second)
	p.Watch.Check()
	if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: pointer("100000")}}, p.Lines); err != nil {
		t.Fatal(err)
	}
	p.PublishRecords(99_000, values([]string{strings.Repeat("y", 90_000)})...)
	refuses(t, counter, 1, "max.message.bytes", "1 MiB")

	// And once it is raised, the counter goes on where it was.
	for _, topic := range []string{p.Shuffle, p.Counts} {
		if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: pointer("1048588")}}, topic); err != nil {
			t.Fatal(err)
		}
	}
	again := p.Counter()
	p.Watch.Counted(20 * time.Second)
	again.Stop()
	p.Watch.Check()
}

// Kafka may be told to write batches in another way than they come, and then they must fit the topic's limit like that.
func TestCountsWithoutCompression(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
	admin, ctx := p.admin()
	p.CreateLines(4)
	if _, err := admin.CreateTopic(ctx, 4, 1, map[string]*string{"message.timestamp.type": pointer("LogAppendTime"), "max.message.bytes": pointer("20000"),
		"compression.type": pointer("uncompressed")}, p.Counts); err != nil {
		t.Fatal(err)
	}
	counter := p.Counter()
	line := make([]byte, 0, 20_000)
	for i := range 2000 { // a fifth of what their rows are fits the limit
		line = fmt.Appendf(line, "word%d ", i)
	}
	p.Publish(string(line))
	p.Watch.Lines(1)
	p.Watch.Counted(20 * time.Second)
	counter.Stop()
	p.Watch.Check()
}

// Lines larger than what one fetch asks for.
func TestLineLargerThanAFetch(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
	p.CreateLines(2, "max.message.bytes", "16000000")
	counter := p.Counter()
	for _, word := range []string{"a", "b", "c"} { // 2 MiB is asked of a partition
		p.PublishRecords(15_000_000, values([]string{strings.Repeat(word+" ", 3_500_000), "small", strings.Repeat(word, 5_000_000)})...)
	}
	p.Watch.Lines(9)
	p.Watch.Counted(30 * time.Second)
	counter.Stop()
	p.Watch.Check()
}

func pointer(s string) *string { return &s }

func values(lines []string) (records []*kgo.Record) {
	for _, line := range lines {
		records = append(records, &kgo.Record{Value: []byte(line)})
	}
	return records
}
