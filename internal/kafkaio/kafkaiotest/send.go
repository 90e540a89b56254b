package kafkaiotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"wordcount/internal/kafkaio"
)

func (f *fixture) producer(c *kafkaio.Client, topic string) *kafkaio.Producer {
	f.Helper()
	p, err := c.NewProducer(f.ctx, topic)
	f.must(err)
	return p
}

func (f *fixture) send(p *kafkaio.Producer, partition int32, values ...string) kafkaio.Ack {
	f.Helper()
	ack, err := p.SendOne(f.ctx, partition, batch(values...))
	f.must(err)
	return ack
}

func (f *fixture) wantCommitted(topic string, want ...[]string) {
	f.Helper()
	if got := f.committed(topic); !slices.EqualFunc(got, want, slices.Equal) {
		f.Errorf("topic %s has %.300q, want %.300q", topic, got, want)
	}
}

// wantSoon is wantCommitted where no transaction may be left open, which the broker would abort after a minute.
func (f *fixture) wantSoon(topic string, want ...[]string) {
	f.Helper()
	start := time.Now()
	f.wantCommitted(topic, want...)
	if waited := time.Since(start); waited > 10*time.Second {
		f.Errorf("a transaction was left open in topic %s for %v", topic, waited)
	}
}

func testSend(f *fixture) {
	topic := f.topic("t", 2, "message.timestamp.type", "LogAppendTime")
	p := f.producer(f.client, topic)
	if p.Partitions() != 2 || p.MaxBatchBytes() < 1_000_000 {
		f.Errorf("%d partitions, batches up to %d bytes", p.Partitions(), p.MaxBatchBytes())
	}
	before := time.Now().UnixMilli()
	first := f.send(p, 1, "a", "b")
	second := f.send(p, 1, "c")
	if first.BaseOffset != 0 || second.BaseOffset != 2 {
		f.Errorf("base offsets %d, %d, want 0, 2", first.BaseOffset, second.BaseOffset)
	}
	if f.AppendTime && (first.AppendTime < before-1000 || second.AppendTime < first.AppendTime || second.AppendTime > time.Now().UnixMilli()+1000) {
		f.Errorf("append times %d, %d; it is about %d", first.AppendTime, second.AppendTime, before)
	}
	if age := time.Since(second.Received); age < 0 || age > patience {
		f.Errorf("the answer came %v ago", age)
	}
	created := f.topic("created", 1)
	if ack := f.send(f.producer(f.client, created), 0, "x"); ack.AppendTime != -1 {
		f.Errorf("append time %d on a topic with CreateTime", ack.AppendTime)
	}
	want := []string{"a", "b", "c"}
	var pattern kafkaio.PatternBatch
	pattern.Begin(before, kafkaio.Pattern{Head: []byte("it is "), Middle: " o'clock ", Tail: " times"})
	for i := range 100 {
		text := strings.Repeat("later ", i)
		pattern.Append([]byte(text), nil, int64(i))
		want = append(want, fmt.Sprintf("it is %s o'clock %d times", text, i))
	}
	if _, err := p.SendOne(f.ctx, 1, pattern.Seal()); err != nil {
		f.Error("compressed:", err)
	}
	f.wantCommitted(topic, nil, want)
}

// testSendAnswerLost: the broker has the batch, but the producer does not know.
func testSendAnswerLost(f *fixture) {
	topic := f.topic("t", 1)
	c, proxy := f.behind()
	p := f.producer(c, topic)
	f.send(p, 0, "a")
	proxy.lose(protocol.Produce, 3, true)
	if ack := f.send(p, 0, "b", "c"); ack.BaseOffset != 1 {
		f.Errorf("base offset %d, want 1", ack.BaseOffset)
	}
	if n := proxy.left(protocol.Produce); n != 0 {
		f.Fatalf("%d answers were not lost", n)
	}
	if ack := f.send(p, 0, "d"); ack.BaseOffset != 3 {
		f.Errorf("base offset %d, want 3", ack.BaseOffset)
	}
	f.wantCommitted(topic, []string{"a", "b", "c", "d"})
}

func testSendRequestLost(f *fixture) {
	topic := f.topic("t", 1)
	c, proxy := f.behind()
	p := f.producer(c, topic)
	proxy.lose(protocol.Produce, 3, false)
	f.send(p, 0, "a", "b")
	f.send(p, 0, "c")
	if n := proxy.left(protocol.Produce); n != 0 {
		f.Fatalf("%d requests were not lost", n)
	}
	f.wantCommitted(topic, []string{"a", "b", "c"})
}

// testSendRefused: what the broker refuses for good is an error, and the next batch goes through.
func testSendRefused(f *fixture) {
	if !f.Strict {
		f.Skip("this broker takes batches of any size")
	}
	topic := f.topic("t", 1, "max.message.bytes", "1000")
	p := f.producer(f.client, topic)
	if p.MaxBatchBytes() != 1000 {
		f.Errorf("batches up to %d bytes, want 1000", p.MaxBatchBytes())
	}
	f.send(p, 0, "a")
	if _, err := p.SendOne(f.ctx, 0, batch(string(make([]byte, 2000)))); !errors.Is(err, kafka.MessageSizeTooLarge) {
		f.Errorf("got %v", err)
	}
	f.send(p, 0, "b")
	f.wantCommitted(topic, []string{"a", "b"})
}

// testSendInterrupted: after the context's end nobody knows whether the batch was written; the same one again is no second copy.
func testSendInterrupted(f *fixture) {
	topic := f.topic("t", 1)
	c, proxy := f.behind()
	p := f.producer(c, topic)
	proxy.lose(protocol.Produce, 1_000_000, true)
	short, cancel := context.WithTimeout(f.ctx, 200*time.Millisecond)
	defer cancel()
	b := batch("a", "b")
	if _, err := p.SendOne(short, 0, b); !errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("got %v", err)
	}
	proxy.lose(protocol.Produce, 0, true)
	if ack, err := p.SendOne(f.ctx, 0, b); err != nil || ack.BaseOffset != 0 {
		f.Errorf("got %+v, %v", ack, err)
	}
	f.wantCommitted(topic, []string{"a", "b"})
}

// testSendTogether: batches of several partitions go in one request, and each is answered for itself.
func testSendTogether(f *fixture) {
	topic := f.topic("t", 3, "max.message.bytes", "1000")
	c, proxy := f.behind()
	p := f.producer(c, topic)
	send := func(ctx context.Context, values ...string) (acks []kafkaio.Ack, errs []error) {
		var batches []kafkaio.Outgoing
		for partition, v := range values {
			batches = append(batches, kafkaio.Outgoing{Partition: int32(partition), Batch: batch(v)})
		}
		acks, errs = make([]kafkaio.Ack, len(values)), make([]error, len(values))
		var mu sync.Mutex
		done := 0
		p.Send(ctx, batches, func(some []kafkaio.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range some {
				acks[d.Index], errs[d.Index] = d.Ack, d.Err
				done++
			}
		})
		if done != len(values) {
			f.Errorf("%d answers to %d batches", done, len(values))
		}
		return acks, errs
	}
	for round, values := range [][]string{{"a", "b", "c"}, {"d", "e"}} {
		before, _ := proxy.counts(protocol.Produce)
		acks, errs := send(f.ctx, values...)
		f.must(errors.Join(errs...))
		for i, ack := range acks {
			if ack.BaseOffset != int64(round) {
				f.Errorf("round %d, partition %d: base offset %d", round, i, ack.BaseOffset)
			}
		}
		if after, _ := proxy.counts(protocol.Produce); after != before+1 && round > 0 { // at first a leader may not know yet that it is one
			f.Errorf("%d requests for %d batches", after-before, len(values))
		}
	}
	for _, answered := range []bool{false, true} { // is there once, either way
		proxy.lose(protocol.Produce, 1, answered)
		_, errs := send(f.ctx, "f", "g", "h")
		f.must(errors.Join(errs...))
	}
	want := [][]string{{"a", "d", "f", "f"}, {"b", "e", "g", "g"}, {"c", "h", "h"}}
	if f.Strict { // a broker that refuses what is too large
		_, errs := send(f.ctx, "i", string(make([]byte, 2000)), "j")
		if errs[0] != nil || !errors.Is(errs[1], kafka.MessageSizeTooLarge) || errs[2] != nil {
			f.Errorf("one too large: %v", errs)
		}
		_, errs = send(f.ctx, "k", "l")
		f.must(errors.Join(errs...))
		want = [][]string{append(want[0], "i", "k"), append(want[1], "l"), append(want[2], "j")}
	}
	f.wantCommitted(topic, want...)

	proxy.lose(protocol.Produce, 1_000_000, true)
	short, cancel := context.WithTimeout(f.ctx, 200*time.Millisecond)
	defer cancel()
	_, errs := send(short, "m", "n", "o")
	for i, err := range errs {
		if !errors.Is(err, context.DeadlineExceeded) {
			f.Errorf("partition %d without answers: %v", i, err)
		}
	}
}

// testSendThroughOutages: each line once and in order, whatever happens to connections.
func testSendThroughOutages(f *fixture) {
	const partitions, batches, lines = 4, 60, 20 // two partitions alone, two together
	topic := f.topic("t", partitions)
	c, proxy := f.behind()
	p := f.producer(c, topic)
	sent := make(chan struct{}, partitions*batches)
	var sending sync.WaitGroup
	want := make([][]string, partitions)
	next := func(partition, n int) *kafkaio.RecordBatch {
		var values []string
		for i := range lines {
			values = append(values, fmt.Sprintf("%d-%d", partition, n*lines+i))
		}
		want[partition] = append(want[partition], values...)
		return batch(values...)
	}
	check := func(partition, n int, ack kafkaio.Ack, err error) {
		if err != nil || ack.BaseOffset != int64(n*lines) {
			f.Errorf("partition %d, batch %d: %+v, %v", partition, n, ack, err)
		}
		sent <- struct{}{}
	}
	for partition := range 2 {
		sending.Go(func() {
			for n := range batches {
				ack, err := p.SendOne(f.ctx, int32(partition), next(partition, n))
				check(partition, n, ack, err)
			}
		})
	}
	sending.Go(func() {
		for n := range batches {
			p.Send(f.ctx, []kafkaio.Outgoing{{Partition: 2, Batch: next(2, n)}, {Partition: 3, Batch: next(3, n)}},
				func(some []kafkaio.Delivery) {
					for _, d := range some {
						check(2+d.Index, n, d.Ack, d.Err)
					}
				})
		}
	})
	for outage := range 5 {
		for range partitions * batches / 6 {
			<-sent
		}
		proxy.lose(protocol.Produce, 2, outage%2 == 0)
		proxy.setReachable(false)
		time.Sleep(time.Duration(outage) * 50 * time.Millisecond) // it is away so long
		proxy.setReachable(true)
	}
	sending.Wait()
	f.wantCommitted(topic, want...)
}
