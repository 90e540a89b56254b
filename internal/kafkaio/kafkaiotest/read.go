package kafkaiotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"wordcount/internal/kafkaio"
)

// abandon leaves a transaction open, as a producer does that is killed; NewTransactional of the id aborts it.
func (f *fixture) abandon(id string, outputs ...kafkaio.Output) {
	f.Helper()
	c, proxy := f.behind()
	p := f.transactional(c, id)
	reached, _ := proxy.hold(protocol.EndTxn)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := p.Commit(ctx, Place{f.outsider()}, outputs, nil)
		done <- err
	}()
	select {
	case <-reached:
		proxy.setReachable(false) // before the request goes on
		cancel()
		<-done
	case err := <-done:
		f.Fatal("commit ended early:", err)
	}
}

// testReadAborted reads transactions of several producers, nested, from every offset.
func testReadAborted(f *fixture) {
	topic := f.topic("t", 1)
	plain, steady := f.producer(f.client, topic), f.transactional(f.client, "steady")
	f.commit(steady, []kafkaio.Output{output(topic, 0, "s1", "s2")})
	f.abandon("a", output(topic, 0, "a1", "a2"))
	f.commit(steady, []kafkaio.Output{output(topic, 0, "s3")})
	f.abandon("b", kafkaio.Output{Topic: topic, Batches: []*kafkaio.RecordBatch{batch("b1"), batch("b2"), batch("b3")}})
	f.send(plain, 0, "p1")
	again := f.transactional(f.client, "a") // aborts a1 a2
	f.commit(steady, []kafkaio.Output{output(topic, 0, "s4")})
	f.commit(again, []kafkaio.Output{output(topic, 0, "a3")})
	f.abandon("a", output(topic, 0, "a4"))
	f.send(plain, 0, "p2", "p3")
	f.transactional(f.client, "b") // aborts b1 to b3
	f.commit(steady, []kafkaio.Output{output(topic, 0, "s5")})
	f.transactional(f.client, "a") // aborts a4
	f.send(plain, 0, "p4")
	want := []string{"s1", "s2", "s3", "p1", "s4", "a3", "p2", "p3", "s5", "p4"}
	f.wantCommitted(topic, want)

	ends, err := f.client.Offsets(f.ctx, topic, kafkaio.Latest)
	f.must(err)
	left := len(want)
	for from := range ends[0] + 1 {
		var got []string
		first := int64(-1)
		r := f.client.NewReader([]kafkaio.Position{{Topic: topic, Offset: from}})
		for position := from; position < ends[0]; {
			fetched, err := r.Poll(f.ctx, time.Second)
			f.must(err)
			for _, one := range fetched {
				var rec kafkaio.Record
				for one.Next(&rec) {
					got = append(got, string(rec.Value))
					if first < 0 {
						first = rec.Offset
					}
				}
				f.must(one.Err())
				position = one.Position()
			}
		}
		r.Close()
		if first == from { // the record before is not in
			left = len(got)
		}
		if !slices.Equal(got, want[len(want)-len(got):]) || len(got) > left || first >= 0 && first < from {
			f.Errorf("from offset %d: %q, from %d", from, got, first)
		}
		if left = len(got); first == from {
			left--
		}
	}
	if left != 0 {
		f.Errorf("%d records are left at the end", left)
	}
}

func testReadOpenTransaction(f *fixture) {
	topic := f.topic("t", 1)
	f.send(f.producer(f.client, topic), 0, "a", "b")
	f.abandon("id", output(topic, 0, "open"))
	r := f.client.NewReader([]kafkaio.Position{{Topic: topic}})
	defer r.Close()
	var got []string
	poll := func() (last *kafkaio.Fetched) {
		fetched, err := r.Poll(f.ctx, 50*time.Millisecond)
		f.must(err)
		for _, one := range fetched {
			got = append(got, f.values(one)...)
			last = one
		}
		return last
	}
	for polls := 0; polls < 5; {
		if one := poll(); one != nil {
			polls++
			if one.CaughtUp() || one.Position() != 2 || one.LastStable != 2 || one.HighWatermark != 3 || one.Lag() != 1 {
				f.Errorf("behind an open transaction: position %d, last stable %d, high watermark %d, caught up %v", one.Position(), one.LastStable, one.HighWatermark, one.CaughtUp())
			}
		}
	}
	ends := func(latest, high int64) {
		for at, want := range map[int64]int64{kafkaio.Latest: latest, kafkaio.HighWatermark: high} {
			if got, err := f.client.Offset(f.ctx, topic, 0, at); err != nil || got != want {
				f.Errorf("offset %d at %d, %v; want %d", got, at, err, want)
			}
		}
	}
	ends(2, 3)
	f.transactional(f.client, "id") // aborts it
	for {
		sent := time.Now()
		if one := poll(); one != nil && one.CaughtUp() {
			if one.Position() != 4 || one.Lag() != 0 || one.SentAt.Before(sent) {
				f.Errorf("caught up at %d, lag %d, fetch sent %v before", one.Position(), one.Lag(), sent.Sub(one.SentAt))
			}
			break
		}
	}
	ends(4, 4)
	if !slices.Equal(got, []string{"a", "b"}) {
		f.Errorf("read %q", got)
	}
}

func testReadSeveral(f *fixture) {
	topics := []string{f.topic("b", 3), f.topic("a", 2)}
	var positions []kafkaio.Position
	want := make(map[string][]string)
	for _, topic := range topics {
		p := f.producer(f.client, topic)
		for partition := range int32(p.Partitions()) {
			positions = append(positions, kafkaio.Position{Topic: topic, Partition: partition})
			for n := range 5 {
				value := fmt.Sprintf("%s/%d: %d", topic, partition, n)
				f.send(p, partition, value)
				want[fmt.Sprint(topic, partition)] = append(want[fmt.Sprint(topic, partition)], value)
			}
		}
	}
	r := f.client.NewReader(positions)
	defer r.Close()
	read := func() map[string][]string {
		got := make(map[string][]string)
		for caughtUp := 0; caughtUp < len(positions); {
			fetched, err := r.Poll(f.ctx, 0)
			f.must(err)
			for _, one := range fetched {
				name := fmt.Sprint(one.Topic, one.Partition)
				if values := f.values(one); values != nil {
					got[name] = append(got[name], values...)
				}
				if one.CaughtUp() && len(got[name]) > 0 {
					caughtUp++
				}
			}
		}
		return got
	}
	equal := func(got map[string][]string) bool {
		return slices.EqualFunc(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)), func(a, b string) bool { return a == b && slices.Equal(got[a], want[b]) })
	}
	if got := read(); !equal(got) {
		f.Errorf("read %q, want %q", got, want)
	}
	for _, at := range positions {
		r.Seek(at.Topic, at.Partition, 3)
		name := fmt.Sprint(at.Topic, at.Partition)
		want[name] = want[name][3:]
	}
	if got := read(); !equal(got) {
		f.Errorf("after Seek: read %q, want %q", got, want)
	}

	nothing := f.client.NewReader(nil)
	defer nothing.Close()
	if fetched, err := nothing.Poll(f.ctx, 0); fetched != nil || err != nil {
		f.Errorf("a reader of nothing: %v, %v", fetched, err)
	}
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	if _, err := r.Poll(ended, time.Minute); !errors.Is(err, context.Canceled) {
		f.Errorf("after the context's end: %v", err)
	}
}

// testReadPaused: a paused partition yields nothing, the others go on, and afterwards nothing of it is missing.
func testReadPaused(f *fixture) {
	topic := f.topic("t", 2)
	p := f.producer(f.client, topic)
	r := f.client.NewReader([]kafkaio.Position{{Topic: topic}, {Topic: topic, Partition: 1}})
	defer r.Close()
	got := make([][]string, 2)
	poll := func() {
		fetched, err := r.Poll(f.ctx, 20*time.Millisecond)
		f.must(err)
		for _, one := range fetched {
			got[one.Partition] = append(got[one.Partition], f.values(one)...)
		}
	}
	r.Pause(topic, 0, true)
	for n := range 5 {
		f.send(p, 0, fmt.Sprint(n))
		f.send(p, 1, fmt.Sprint(n))
		for len(got[1]) <= n {
			poll()
		}
	}
	if len(got[0]) > 0 {
		f.Errorf("a paused partition yields %q", got[0])
	}
	r.Pause(topic, 0, false)
	for len(got[0]) < 5 {
		poll()
	}
	if want := []string{"0", "1", "2", "3", "4"}; !slices.Equal(got[0], want) || !slices.Equal(got[1], want) {
		f.Errorf("read %q, want %q twice", got, want)
	}
}

// testReadPartly: of what was not walked to its end the rest comes again, also within a batch.
func testReadPartly(f *fixture) {
	topic := f.topic("t", 1)
	p := f.producer(f.client, topic)
	f.send(p, 0, "a", "b", "c")
	f.send(p, 0, "d")
	f.abandon("partly", output(topic, 0, "never"))
	f.send(p, 0, "e", "f")
	f.transactional(f.client, "partly") // aborts it
	r := f.client.NewReader([]kafkaio.Position{{Topic: topic}})
	defer r.Close()
	var got []string
	for len(got) < 6 {
		fetched, err := r.Poll(f.ctx, 20*time.Millisecond)
		f.must(err)
		for _, one := range fetched {
			var rec kafkaio.Record
			if one.Next(&rec) {
				got = append(got, string(rec.Value))
			}
		}
	}
	if want := []string{"a", "b", "c", "d", "e", "f"}; !slices.Equal(got, want) {
		f.Errorf("read %q, want %q", got, want)
	}
}

// backlog fills partition 0 of a topic with 12 batches of 700 kB, six times what a fetch brings, and returns how many records that are.
func (f *fixture) backlog(topic string) (records int64) {
	f.Helper()
	p := f.producer(f.client, topic)
	for range 12 {
		values := slices.Repeat([]string{strings.Repeat("x", 70_000)}, 10)
		records += int64(len(values))
		f.send(p, 0, values...)
	}
	return records
}

// testReadAhead: while a caller walks what was fetched, what comes after is fetched already; a partition that has no more is asked, too.
func testReadAhead(f *fixture) {
	topic := f.topic("t", 2)
	end := f.backlog(topic)
	c, proxy := f.behind()
	r := c.NewReader([]kafkaio.Position{{Topic: topic}, {Topic: topic, Partition: 1}})
	defer r.Close()
	next, ahead, idle := int64(0), 0, 0
	for returned := 1; next < end; returned++ {
		fetched, err := r.Poll(f.ctx, 20*time.Second)
		f.must(err)
		for _, one := range fetched {
			if one.Partition == 1 && one.CaughtUp() {
				idle++
			}
			for rec := (kafkaio.Record{}); one.Next(&rec); next++ {
				if one.Partition != 0 || rec.Offset != next {
					f.Fatalf("read offset %d of partition %d, want %d of 0", rec.Offset, one.Partition, next)
				}
			}
			f.must(one.Err())
		}
		if returned == 1 || next == end { // before, nobody knew that the caller walks all of it; then there is nothing to fetch
			continue
		}
		for requests := 0; requests <= returned && f.ctx.Err() == nil; time.Sleep(time.Millisecond) {
			requests, _ = proxy.counts(protocol.Fetch)
		}
		f.must(f.ctx.Err())
		ahead++
	}
	if ahead < 2 || idle < ahead {
		f.Errorf("%d fetches ahead, %d times nothing was found in the partition without records", ahead, idle)
	}
}

// testReadAheadInVain: who does not walk all of what was fetched, or goes elsewhere, gets the records from there.
func testReadAheadInVain(f *fixture) {
	topic := f.topic("t", 1)
	end := f.backlog(topic)
	r := f.client.NewReader([]kafkaio.Position{{Topic: topic}})
	defer r.Close()
	random := rand.New(rand.NewPCG(1, 1))
	next := int64(0)
	for range 60 {
		fetched, err := r.Poll(f.ctx, 20*time.Millisecond)
		f.must(err)
		for _, one := range fetched {
			most := int64(math.MaxInt64) // all, mostly
			if random.IntN(4) == 0 {
				most = random.Int64N(20)
			}
			for rec := (kafkaio.Record{}); most > 0 && one.Next(&rec); most-- {
				if rec.Offset != next {
					f.Fatalf("read offset %d, want %d", rec.Offset, next)
				}
				next++
			}
			f.must(one.Err())
		}
		if next == end || random.IntN(4) == 0 {
			next = random.Int64N(end)
			r.Seek(topic, 0, next)
		}
	}
}

// testReadLargeBatch: a batch above what a fetch asks for comes all the same.
func testReadLargeBatch(f *fixture) {
	topic := f.topic("t", 1, "max.message.bytes", "9000000")
	p := f.producer(f.client, topic)
	large := []string{strings.Repeat("x", 4<<20), strings.Repeat("y", 3<<20)}
	f.send(p, 0, "before")
	f.send(p, 0, large...)
	f.send(p, 0, "after")
	f.wantCommitted(topic, []string{"before", large[0], large[1], "after"})
}

// testReadLargeBatchBehind: it comes also while a partition that is asked for before it has data for every fetch.
func testReadLargeBatchBehind(f *fixture) {
	topic := f.topic("t", 2, "max.message.bytes", "9000000")
	p := f.producer(f.client, topic)
	const fetches = 6
	for range fetches {
		f.send(p, 0, strings.Repeat("x", 3<<19)) // one of them to a fetch
	}
	f.send(p, 1, strings.Repeat("y", 3<<20))
	r := f.client.NewReader([]kafkaio.Position{{Topic: topic}, {Topic: topic, Partition: 1}})
	defer r.Close()
	for before := 0; ; {
		fetched, err := r.Poll(f.ctx, time.Second)
		f.must(err)
		for _, one := range fetched {
			switch values := f.values(one); {
			case one.Partition == 0:
				before += len(values)
			case len(values) > 0:
				if before == fetches {
					f.Error("the large batch came when the other partition had nothing more")
				}
				return
			}
		}
	}
}

// testLongPoll: a poll ends as soon as a transaction is committed, not with its time.
func testLongPoll(f *fixture) {
	topic := f.topic("t", 2)
	c, proxy := f.behind()
	r := c.NewReader([]kafkaio.Position{{Topic: topic}, {Topic: topic, Partition: 1}})
	defer r.Close()
	p := f.transactional(f.client, "id")
	var latencies []time.Duration
	for n := range 20 {
		before, _ := proxy.counts(protocol.Fetch)
		polled := make(chan []string, 1)
		go func() {
			for {
				fetched, err := r.Poll(f.ctx, 20*time.Second)
				if err != nil {
					f.Error(err)
				}
				for _, one := range fetched {
					if values := f.values(one); values != nil || err != nil {
						polled <- values
						return
					}
				}
			}
		}()
		for {
			if now, _ := proxy.counts(protocol.Fetch); now > before {
				break
			}
			time.Sleep(time.Millisecond)
		}
		f.commit(p, []kafkaio.Output{output(topic, int32(n%2), fmt.Sprint(n))})
		committed := time.Now()
		if values := <-polled; !slices.Equal(values, []string{fmt.Sprint(n)}) {
			f.Errorf("polled %q, want %d", values, n)
		}
		latencies = append(latencies, time.Since(committed))
	}
	slices.Sort(latencies)
	f.Logf("from commit to poll: %v (median), %v (longest)", latencies[len(latencies)/2], latencies[len(latencies)-1])
	if latencies[len(latencies)/2] > 5*time.Second {
		f.Errorf("a commit does not end a poll: %v", latencies)
	}
}

// testReadThroughOutage: a broker that is away is waited for, without hurry, and said so.
func testReadThroughOutage(f *fixture) {
	topic := f.topic("t", 1)
	plain := f.producer(f.client, topic)
	f.send(plain, 0, "a")
	_, proxy := f.behind()
	var log lockedBuffer
	c := kafkaio.NewClient(kafkaio.Config{Brokers: []string{proxy.addr}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer c.Close()
	r := c.NewReader([]kafkaio.Position{{Topic: topic}})
	defer r.Close()
	var got []string
	poll := func() {
		fetched, err := r.Poll(f.ctx, 50*time.Millisecond)
		f.must(err)
		for _, one := range fetched {
			got = append(got, f.values(one)...)
		}
	}
	for len(got) < 1 {
		poll()
	}
	proxy.setReachable(false)
	_, before := proxy.counts(protocol.Fetch)
	const away = 2 * time.Second
	polls := 0
	for start := time.Now(); time.Since(start) < away; polls++ {
		poll()
	}
	if _, after := proxy.counts(protocol.Fetch); after-before > 40 || polls > 100 {
		f.Errorf("%d connections and %d polls in %v", after-before, polls, away)
	}
	if said := strings.Count(log.String(), "waiting"); said != 1 {
		f.Errorf("said %d times that it waits:\n%s", said, log.String())
	}
	f.send(plain, 0, "b")
	proxy.setReachable(true)
	for len(got) < 2 {
		poll()
	}
	if !slices.Equal(got, []string{"a", "b"}) || strings.Count(log.String(), "goes on") != 1 {
		f.Errorf("read %q\n%s", got, log.String())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
