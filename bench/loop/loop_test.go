package loop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/standalone/embedded"
)

func TestLoops(t *testing.T) {
	broker, err := embedded.Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	create := func(topic string) {
		if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 3, 1, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	create("lines")
	produce := func(partition int32, ms int64, line string) {
		r := &kgo.Record{Topic: "lines", Partition: partition, Timestamp: time.UnixMilli(ms), Value: []byte(line)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	produce(0, 5000, "spark  spark hello") // two spaces: an empty word
	produce(0, 9999, "")
	produce(1, 5001, `say "hello" back\slash`+"\ttab\x01")
	produce(1, 10000, "hello spark 漢字")
	produce(0, 10001, "hello")
	want := map[string]int64{
		"1 spark": 2, "1 ": 2, "1 hello": 1, "1 say": 1, `1 "hello"`: 1, "1 back\\slash\ttab\x01": 1,
		"2 hello": 2, "2 spark": 1, "2 漢字": 1,
	}
	for _, name := range []string{"naive", "tight"} {
		create(name)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := Command(ctx, []string{name, "--brokers", broker.Addr(), "--lines-topic", "lines", "--counts-topic", name, "--batch-interval", "5s"})
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := rows(t, broker.Addr(), name, len(want)); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// rows reads n rows, by window number and word.
func rows(t *testing.T, addr, topic string, n int) map[string]int64 {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	found := make(map[string]int64)
	for read := 0; read < n; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d rows: %v", read, n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			var row Row
			if err := json.Unmarshal(r.Value, &row); err != nil {
				t.Fatalf("%s: %v", r.Value, err)
			}
			if string(r.Key) != row.Word || row.WindowEnd.Sub(row.WindowStart) != 5*time.Second {
				t.Errorf("key %q, value %s", r.Key, r.Value)
			}
			found[fmt.Sprint(row.WindowStart.UnixMilli()/5000, " ", row.Word)] += row.Count
		})
	}
	return found
}

func TestCommandRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"loose"}, {"tight", "--no-such-flag"}} {
		if Command(t.Context(), args) == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// Words of the arena stay what they were when it is full.
func TestTable(t *testing.T) {
	table := newTable(0)
	want := make(map[string]int64)
	for i := range 3 * arenaSize / 8 {
		word := fmt.Sprintf("word%d", i%20_000)
		table.addLine([]byte(word + " " + word))
		want[word] += 2
	}
	got := make(map[string]int64)
	for i, word := range table.words {
		got[word] = table.counts[i]
	}
	if !maps.Equal(got, want) || len(table.words) != len(want) {
		t.Errorf("%d words, want %d", len(got), len(want))
	}
}
