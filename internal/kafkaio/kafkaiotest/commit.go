package kafkaiotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"wordcount/internal/kafkaio"
)

// Place is a place in a group that goes through these generations, to the next one whenever it is waited for.
type Place []kafkaio.Generation

func (p Place) Now() kafkaio.Generation { return p[0] }

func (p Place) Next(_ context.Context, after int32) (kafkaio.Generation, error) {
	for _, g := range p {
		if g.ID > after {
			return g, nil
		}
	}
	return kafkaio.Generation{}, context.DeadlineExceeded
}

// outsider is a generation that the broker does not check: offsets of a group without members.
func (f *fixture) outsider() kafkaio.Generation {
	return kafkaio.Generation{Group: f.id + "-group", ID: -1}
}

func (f *fixture) commit(p *kafkaio.Transactional, outputs []kafkaio.Output, offsets ...kafkaio.Offset) []kafkaio.Ack {
	f.Helper()
	acks, err := p.Commit(f.ctx, Place{f.outsider()}, outputs, offsets)
	f.must(err)
	return acks
}

// wantOffset checks what is committed for partition 0 of a topic. Before it, the transactional id must be settled.
func (f *fixture) wantOffset(topic string, offset int64, metadata string) {
	f.Helper()
	if offsets, notes := f.offsets(f.outsider().Group, topic, 0); offsets[0] != offset || notes[0] != metadata {
		f.Errorf("committed offset %d %q, want %d %q", offsets[0], notes[0], offset, metadata)
	}
}

func testCommit(f *fixture) {
	in, out, more := f.topic("in", 2), f.topic("out", 3, "message.timestamp.type", "LogAppendTime"), f.topic("more", 1)
	p := f.transactional(f.client, "id")
	outputs := []kafkaio.Output{
		{Topic: out, Partition: 0, Batches: []*kafkaio.RecordBatch{batch("a", "b"), batch("c"), batch("d", "e")}},
		output(out, 2, "x"),
		{Topic: out, Partition: 1}, // nothing for this one
		output(more, 0, "m"),
	}
	metadata := strings.Repeat("µ", 1000)
	acks := f.commit(p, outputs,
		kafkaio.Offset{Topic: in, Partition: 1, Offset: 42, Metadata: metadata}, kafkaio.Offset{Topic: in, Partition: 0, Offset: 7},
		kafkaio.Offset{Topic: more, Partition: 0, Offset: 1, Metadata: "m"})
	for i, want := range []int64{3, 0, -1, 0} {
		if acks[i].BaseOffset != want {
			f.Errorf("output %d: base offset %d, want %d", i, acks[i].BaseOffset, want)
		}
	}
	if age := time.Now().UnixMilli() - acks[0].AppendTime; f.AppendTime && (age < -1000 || age > patience.Milliseconds()) {
		f.Errorf("append time is %d ms ago", age)
	}
	if acks[2].AppendTime != -1 || acks[3].AppendTime != -1 {
		f.Errorf("append times without batch and with CreateTime: %d, %d, want -1", acks[2].AppendTime, acks[3].AppendTime)
	}
	f.commit(p, []kafkaio.Output{output(out, 0, "f"), output(out, 1, "y")}, kafkaio.Offset{Topic: in, Partition: 0, Offset: 8, Metadata: "n"})
	f.commit(p, nil, kafkaio.Offset{Topic: more, Partition: 0, Offset: 2})   // offsets only
	f.commit(p, []kafkaio.Output{{Topic: out}, output(more, 0, "m2", "m3")}) // no offsets

	f.wantCommitted(out, []string{"a", "b", "c", "d", "e", "f"}, []string{"y"}, []string{"x"})
	f.wantCommitted(more, []string{"m", "m2", "m3"})
	f.transactional(f.client, "id")
	offsets, notes := f.offsets(f.outsider().Group, in, 1, 0)
	if !slices.Equal(offsets, []int64{42, 8}) || !slices.Equal(notes, []string{metadata, "n"}) {
		f.Errorf("committed %v %.20q", offsets, notes)
	}
	f.wantOffset(more, 2, "")
	if offsets, _ := f.offsets("nobody-"+f.id, in, 0, 1); !slices.Equal(offsets, []int64{-1, -1}) {
		f.Errorf("a group that never was has committed %v", offsets)
	}
}

// testCommitIsAtomic: before EndTxn nothing is visible, afterwards all is.
func testCommitIsAtomic(f *fixture) {
	out, more := f.topic("out", 2), f.topic("more", 1)
	c, proxy := f.behind()
	p := f.transactional(c, "id")
	reached, release := proxy.hold(protocol.EndTxn)
	done := make(chan error, 1)
	go func() {
		_, err := p.Commit(f.ctx, Place{f.outsider()}, []kafkaio.Output{output(out, 0, "a"), output(out, 1, "b"), output(more, 0, "c")},
			[]kafkaio.Offset{{Topic: out, Partition: 0, Offset: 5, Metadata: "m"}})
		done <- err
	}()
	<-reached

	r := f.client.NewReader([]kafkaio.Position{{Topic: out, Partition: 0}, {Topic: out, Partition: 1}, {Topic: more, Partition: 0}})
	defer r.Close()
	for range 5 {
		fetched, err := r.Poll(f.ctx, 20*time.Millisecond)
		f.must(err)
		for _, one := range fetched {
			if values := f.values(one); values != nil || one.CaughtUp() || one.LastStable != 0 || one.HighWatermark != 1 {
				f.Errorf("%s/%d shows %q before the commit, last stable offset %d, high watermark %d", one.Topic, one.Partition, values, one.LastStable, one.HighWatermark)
			}
		}
	}
	f.wantOffset(out, -1, "")
	if latest, err := f.client.Offsets(f.ctx, out, kafkaio.Latest); err != nil || !slices.Equal(latest, []int64{0, 0}) {
		f.Errorf("latest offsets %v, %v", latest, err)
	}

	release()
	f.must(<-done)
	f.wantCommitted(out, []string{"a"}, []string{"b"})
	f.wantCommitted(more, []string{"c"})
	f.transactional(f.client, "id")
	f.wantOffset(out, 5, "m")
}

func testCommitNothing(f *fixture) {
	topic := f.topic("t", 1)
	p := f.transactional(f.client, "id")
	f.commit(p, nil)
	f.commit(p, []kafkaio.Output{{Topic: topic}})
	f.commit(p, []kafkaio.Output{output(topic, 0, "a")})
	f.wantCommitted(topic, []string{"a"})
	if latest, err := f.client.Offsets(f.ctx, topic, kafkaio.Latest); err != nil || latest[0] != 2 { // "a" and its marker
		f.Errorf("latest offset %v, %v", latest, err)
	}
}

var commitRequests = []protocol.ApiKey{protocol.AddPartitionsToTxn, protocol.Produce, protocol.AddOffsetsToTxn, protocol.TxnOffsetCommit, protocol.EndTxn}

// testCommitAnswersLost: a connection that breaks at any request of a transaction costs nothing and doubles nothing.
func testCommitAnswersLost(f *fixture) {
	topic := f.topic("t", 2)
	c, proxy := f.behind()
	var want []string
	next := int64(0)
	for _, key := range append([]protocol.ApiKey{protocol.InitProducerId, protocol.FindCoordinator}, commitRequests...) {
		for _, answered := range []bool{false, true} {
			proxy.lose(key, 2, answered)
			p := f.transactional(c, fmt.Sprintf("%v-%v", key, answered))
			for range 2 {
				next++
				value := fmt.Sprintf("%v, answered %v: %d", key, answered, next)
				f.commit(p, []kafkaio.Output{output(topic, 0, value), output(topic, 1, value)}, kafkaio.Offset{Topic: topic, Partition: 0, Offset: next})
				want = append(want, value)
			}
			if n := proxy.left(key); n != 0 {
				f.Fatalf("%d of %v were not lost", n, key)
			}
			f.transactional(f.client, fmt.Sprintf("%v-%v", key, answered))
			f.wantOffset(topic, next, "")
		}
	}
	f.wantCommitted(topic, want, want)
}

// testCommitUndecided: when nobody knows whether a transaction is committed, NewTransactional finds out.
func testCommitUndecided(f *fixture) {
	for _, answered := range []bool{true, false} {
		name := fmt.Sprintf("answered-%v", answered)
		topic := f.topic(name, 1)
		c, proxy := f.behind()
		proxy.lose(protocol.EndTxn, 1_000_000, answered)
		short, cancel := context.WithTimeout(f.ctx, 300*time.Millisecond)
		defer cancel()
		_, err := f.transactional(c, name).Commit(short, Place{f.outsider()}, []kafkaio.Output{output(topic, 0, "a")}, []kafkaio.Offset{{Topic: topic, Offset: 9}})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kafkaio.ErrFenced) {
			f.Errorf("got %v", err)
		}
		f.transactional(f.client, name)
		if answered {
			f.wantOffset(topic, 9, "")
			f.wantCommitted(topic, []string{"a"})
		} else {
			f.wantOffset(topic, -1, "")
			f.wantCommitted(topic, nil)
		}
	}
}

// testCommitRefused: what a broker refuses for good aborts all of the transaction, at once.
func testCommitRefused(f *fixture) {
	if !f.Strict {
		f.Skip("this broker takes anything")
	}
	topic, small := f.topic("t", 1), f.topic("small", 1, "max.message.bytes", "1000")
	for _, test := range []struct {
		name    string
		value   string
		offset  kafkaio.Offset
		refusal error
	}{
		{"batch too large", strings.Repeat("x", 2000), kafkaio.Offset{Topic: topic, Offset: 1}, kafka.MessageSizeTooLarge},
		{"metadata too large", "x", kafkaio.Offset{Topic: topic, Offset: 1, Metadata: strings.Repeat("m", 5000)}, kafka.OffsetMetadataTooLarge},
	} {
		p := f.transactional(f.client, "id")
		_, err := p.Commit(f.ctx, Place{f.outsider()}, []kafkaio.Output{output(topic, 0, "a"), output(small, 0, test.value)}, []kafkaio.Offset{test.offset})
		if !errors.Is(err, test.refusal) || errors.Is(err, kafkaio.ErrFenced) || errors.Is(err, kafkaio.ErrNotMember) {
			f.Errorf("%s: %v", test.name, err)
		}
		f.wantSoon(topic, nil)
		f.wantSoon(small, nil)
		f.wantOffset(topic, -1, "")
	}
}

// testSettled: markers that are under way are waited for, by who goes on and by who takes over.
func testSettled(f *fixture) {
	in, out := f.topic("in", 1), f.topic("t", 2)
	p := f.transactional(f.client, "id") // the id's first user
	f.must(p.Settled(f.ctx))
	var a, b []string
	for n := range int64(20) {
		value := fmt.Sprint(n)
		f.commit(p, []kafkaio.Output{output(out, 0, value), output(out, 1, value)}, kafkaio.Offset{Topic: in, Offset: n + 1})
		a, b = append(a, value), append(b, value)
		switch n % 4 {
		case 0:
			f.must(p.Settled(f.ctx))
			f.wantStable(out, 0)
			f.wantStable(out, 1)
		case 1:
			f.abandon("id", output(out, 0, "open"), output(out, 1, "open"))
			p = f.transactional(f.client, "id")
		case 2:
			p = f.transactional(f.client, "id")
		case 3: // the next one begins at once
			continue
		}
		f.wantOffset(in, n+1, "")
	}
	f.wantCommitted(out, a, b)
	older := f.transactional(f.client, "id")
	f.commit(older, []kafkaio.Output{output(out, 0, "last")})
	f.abandon("id", output(out, 0, "open"))
	if err := older.Settled(f.ctx); !errors.Is(err, kafkaio.ErrFenced) {
		f.Errorf("one that was fenced: %v", err)
	}
}

// wantStable wants no transaction to be open in a partition.
func (f *fixture) wantStable(topic string, partition int32) {
	f.Helper()
	stable, err := f.client.Offset(f.ctx, topic, partition, kafkaio.Latest)
	f.must(err)
	end, err := f.client.Offset(f.ctx, topic, partition, kafkaio.HighWatermark)
	f.must(err)
	if stable != end {
		f.Errorf("%s/%d is stable up to %d, and ends at %d", topic, partition, stable, end)
	}
}

// testCommitSettled: what is read after NewTransactional is what the last user of the id has committed.
func testCommitSettled(f *fixture) {
	topic := f.topic("t", 1)
	for n := range int64(100) {
		p := f.transactional(f.client, "id")
		if n > 0 {
			f.wantOffset(topic, n, "")
		}
		f.commit(p, []kafkaio.Output{output(topic, 0, "a")}, kafkaio.Offset{Topic: topic, Offset: n + 1})
	}
}
