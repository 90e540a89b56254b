package kafkaiotest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"wordcount/internal/kafkaio"
)

func TestMeasure(t *testing.T) {
	addr := os.Getenv("KAFKA_BROKERS_FOR_TESTS")
	f := newFixture(t, Broker{Addr: addr})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	f.ctx = ctx
	// commit latency
	for _, pause := range []time.Duration{0, 20 * time.Millisecond, 200 * time.Millisecond} {
		topic := f.topic(fmt.Sprint("commit", pause.Milliseconds()), 4, "message.timestamp.type", "LogAppendTime")
		p := f.transactional(f.client, fmt.Sprint("c", pause))
		var d []time.Duration
		for n := range 300 {
			if pause == 200*time.Millisecond && n >= 100 {
				break
			}
			var out []kafkaio.Output
			for q := range int32(4) {
				b := new(kafkaio.RecordBatch)
				for range 5 {
					b.Append(1, nil, bytes.Repeat([]byte("x"), 1000))
				}
				out = append(out, kafkaio.Output{Topic: topic, Partition: q, Batches: []*kafkaio.RecordBatch{b}})
			}
			time.Sleep(pause)
			start := time.Now()
			f.commit(p, out, kafkaio.Offset{Topic: topic, Partition: 0, Offset: int64(n), Metadata: "m"}, kafkaio.Offset{Topic: topic, Partition: 1, Offset: int64(n), Metadata: "m"})
			if n > 20 {
				d = append(d, time.Since(start))
			}
		}
		slices.Sort(d)
		fmt.Printf("commit, pause %v: p50 %v p90 %v p99 %v max %v\n", pause, d[len(d)/2], d[len(d)*9/10], d[len(d)*99/100], d[len(d)-1])
	}
	// producer
	topic := f.topic("lines", 4, "message.timestamp.type", "LogAppendTime", "max.message.bytes", "2000000")
	p := f.producer(f.client, topic)
	line := []byte("a line of forty-eight bytes, the one of the bench")[:48]
	const total = 300 << 20
	for _, records := range []int{1000, 20000} {
		start := time.Now()
		var w sync.WaitGroup
		sum := 0
		var mu sync.Mutex
		for q := range int32(4) {
			w.Go(func() {
				b := new(kafkaio.RecordBatch)
				n := 0
				for n < total/4 {
					b.Reset()
					for range records {
						b.Append(1, nil, line)
					}
					if _, err := p.Send(ctx, q, b); err != nil {
						t.Error(err)
						return
					}
					n += 48 * records
				}
				mu.Lock()
				sum += n
				mu.Unlock()
			})
		}
		w.Wait()
		e := time.Since(start)
		fmt.Printf("produce, batches of %d: %.0f MB/s of lines, %.2f M lines/s\n", records, float64(sum)/1e6/e.Seconds(), float64(sum)/48/1e6/e.Seconds())
		if records == 1000 {
			for range 3 {
				read(f, topic)
			}
			topic = f.topic("lines2", 4, "message.timestamp.type", "LogAppendTime", "max.message.bytes", "2000000")
			p = f.producer(f.client, topic)
		}
	}
	for range 2 {
		read(f, topic)
	}
}

func read(f *fixture, topic string) {
	ends, err := f.client.Offsets(f.ctx, topic, kafkaio.Latest)
	f.must(err)
	r := f.client.NewReader([]kafkaio.Position{{Topic: topic}, {Topic: topic, Partition: 1}, {Topic: topic, Partition: 2}, {Topic: topic, Partition: 3}})
	defer r.Close()
	var n, polls, records int
	done := make(map[int32]bool)
	var walk time.Duration
	start := time.Now()
	for len(done) < 4 {
		fetched, err := r.Poll(f.ctx, 100*time.Millisecond)
		f.must(err)
		polls++
		w := time.Now()
		for _, one := range fetched {
			var rec kafkaio.Record
			for one.Next(&rec) {
				n += len(rec.Value)
				records++
			}
			if one.Position() >= ends[one.Partition] {
				done[one.Partition] = true
			}
		}
		walk += time.Since(w)
	}
	e := time.Since(start)
	fmt.Printf("read: %.0f MB/s of lines (%d records, %d polls, walking %v of %v)\n", float64(n)/1e6/e.Seconds(), records, polls, walk, e)
}
