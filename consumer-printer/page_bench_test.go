package printer

import (
	"fmt"
	"testing"

	"wordcount/consumer-printer/page"
	"wordcount/internal/wire"
)

// What a row costs without a page and with one: a backlog of batches of 100,000 words each.
func BenchmarkCount(b *testing.B) {
	for _, served := range []bool{false, true} {
		b.Run(fmt.Sprintf("page=%t", served), func(b *testing.B) {
			const distinct = 100_000
			words := make([][]byte, distinct)
			for i := range words {
				words[i] = fmt.Appendf(nil, "word-%d", i*7919%distinct)
			}
			j := NewJoiner(1, 10, FromBeginning)
			var p *page.Page
			if served {
				j.page = &pageKeeper{limit: page.KeptBytes}
				p = page.New(wordPartition)
			}
			end := int64(testEnd)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				row := wire.CountRow{WindowStart: end - 5000, WindowEnd: end, Word: words[i], Count: int64(i%1000) + 1}
				if err := j.Count(0, &row); err != nil {
					b.Fatal(err)
				}
				if i++; i < distinct {
					continue
				}
				i = 0
				record := testBatch(end, 0, 1, distinct/1000*500500, distinct)
				if err := j.Batch(0, record, end, tick(0)); err != nil {
					b.Fatal(err)
				}
				batch, ok := j.Next()
				if !ok {
					b.Fatal("incomplete")
				}
				if served {
					addToPage(p, &batch)
				}
				end += 5000
			}
		})
	}
}
