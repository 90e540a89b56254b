package counter

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"wordcount/counter/words"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// Rows say what the tables hold, in batches that the topic takes, and nothing of an earlier round is left in memory that is used again.
func TestRows(t *testing.T) {
	const limit = 5000
	r := newRows(kafkaio.TopicSettings{MaxMessageBytes: limit})
	type key struct {
		start int64
		word  string
	}
	for round := range 5 {
		if len(r.all()) > 0 || r.bytes != 0 {
			t.Fatalf("round %d begins with %d batches, %d bytes", round, len(r.all()), r.bytes)
		}
		want, got := make(map[key]int64), make(map[key]int64)
		size := 0
		for w := range int64(4) {
			start := aTime + w*anInterval
			var table words.Table
			for i := range 50 * w { // the first has no words
				word := fmt.Sprintf("%d of %d", i, round)
				switch i % 10 {
				case 3:
					word += `"\` + "\x00\n漢"
				case 5:
					word += strings.Repeat(" long", int(i))
				case 7:
					word = word[:1]
				}
				table.Add([]byte(word), i*i+1)
				want[key{start, word}] += i*i + 1
			}
			for word, count := range table.All {
				size += len(word) + len(wire.AppendCount(nil, start, start+anInterval, word, count))
			}
			r.write(start, start+anInterval, aTime+int64(round), &table)
		}
		for _, b := range r.all() {
			if b.Size() > limit || b.Len() == 0 {
				t.Errorf("%d records in %d bytes", b.Len(), b.Size())
			}
			f := newFetched(topicPartition{}, 0, 0, int64(b.Len()), int64(b.Len()), time.Time{}, encodeBatch(b, batchHeader{appendTime: -1}), nil, nil)
			var rec kafkaio.Record
			for f.Next(&rec) {
				c, err := wire.ParseCount(rec.Value)
				if err != nil || c.Word != string(rec.Key) || c.WindowEnd.Sub(c.WindowStart).Milliseconds() != anInterval || rec.Time != aTime+int64(round) {
					t.Fatalf("%q at %d: %s, %v", rec.Key, rec.Time, rec.Value, err)
				}
				start, end := c.WindowStart.UnixMilli(), c.WindowEnd.UnixMilli()
				if plain := wire.AppendCount(nil, start, end, rec.Key, c.Count); string(rec.Value) != string(plain) {
					t.Fatalf("%s, want %s", rec.Value, plain)
				}
				got[key{start, c.Word}] += c.Count
			}
			if f.Err() != nil {
				t.Fatal(f.Err())
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("round %d: %d rows, want %d", round, len(got), len(want))
		}
		if n := len(r.all()); r.bytes < size || n < 2 || n > 2*size/limit/3 {
			t.Errorf("%d bytes in %d batches, of %d", r.bytes, n, size)
		}
		r.sent()
	}
	// What fits into no batch is sent alone: the broker says what is too large.
	var table words.Table
	for n := range 3 {
		table.Add([]byte(strings.Repeat("x", limit*n+1)), 1)
	}
	if r.write(aTime, aTime+anInterval, aTime, &table); len(r.all()) != 3 {
		t.Errorf("%d batches", len(r.all()))
	}
	// However little is sent of it, a batch expands to maxContent at most, and not to much less when there are more.
	r = newRows(kafkaio.TopicSettings{MaxMessageBytes: 1 << 20})
	table.Reset()
	for i := range 100_000 {
		table.Add(fmt.Appendf(make([]byte, 0, 16), "%x", i), 1)
	}
	r.write(aTime, aTime+anInterval, aTime, &table)
	if n := len(r.all()); n != 3 {
		t.Errorf("%d batches of %d bytes", n, r.bytes)
	}
	for i, b := range r.full {
		if size := b.Size(); size > maxContent || size < maxContent/100*95 && i+1 < len(r.full) {
			t.Errorf("%d bytes in a batch", size)
		}
	}
	// Where Kafka writes it in another way, it may expand to no more than it may be.
	r = newRows(kafkaio.TopicSettings{MaxMessageBytes: 1 << 20, Recompresses: true})
	r.write(aTime, aTime+anInterval, aTime, &table)
	r.all()
	for _, b := range r.full {
		if b.Size() > 1<<20 {
			t.Errorf("%d bytes in a batch that is recompressed", b.Size())
		}
	}
	// Compression makes what it cannot compress longer: two words that just fit are not sent together.
	r = newRows(kafkaio.TopicSettings{MaxMessageBytes: 20 * limit})
	table.Reset()
	for range 2 {
		word := make([]byte, 5*limit-170)
		word[0] = '"' // it is escaped, and so stands there twice
		for i := range word[1:] {
			word[1+i] = 'a' + byte(rand.IntN(26))
		}
		table.Add(word, 1)
	}
	r.write(aTime, aTime+anInterval, aTime, &table)
	if plain := r.bytes; plain > 20*limit || len(r.all()) != 2 {
		t.Errorf("%d bytes without compression, in %d batches", plain, len(r.all()))
	}
}
