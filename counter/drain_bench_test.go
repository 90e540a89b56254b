package counter

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"wordcount/counter/combine"
	"wordcount/counter/reduce"
	"wordcount/counter/tokenize"
	"wordcount/counter/window"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// BenchmarkDrain: what a line of a backlog costs in all that a counter does with it but talk to Kafka, on one core. On a machine that
// others use, compare the least of many runs.
func BenchmarkDrain(b *testing.B) {
	for _, c := range []struct{ windows, lines, vocabulary int }{{4, 300_000, 170_000}, {1, 1_200_000, 1000}, {80, 15_000, 1000}} {
		b.Run(fmt.Sprintf("windows=%d/lines=%d/words=%d", c.windows, c.lines, c.vocabulary), func(b *testing.B) {
			d := drain{lines: logOfLines(c.windows, c.lines, c.vocabulary)}
			b.ResetTimer()
			for range b.N {
				d.run(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.windows*c.lines), "ns/line")
			b.ReportMetric(float64(d.rowBytes)/float64(d.rowCount), "B/row")
		})
	}
}

const (
	drainSlots = 4
	drainTime  = aTime + 1000*anInterval // of the clock, behind all lines
)

// drain is a counter with all slots.
type drain struct {
	lines              [drainSlots][][]byte // record batches
	rowBytes, rowCount int

	combiners [drainSlots]*combine.Combiner
	packers   [drainSlots][]packer
	reduces   [drainSlots]*reduceTask
	offsets   [drainSlots]int64 // of the shuffle topic
}

func (d *drain) run(b *testing.B) {
	d.rowBytes, d.rowCount = 0, 0
	tokenizer, err := tokenize.New("space")
	if err != nil {
		b.Fatal(err)
	}
	for s := range drainSlots {
		d.combiners[s] = combine.New(combine.Config{Slot: s, Interval: anInterval, Partitions: drainSlots, CreateTime: true, Tokenizer: tokenizer,
			MaxRecord: maxRecord, Emit: func(q int, record []byte) { d.packers[s][q].append(drainTime, nil, record) }}, 1)
		d.combiners[s].Start(aTime)
		d.packers[s] = newPackers(drainSlots, 1<<20)
		d.reduces[s] = &reduceTask{task: task{job: &job{partitions: drainSlots, createTime: true}, slot: int32(s)},
			reducer: reduce.New(reduce.Config{Interval: anInterval, Partitions: drainSlots}, &wire.ReduceState{Closed: aTime}, 0),
			rows:    rows{max: 1 << 20}, ends: packer{max: 1 << 20}}
		d.offsets[s] = 0
	}
	const fetch = 10 // batches
	for at := 0; at < len(d.lines[0]); at += fetch {
		for s, c := range d.combiners {
			for _, batch := range d.lines[s][at:min(at+fetch, len(d.lines[s]))] {
				walk(b, batch, 0, func(rec *kafkaio.Record) { c.Line(0, rec.Time, drainTime, rec.Value) })
			}
			if c.Closes() {
				d.flush(b, s)
			}
		}
	}
}

// flush hands a slot's counts to the reduces and closes what is due.
func (d *drain) flush(b *testing.B, slot int) {
	d.combiners[slot].Flush(drainSlots)
	for q, r := range d.reduces {
		for _, batch := range d.packers[slot][q].all() {
			walk(b, encodeBatch(batch, batchHeader{base: d.offsets[q], appendTime: -1}), d.offsets[q], func(rec *kafkaio.Record) {
				if err := r.reducer.Apply(int64(slot), rec.Offset, rec.Value); err != nil {
					b.Fatal(err)
				}
			})
			d.offsets[q] += int64(batch.Len())
		}
		d.packers[slot][q].sent()
		r.reducer.Ended(int64(slot))
		for w, _, ok, err := r.reducer.Close(); ok || err != nil; w, _, ok, err = r.reducer.Close() {
			if err != nil {
				b.Fatal(err)
			}
			r.write(w, drainTime)
		}
		for _, batch := range r.rows.all() {
			d.rowBytes += len(encodeBatch(batch, batchHeader{appendTime: -1}))
			d.rowCount += batch.Len()
		}
		r.rows.sent()
		r.ends.sent()
	}
}

// walk reads a batch as if it had been fetched.
func walk(b *testing.B, batch []byte, position int64, each func(*kafkaio.Record)) {
	const end = 1 << 60
	f := newFetched(topicPartition{}, position, 0, end, end, time.Time{}, batch, nil, nil)
	var rec kafkaio.Record
	for f.Next(&rec) {
		each(&rec)
	}
	if f.Err() != nil {
		b.Fatal(f.Err())
	}
}

// logOfLines makes the lines of each slot, and one behind them that closes the last window: ten words as long as those of English, by
// Zipf's law.
func logOfLines(windows, lines, words int) (batches [drainSlots][][]byte) {
	random := rand.New(rand.NewPCG(1, 1))
	vocabulary := make([][]byte, words)
	for i := range vocabulary {
		word := make([]byte, min(random.IntN(5)+random.IntN(5)+random.IntN(5)+2, 2+i/20))
		for j := range word {
			word[j] = 'a' + byte(random.IntN(26))
		}
		vocabulary[i] = word
	}
	zipf := rand.NewZipf(random, 1.05, 5, uint64(len(vocabulary)-1))
	interval := window.Interval(anInterval)
	for s := range batches {
		var batch kafkaio.RecordBatch
		for i := s; i <= windows*lines; i += drainSlots {
			var line []byte
			for range 10 {
				line = append(append(line, vocabulary[zipf.Uint64()]...), ' ')
			}
			batch.Append(aTime+int64(i)*int64(interval)/int64(lines), nil, line[:len(line)-1])
			if batch.Len() == 1000 {
				batches[s] = append(batches[s], encodeBatch(&batch, batchHeader{appendTime: -1}))
				batch.Reset()
			}
		}
		batch.Append(aTime+int64(windows)*anInterval, nil, []byte("end"))
		batches[s] = append(batches[s], encodeBatch(&batch, batchHeader{appendTime: -1}))
	}
	return batches
}
