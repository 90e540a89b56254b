package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"wordcount/e2e/oracle"
)

// A person looks at the default topics with the tools that come with Kafka, and with kcat.
func TestKafkaTools(t *testing.T) {
	k := realKafka(t)
	p := NewPipeline(t, programs, k.Address, time.Second, "space")
	p.Watch.Stop()
	p.Lines, p.Shuffle, p.Counts, p.Batches, p.Group = "lines", "counter-shuffle", "word-counts", "batches", "counter"
	p.Watch = newWatch(t, p)
	tool := func(name string, args ...string) string {
		t.Helper()
		out, err := k.Tool(t.Context(), "", name, args...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}

	counter := programs.Start(t, nil, "counter", "--brokers", k.Address, "--metrics-addr", "", "--batch-interval", "1s")
	producer := programs.Start(t, nil, "producer", "--brokers", k.Address, "--metrics-addr", "", "--file", labFile(t), "--count", "200", "--rate", "100")
	if status := producer.Exit(30 * time.Second); status != 0 {
		t.Fatalf("the producer ended with status %d", status)
	}
	if out, err := k.Tool(t.Context(), "typed by hand\n漢字 漢字\n", "kafka-console-producer.sh", "--topic", "lines"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := p.Watch.Lines(202)
	p.Watch.Counted(20 * time.Second)

	t.Run("topics", func(t *testing.T) {
		out := tool("kafka-topics.sh", "--describe")
		for topic, settings := range map[string][]string{
			"lines":           {"message.timestamp.type=LogAppendTime"},
			"counter-shuffle": {"message.timestamp.type=LogAppendTime", "retention.ms=-1"},
			"word-counts":     {"message.timestamp.type=LogAppendTime", "retention.ms=604800000"},
			"batches":         {"message.timestamp.type=LogAppendTime", "retention.ms=604800000"},
		} {
			line := lineWith(out, "Topic: "+topic+"\t", "PartitionCount")
			for _, want := range append(settings, "PartitionCount: 4") {
				if !strings.Contains(line, want) {
					t.Errorf("%s is not said of the topic %s: %q", want, topic, line)
				}
			}
		}
	})

	t.Run("offsets", func(t *testing.T) {
		total := 0
		for line := range strings.Lines(tool("kafka-get-offsets.sh", "--topic", "lines")) {
			var partition, end int
			if _, err := fmt.Sscanf(line, "lines:%d:%d\n", &partition, &end); err == nil {
				total += end
			}
		}
		if total != len(lines) {
			t.Errorf("the ends of lines add up to %d, not %d", total, len(lines))
		}
	})

	t.Run("group", func(t *testing.T) {
		out := tool("kafka-consumer-groups.sh", "--describe", "--group", "counter")
		for _, topic := range []string{"lines", "counter-shuffle"} {
			for partition := range 4 {
				fields := strings.Fields(lineWith(out, " "+topic+" ", fmt.Sprintf(" %d ", partition)))
				// GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID
				if len(fields) < 9 || fields[6] == "-" {
					t.Errorf("no offset, lag or member of %s/%d:\n%s", topic, partition, out)
				} else if topic == "lines" && fields[5] != "0" {
					t.Errorf("lag %s of lines/%d where everything is counted", fields[5], partition)
				}
			}
		}
	})

	counter.Stop()
	want := p.Watch.Check()
	rows := expectedRows(want, time.Second)

	t.Run("console consumer", func(t *testing.T) {
		out := tool("kafka-console-consumer.sh", "--topic", "word-counts", "--isolation-level", "read_committed", "--property", "print.key=true",
			"--from-beginning", "--max-messages", fmt.Sprint(len(rows)), "--timeout-ms", "20000")
		sameRows(t, out, rows)
	})

	t.Run("kcat", func(t *testing.T) {
		if _, err := exec.LookPath("kcat"); err != nil {
			t.Skip("kcat is not installed")
		}
		out, err := exec.CommandContext(t.Context(), "kcat", "-b", k.Address, "-C", "-t", "word-counts", "-o", "beginning", "-e", "-q",
			"-X", "isolation.level=read_committed", "-f", "%k\t%s\n").CombinedOutput()
		if err != nil {
			t.Fatalf("kcat: %v\n%s", err, out)
		}
		sameRows(t, string(out), rows)
		if out, err = exec.CommandContext(t.Context(), "kcat", "-b", k.Address, "-L").CombinedOutput(); err != nil || !strings.Contains(string(out), `topic "word-counts" with 4 partitions`) {
			t.Errorf("kcat -L: %v\n%s", err, out)
		}
	})

	// The oracle takes the partition of a word from kafka-go. Java's producer must agree, whose default the design names.
	t.Run("partitioner", func(t *testing.T) {
		words := []string{"spark", "hello", "streaming", "it's", "漢字", "a", "averyveryverylongword"}
		tool("kafka-topics.sh", "--create", "--topic", "keyed", "--partitions", "4")
		if out, err := k.Tool(t.Context(), strings.Join(words, ":x\n")+":x\n", "kafka-console-producer.sh", "--topic", "keyed",
			"--property", "parse.key=true", "--property", "key.separator=:"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out := tool("kafka-console-consumer.sh", "--topic", "keyed", "--property", "print.key=true", "--property", "print.partition=true",
			"--property", "print.value=false", "--from-beginning", "--max-messages", fmt.Sprint(len(words)), "--timeout-ms", "20000")
		for _, word := range words {
			if line := fmt.Sprintf("Partition:%d\t%s\n", oracle.Partition(word, 4), word); !strings.Contains(out, line) {
				t.Errorf("%q is not where the oracle has it, %q, but:\n%s", word, line, out)
			}
		}
	})
}

// lineWith is the first line that contains all parts.
func lineWith(text string, parts ...string) string {
next:
	for line := range strings.Lines(text) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue next
			}
		}
		return line
	}
	return ""
}

// expectedRows are the keys and values that word-counts must hold, each once.
func expectedRows(want map[int64]*oracle.Window, interval time.Duration) map[string]bool {
	rows := make(map[string]bool)
	for _, w := range want {
		for word, n := range w.Counts {
			rows[word+"\t"+oracle.CountRecord(w.End, interval, word, n)] = true
		}
	}
	return rows
}

// sameRows demands that the output of a consumer has each row once, in any order, and no other (lines without a tab are the
// tool's own remarks).
func sameRows(t *testing.T, out string, rows map[string]bool) {
	t.Helper()
	seen := make(map[string]bool)
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case !strings.Contains(line, "\t"):
		case !rows[line]:
			t.Errorf("unexpected: %s", line)
		case seen[line]:
			t.Errorf("twice: %s", line)
		}
		if rows[line] {
			seen[line] = true
		}
	}
	if len(seen) != len(rows) {
		t.Errorf("%d rows were read, there are %d:\n%.3000s", len(seen), len(rows), out)
	}
}
