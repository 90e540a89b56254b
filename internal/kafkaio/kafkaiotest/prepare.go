package kafkaiotest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"wordcount/internal/kafkaio"
)

func (f *fixture) prepare(p *kafkaio.Transactional, offsets ...kafkaio.Offset) {
	f.Helper()
	f.sendAhead(p, nil, offsets...)
}

// sendAhead prepares with records.
func (f *fixture) sendAhead(p *kafkaio.Transactional, outputs []kafkaio.Output, offsets ...kafkaio.Offset) {
	f.Helper()
	var acks []kafkaio.Ack
	for tries, prepared := 0, false; !prepared; tries++ { // the coordinator may not have noted yet that the last transaction is over
		var err error
		acks, prepared, err = p.Prepare(f.ctx, Place{f.outsider()}, outputs, offsets)
		if f.must(err); !prepared && tries == 100 {
			f.Fatal("not prepared")
		}
	}
	if len(acks) != len(outputs) {
		f.Errorf("%d answers to %d outputs", len(acks), len(outputs))
	}
	for i, ack := range acks {
		if ack.BaseOffset < 0 {
			f.Errorf("output %d: %+v", i, ack)
		}
	}
}

// wantRequests wants do to send so many requests of each kind: AddPartitionsToTxn, Produce, AddOffsetsToTxn, TxnOffsetCommit, EndTxn.
func (f *fixture) wantRequests(name string, proxy *proxy, want []int, do func()) {
	f.Helper()
	sent := func() (counts []int) {
		for _, key := range commitRequests {
			n, _ := proxy.counts(key)
			counts = append(counts, n)
		}
		return counts
	}
	before := sent()
	do()
	for i, n := range sent() {
		if n -= before[i]; n != want[i] {
			f.Errorf("%s: %d %v sent, want %d", name, n, commitRequests[i], want[i])
		}
	}
}

// testPrepare: what was prepared holds nobody up and shows nothing; what it has sent is not sent again.
func testPrepare(f *fixture) {
	in, out := f.topic("in", 2), f.topic("out", 2)
	c, proxy := f.behind()
	p := f.transactional(c, "id")
	first, other := kafkaio.Offset{Topic: in, Offset: 1, Metadata: "m"}, kafkaio.Offset{Topic: in, Offset: 2, Metadata: "n"}
	plain, err := f.client.NewProducer(f.ctx, out)
	f.must(err)
	reader := f.client.NewReader([]kafkaio.Position{{Topic: out, Partition: 0}})
	defer reader.Close()
	var want []string
	for n, test := range []struct {
		plain               bool // nothing is prepared
		prepared, committed []kafkaio.Offset
		outputs             []kafkaio.Output
		requests            []int // of Commit
		offset              int64
		metadata            string
	}{
		{false, []kafkaio.Offset{first}, []kafkaio.Offset{first}, []kafkaio.Output{output(out, 0, "a")}, []int{0, 1, 0, 0, 1}, 1, "m"},
		{true, nil, []kafkaio.Offset{first}, []kafkaio.Output{output(out, 0, "b")}, []int{1, 1, 1, 1, 1}, 1, "m"},
		{false, []kafkaio.Offset{first}, []kafkaio.Offset{other}, []kafkaio.Output{output(out, 0, "c"), output(in, 1, "c")}, []int{0, 1, 0, 1, 1}, 2, "n"},
		{false, nil, []kafkaio.Offset{first}, []kafkaio.Output{output(out, 0, "d")}, []int{0, 1, 1, 1, 1}, 1, "m"},
		{false, []kafkaio.Offset{other}, nil, nil, []int{0, 0, 0, 0, 1}, 2, "n"},
		{false, nil, nil, []kafkaio.Output{output(out, 0, "e")}, []int{0, 1, 0, 0, 1}, 2, "n"},
		{true, nil, nil, nil, []int{0, 0, 0, 0, 0}, 2, "n"},
	} {
		before, notes := f.offsets(f.outsider().Group, in, 0)
		if !test.plain {
			f.prepare(p, test.prepared...)
		}
		_, err := plain.SendOne(f.ctx, 0, batch(fmt.Sprint(n)))
		f.must(err)
		var seen []string
		for !slices.Contains(seen, fmt.Sprint(n)) {
			fetched, err := reader.Poll(f.ctx, time.Second)
			f.must(err)
			for _, one := range fetched {
				if seen = append(seen, f.values(one)...); one.LastStable != one.HighWatermark {
					f.Errorf("case %d: stable up to %d of %d", n, one.LastStable, one.HighWatermark)
				}
			}
		}
		f.wantOffset(in, before[0], notes[0])

		f.wantRequests(fmt.Sprintf("case %d", n), proxy, test.requests, func() { f.commit(p, test.outputs, test.committed...) })
		f.must(p.Settled(f.ctx))
		f.wantOffset(in, test.offset, test.metadata)
		want = append(want, fmt.Sprint(n))
		if len(test.outputs) > 0 {
			want = append(want, string("abcd-e"[n]))
		}
	}
	f.wantCommitted(out, want, nil)
	f.wantCommitted(in, nil, []string{"c"})
}

// testPrepareRecords: records that are sent ahead hold readers up until Commit, and are seen with those that come behind them, once; or not at all.
func testPrepareRecords(f *fixture) {
	in, out := f.topic("in", 1), f.topic("out", 2)
	c, proxy := f.behind()
	p := f.transactional(c, "id")
	first, other := kafkaio.Offset{Topic: in, Offset: 1}, kafkaio.Offset{Topic: in, Offset: 2}
	reader := f.client.NewReader([]kafkaio.Position{{Topic: out, Partition: 0}})
	defer reader.Close()
	var got, want []string
	read := func() (last *kafkaio.Fetched) {
		var fetched []*kafkaio.Fetched
		for len(fetched) == 0 {
			var err error
			fetched, err = reader.Poll(f.ctx, time.Second)
			f.must(err)
		}
		for _, one := range fetched {
			one.Ended = func(producer int64) {
				if got = append(got, "|"); producer != one.ProducerID() {
					f.Errorf("%d has ended, the records are of %d", producer, one.ProducerID())
				}
			}
			var r kafkaio.Record
			for one.Next(&r) {
				got = append(got, string(r.Value))
			}
			f.must(one.Err())
			last = one
		}
		return last
	}
	for _, test := range []struct {
		behind   []string // in the other partition, too
		offset   kafkaio.Offset
		requests []int // of Commit
	}{
		{nil, first, []int{0, 0, 0, 0, 1}},
		{[]string{"b", "c"}, first, []int{0, 1, 0, 0, 1}},
		{nil, other, []int{0, 0, 0, 1, 1}},
		{[]string{"d"}, other, []int{0, 1, 0, 1, 1}},
	} {
		f.sendAhead(p, []kafkaio.Output{output(out, 0, "a")}, first)
		for one := read(); one.Position() < one.HighWatermark-1; one = read() {
		}
		if !slices.Equal(got, want) {
			f.Fatalf("%q is seen, want %q", got, want)
		}
		var outputs []kafkaio.Output
		if test.behind != nil {
			outputs = []kafkaio.Output{output(out, 0, test.behind...), output(out, 1, test.behind...)}
		}
		f.wantRequests(fmt.Sprintf("%q behind", test.behind), proxy, test.requests, func() { f.commit(p, outputs, test.offset) })
		f.must(p.Settled(f.ctx))
		f.wantOffset(in, test.offset.Offset, "")
		want = append(append(append(want, "a"), test.behind...), "|")
	}
	for len(got) < len(want) {
		read()
	}
	if !slices.Equal(got, want) {
		f.Errorf("%q, want %q", got, want)
	}
	f.sendAhead(p, []kafkaio.Output{output(out, 0, "nobody commits")}, first)
	f.transactional(c, "id")
	f.wantOffset(in, 2, "")
	f.wantCommitted(out, slices.DeleteFunc(want, func(v string) bool { return v == "|" }), []string{"b", "c", "d"})
}

// testPrepareApart: what one has prepared does not hold up another one of the group, which commits the offsets of another partition.
func testPrepareApart(f *fixture) {
	if !f.Apart {
		f.Skip("this broker holds up the whole group")
	}
	in := f.topic("in", 2)
	both := []*kafkaio.Transactional{nil, nil}
	at := func(p int32, offset int64) kafkaio.Offset {
		return kafkaio.Offset{Topic: in, Partition: p, Offset: offset}
	}
	begin := func(p int32) {
		var err error
		both[p], err = f.client.NewTransactional(f.ctx, fmt.Sprintf("%s-%d", f.id, p),
			kafkaio.Footprint{Group: f.outsider().Group, Offsets: map[string][]int32{in: {p}}})
		f.must(err)
	}
	begin(0)
	begin(1)
	f.prepare(both[0], at(0, 1))
	for offset := range int64(3) {
		f.commit(both[1], nil, at(1, offset))
		f.must(both[1].Settled(f.ctx))
	}
	f.prepare(both[1], at(1, 9))
	begin(1) // the older is gone
	f.commit(both[0], nil)
	f.must(both[0].Settled(f.ctx))
	if got, _ := f.offsets(f.outsider().Group, in, 0, 1); !slices.Equal(got, []int64{1, 2}) {
		f.Errorf("committed offsets %v, want 1 and 2", got)
	}
}

// testPrepareAbandoned: of who is gone nothing is committed, and who was only asleep is refused.
func testPrepareAbandoned(f *fixture) {
	in, out := f.topic("in", 1), f.topic("out", 1)
	older := f.transactional(f.client, "id")
	f.commit(older, nil, kafkaio.Offset{Topic: in, Offset: 1})
	zombie := kafkaio.Offset{Topic: in, Offset: 99}
	f.prepare(older, zombie)
	newer := f.transactional(f.connect(f.Addr), "id")
	f.wantOffset(in, 1, "")
	if _, err := older.Commit(f.ctx, Place{f.outsider()}, []kafkaio.Output{output(out, 0, "zombie")}, []kafkaio.Offset{zombie}); !errors.Is(err, kafkaio.ErrFenced) {
		f.Errorf("the older commits: %v", err)
	}
	if _, _, err := older.Prepare(f.ctx, Place{f.outsider()}, nil, nil); !errors.Is(err, kafkaio.ErrFenced) {
		f.Errorf("the older prepares: %v", err)
	}
	f.prepare(newer, kafkaio.Offset{Topic: in, Offset: 2})
	f.commit(newer, []kafkaio.Output{output(out, 0, "newer")})
	f.must(newer.Settled(f.ctx))
	f.wantOffset(in, 2, "")
	f.wantCommitted(out, []string{"newer"})
}

// testPrepareAnswersLost: where the coordinator is away nothing is prepared, and what was not answered is not overtaken by what is committed behind it.
func testPrepareAnswersLost(f *fixture) {
	topic := f.topic("t", 1)
	c, proxy := f.behind()
	var want []string
	for _, key := range commitRequests {
		for _, answered := range []bool{false, true} {
			for _, same := range []bool{true, false} {
				name := fmt.Sprintf("%v, answered %t, the same %t", key, answered, same)
				p := f.transactional(c, name)
				proxy.lose(key, 2, answered)
				_, prepared, err := p.Prepare(f.ctx, Place{f.outsider()}, nil, []kafkaio.Offset{{Topic: topic, Offset: 2}})
				if away := key == protocol.AddPartitionsToTxn; err != nil || prepared == away {
					f.Errorf("%s: prepared %t, %v", name, prepared, err)
				}
				if !same {
					_, err = p.Commit(f.ctx, Place{f.outsider()}, []kafkaio.Output{output(topic, 0, name)}, []kafkaio.Offset{{Topic: topic, Offset: 3}})
					refused := key == protocol.TxnOffsetCommit
					if (err != nil) != refused || errors.Is(err, kafkaio.ErrFenced) {
						f.Errorf("%s: %v", name, err)
					}
					if p = f.transactional(c, name); err == nil {
						want = append(want, name)
						f.wantOffset(topic, 3, "")
					}
				}
				f.commit(p, []kafkaio.Output{output(topic, 0, name+".")}, kafkaio.Offset{Topic: topic, Offset: 2})
				want = append(want, name+".")
				if n := proxy.left(key); n != 0 {
					f.Fatalf("%s: %d were not lost", name, n)
				}
				f.must(p.Settled(f.ctx))
				f.wantOffset(topic, 2, "")
			}
		}
	}
	f.wantCommitted(topic, want)
}

// testStray: what says what is committed, and was not answered, may come late. Before the next transaction the producer gets an epoch in which it is refused.
func testStray(f *fixture) {
	topic := f.topic("t", 1)
	c, proxy := f.behind()
	p := f.transactional(c, "id")
	var want []string
	for n, key := range []protocol.ApiKey{protocol.TxnOffsetCommit, protocol.EndTxn} {
		late := proxy.keep(key)
		f.commit(p, []kafkaio.Output{output(topic, 0, key.String())}, kafkaio.Offset{Topic: topic, Offset: int64(2 * n)})
		f.prepare(p, kafkaio.Offset{Topic: topic, Offset: int64(2*n + 1)})
		f.must(late())
		f.commit(p, []kafkaio.Output{output(topic, 0, "then")}, kafkaio.Offset{Topic: topic, Offset: int64(2*n + 1)})
		f.must(p.Settled(f.ctx))
		f.wantOffset(topic, int64(2*n+1), "")
		want = append(want, key.String(), "then")
	}
	before, _ := proxy.counts(protocol.InitProducerId)
	f.commit(p, []kafkaio.Output{output(topic, 0, "last")})
	if sent, _ := proxy.counts(protocol.InitProducerId); sent != before {
		f.Error("another epoch where nothing can come late")
	}
	f.wantCommitted(topic, append(want, "last"))
}
