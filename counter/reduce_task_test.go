package counter

import (
	"fmt"
	"testing"

	"wordcount/counter/reduce"
	"wordcount/counter/words"
)

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
