package kafkaiotest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"wordcount/internal/kafkaio"
)

// testCopyThroughFaults: connections break at any request of producer, copier and reader.
func testCopyThroughFaults(f *fixture) {
	c, proxy := f.behind()
	f.copyThrough(f.ctx, c, 4, func(n int) {
		keys := append([]protocol.ApiKey{protocol.Fetch, protocol.InitProducerId, protocol.OffsetFetch, protocol.FindCoordinator}, commitRequests...)
		for i, key := range keys {
			proxy.lose(key, 1, (n+i)%2 == 0)
		}
		proxy.setReachable(false)
		time.Sleep(300 * time.Millisecond) // it is away so long
		proxy.setReachable(true)
	})
}

// testRestart: the broker is killed, or stopped in peace, and started under load. Without what NewTransactional settles most runs on
// Kafka 4.3.1 show lines twice.
func testRestart(f *fixture) {
	if f.Restart == nil {
		f.Skip("this broker cannot be restarted")
	}
	ctx, cancel := context.WithTimeout(f.Context(), 5*time.Minute)
	defer cancel()
	f.ctx = ctx
	f.copyThrough(ctx, f.client, 4, func(int) {
		if err := f.Restart(ctx); err != nil {
			f.Error(err)
		}
	})
}

// copyThrough produces lines, copies them to another topic in transactions with the offsets, and reads the copy, while
// something goes wrong several times: every line is there once, in its partition's order.
func (f *fixture) copyThrough(ctx context.Context, c *kafkaio.Client, times int, wrong func(n int)) {
	const partitions = 2
	in, out := f.topic("in", partitions), f.topic("out", partitions)
	var sending sync.WaitGroup
	producing, stop := context.WithCancel(ctx)
	progress := make(chan struct{}, 1)

	want := make([][]string, partitions)
	p := f.producer(c, in)
	for partition := range want {
		sending.Go(func() {
			for n := 0; producing.Err() == nil; n++ {
				var values []string
				for i := range 10 {
					values = append(values, fmt.Sprintf("%d: %d.%d", partition, n, i))
				}
				if _, err := p.SendOne(ctx, int32(partition), batch(values...)); err != nil {
					f.Errorf("send: %v", err)
					return
				}
				want[partition] = append(want[partition], values...)
				time.Sleep(time.Millisecond) // a rate, not a wait
			}
		})
	}
	copying, done := context.WithCancel(ctx)
	copied := make(chan struct{})
	go func() { defer close(copied); f.copy(copying, c, in, out, progress) }()

	await := func() {
		for range 10 {
			select {
			case <-progress:
			case <-ctx.Done():
				f.Fatal("no progress")
			}
		}
	}
	for n := range times {
		await()
		wrong(n)
	}
	await()
	stop()
	sending.Wait()
	got := make([][]string, partitions)
	r := c.NewReader([]kafkaio.Position{{Topic: out, Partition: 0}, {Topic: out, Partition: 1}})
	defer r.Close()
	for len(got[0]) < len(want[0]) || len(got[1]) < len(want[1]) {
		fetched, err := r.Poll(ctx, 100*time.Millisecond)
		if err != nil {
			f.Fatalf("read the copy: %v; have %d and %d lines of %d and %d", err, len(got[0]), len(got[1]), len(want[0]), len(want[1]))
		}
		for _, one := range fetched {
			got[one.Partition] = append(got[one.Partition], f.values(one)...)
		}
	}
	done()
	<-copied
	f.wantCommitted(in, want...)
	f.wantCommitted(out, want...)
	for partition := range want {
		if !slices.Equal(got[partition], want[partition]) {
			f.Errorf("partition %d: read %d lines of the copy, %d were sent", partition, len(got[partition]), len(want[partition]))
		}
	}
	f.Logf("%d lines through %d faults", len(want[0])+len(want[1]), times)
}

// copy starts over after every error, as a task does.
func (f *fixture) copy(ctx context.Context, c *kafkaio.Client, in, out string, progress chan<- struct{}) {
	for ctx.Err() == nil {
		err := f.copyOnce(ctx, c, in, out, progress)
		if ctx.Err() == nil {
			f.Logf("the copier starts over: %v", err)
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func (f *fixture) copyOnce(ctx context.Context, c *kafkaio.Client, in, out string, progress chan<- struct{}) error {
	p, err := c.NewTransactional(ctx, f.id+"-copier", f.footprint())
	if err != nil {
		return err
	}
	offsets, err := c.Committed(ctx, f.outsider().Group, in, []int32{0, 1})
	if err != nil {
		return err
	}
	positions := []kafkaio.Position{{Topic: in, Partition: 0, Offset: max(offsets[0].Offset, 0)}, {Topic: in, Partition: 1, Offset: max(offsets[1].Offset, 0)}}
	r := c.NewReader(positions)
	defer r.Close()
	for {
		fetched, err := r.Poll(ctx, 100*time.Millisecond)
		if err != nil {
			return err
		}
		var outputs []kafkaio.Output
		var next []kafkaio.Offset
		for _, one := range fetched {
			b := new(kafkaio.RecordBatch)
			var rec kafkaio.Record
			for one.Next(&rec) {
				b.Append(rec.Time, rec.Key, rec.Value)
			}
			if err := one.Err(); err != nil {
				return err
			}
			if b.Len() > 0 {
				outputs = append(outputs, kafkaio.Output{Topic: out, Partition: one.Partition, Batches: []*kafkaio.RecordBatch{b}})
				next = append(next, kafkaio.Offset{Topic: in, Partition: one.Partition, Offset: one.Position()})
			}
		}
		if _, err := p.Commit(ctx, Place{f.outsider()}, outputs, next); err != nil {
			return err
		}
		select {
		case progress <- struct{}{}:
		default:
		}
	}
}
