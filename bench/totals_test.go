package bench

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/internal/wire"
)

type row struct {
	window int64
	word   string
	count  int64
}

// writeRows puts rows into a topic of two partitions in one transaction, and ends it.
func writeRows(t *testing.T, b *Broker, topic string, end kgo.TransactionEndTry, rows ...row) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addresses...), kgo.DefaultProduceTopic(topic), kgo.TransactionalID("test-"+topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		value := wire.AppendCount(nil, r.window*1000, r.window*1000+1000, []byte(r.word), r.count)
		if err := client.ProduceSync(t.Context(), &kgo.Record{Partition: int32(i % 2), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.EndTransaction(t.Context(), end); err != nil {
		t.Fatal(err)
	}
}

func TestTotals(t *testing.T) {
	broker := startBroker(t)
	a, b, c := row{1, "a", 1}, row{1, "b", 2}, row{2, "a", 3}
	read := func(topic string) Totals {
		t.Helper()
		totals, err := ReadTotals(t.Context(), broker.Addresses, topic)
		if err != nil {
			t.Fatal(err)
		}
		return totals
	}
	topic := func(name string) {
		t.Helper()
		if err := broker.topic(t.Context(), name, 2); err != nil {
			t.Fatal(err)
		}
	}
	topic("base")
	writeRows(t, broker, "base", kgo.TryCommit, a, b, c)
	base := read("base")
	if base.Rows != 3 || base.Words != 6 || base.last.IsZero() {
		t.Errorf("%+v", base)
	}
	for _, tc := range []struct {
		name  string
		rows  []row
		equal bool
	}{
		{"another-order", []row{c, a, b}, true},
		{"one-less", []row{a, b}, false},
		{"one-twice", []row{a, b, c, c}, false},
		{"two-counts-swapped", []row{{1, "a", 2}, {1, "b", 1}, c}, false},
		{"two-windows-swapped", []row{{2, "a", 1}, b, {1, "a", 3}}, false},
		{"another-word", []row{a, {1, "c", 2}, c}, false},
	} {
		topic(tc.name)
		writeRows(t, broker, tc.name, kgo.TryCommit, tc.rows...)
		writeRows(t, broker, tc.name, kgo.TryAbort, a, b, c) // nobody's business
		if got := read(tc.name); got.Equal(base) != tc.equal {
			t.Errorf("%s: %+v, base %+v", tc.name, got, base)
		}
	}
	topic("nothing")
	if got := read("nothing"); got.Rows != 0 {
		t.Errorf("%+v", got)
	}
}
