package counter

import (
	"fmt"
	"testing"
	"time"

	"wordcount/counter/reduce"
	"wordcount/counter/words"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// A window is not closed before it has ended, whatever the clock says; with the producers' times it may be.
func TestClosedAt(t *testing.T) {
	for _, c := range []struct {
		createTime bool
		late, want int64 // after the window's end, by the clock
	}{{false, 200, 200}, {false, -30, 0}, {true, 200, 200}, {true, -30, -30}} {
		task := &reduceTask{task: task{job: &job{partitions: 1, createTime: c.createTime}}, ends: packer{max: 1 << 20}}
		const end = aTime + anInterval
		task.write(reduce.Window{Start: aTime, End: end, Counts: new(words.Table)}, end+c.late)
		f := newFetched(topicPartition{}, 0, 0, 1, 1, time.Time{}, encodeBatch(task.ends.all()[0], batchHeader{appendTime: -1}), nil, nil)
		var rec kafkaio.Record
		if !f.Next(&rec) {
			t.Fatal(f.Err())
		}
		b, err := wire.ParseBatch(rec.Value)
		if got := b.ClosedAt.UnixMilli() - end; err != nil || got != c.want {
			t.Errorf("%+v: closed %d ms after its end, %v", c, got, err)
		}
	}
}

// BenchmarkRows: what a row costs from the sum to a compressed record batch.
func BenchmarkRows(b *testing.B) {
	const distinct = 50_000
	var counts words.Table
	for i := range distinct {
		counts.Add(fmt.Appendf(nil, "word%d", i), int64(1+i%100))
	}
	t := &reduceTask{task: task{job: &job{partitions: 4}}, rows: packer{max: 1 << 20, compress: true}, ends: packer{max: 1 << 20}}
	b.ReportAllocs()
	for i := 0; i < b.N; i += distinct {
		t.write(reduce.Window{Start: aTime, End: aTime + anInterval, Counts: &counts}, aTime)
		t.rows.all()
		t.rows.sent()
		t.ends.sent()
	}
}
