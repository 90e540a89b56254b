package kafkaiotest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"wordcount/internal/kafkaio"
)

// inTurn deals partitions out to the members in the order of their ids, and holds back what another one owns.
type inTurn string

func (b inTurn) Protocol() string { return string(b) }

func (b inTurn) Assign(members []kafkaio.Claim, counts map[string]int) map[string]map[string][]int32 {
	type partition struct {
		topic  string
		number int32
	}
	owner := make(map[partition]kafkaio.Claim)
	assignments := make(map[string]map[string][]int32)
	for _, m := range members {
		assignments[m.Member] = make(map[string][]int32)
		for topic, partitions := range m.Owned {
			for _, p := range partitions {
				if o, owned := owner[partition{topic, p}]; !owned || o.Generation < m.Generation {
					owner[partition{topic, p}] = m
				}
			}
		}
	}
	ids := slices.Sorted(maps.Keys(assignments))
	for topic, n := range counts {
		for p := range int32(n) {
			id := ids[int(p)%len(ids)]
			if o, owned := owner[partition{topic, p}]; !owned || o.Member == id {
				assignments[id][topic] = append(assignments[id][topic], p)
			}
		}
	}
	return assignments
}

// member goes from generation to generation, and gives up what it is not given.
type member struct {
	generations chan *kafkaio.Assignment
	failed      chan error
	putOut      chan struct{}
	leave       func() error
}

func (f *fixture) join(group, protocol string, topics ...string) *member {
	f.Helper()
	joined := f.connect(f.Addr).Join(group, inTurn(protocol), topics...)
	m := &member{generations: make(chan *kafkaio.Assignment, 20), failed: make(chan error, 1), putOut: make(chan struct{}, 20)}
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var owned map[string][]int32
		for {
			a, err := joined.Next(ctx, owned)
			if errors.Is(err, kafkaio.ErrNotMember) {
				m.putOut <- struct{}{}
				owned = nil
				continue
			}
			if err != nil {
				m.failed <- err
				return
			}
			gaveUp := false
			for topic, partitions := range owned {
				for _, p := range partitions {
					gaveUp = gaveUp || !slices.Contains(a.Partitions[topic], p)
				}
			}
			owned = a.Partitions
			m.generations <- a
			if gaveUp {
				continue
			}
			select {
			case <-a.Context().Done():
			case <-ctx.Done():
			}
		}
	}()
	m.leave = func() error {
		cancel()
		<-done
		return joined.Close()
	}
	f.Cleanup(func() { m.leave() })
	return m
}

// assigned waits for a generation with so many partitions of a topic.
func (f *fixture) assigned(m *member, topic string, partitions int) *kafkaio.Assignment {
	f.Helper()
	for {
		select {
		case a := <-m.generations:
			f.Logf("generation %d has %v", a.ID, a.Partitions)
			if len(a.Partitions[topic]) == partitions {
				return a
			}
		case err := <-m.failed:
			f.Fatal(err)
		case <-f.ctx.Done():
			f.Fatal("no generation with", partitions, "partitions")
		}
	}
}

func testGroup(f *fixture) {
	lines, shuffle := f.topic("lines", 4), f.topic("shuffle", 2)
	group := f.id + "-group"
	first := f.join(group, "p", lines, shuffle)
	alone := f.assigned(first, lines, 4)
	if len(alone.Partitions[shuffle]) != 2 || alone.Group != group || alone.MemberID == "" {
		f.Errorf("alone: %+v", alone)
	}
	f.must(alone.Heartbeat(f.ctx))
	p := f.transactional(f.client, "id")
	offset := func(n int64) []kafkaio.Offset { return []kafkaio.Offset{{Topic: lines, Offset: n}} }
	_, err := p.Commit(f.ctx, Place{alone.Generation}, []kafkaio.Output{output(shuffle, 0, "alone")}, offset(1))
	f.must(err)

	// Who comes is given what the other has given up, and that goes on with the rest.
	second := f.join(group, "p", lines, shuffle)
	gaveUp := f.assigned(first, lines, 2)
	ofSecond := f.assigned(second, lines, 2)
	ofFirst := f.assigned(first, lines, 2)
	all := append(slices.Clone(ofFirst.Partitions[lines]), ofSecond.Partitions[lines]...)
	if slices.Sort(all); !slices.Equal(all, []int32{0, 1, 2, 3}) {
		f.Errorf("shared out as %v and %v", ofFirst.Partitions, ofSecond.Partitions)
	}
	if ofSecond.ID <= gaveUp.ID {
		f.Errorf("given in generation %d what is given up in %d", ofSecond.ID, gaveUp.ID)
	}
	if ofFirst.MemberID != alone.MemberID || !slices.Equal(gaveUp.Partitions[lines], ofFirst.Partitions[lines]) {
		f.Errorf("the first member went from %+v over %+v to %+v", alone.Generation, gaveUp, ofFirst)
	}
	select {
	case <-alone.Context().Done():
	default:
		f.Errorf("generation %d is not over", alone.ID)
	}
	f.must(ofFirst.Heartbeat(f.ctx))
	f.must(ofSecond.Heartbeat(f.ctx))
	if err := alone.Heartbeat(f.ctx); !errors.Is(err, kafkaio.ErrNotMember) {
		f.Errorf("heartbeat of a generation that is over: %v", err)
	}

	// Who belongs to a generation that is over, or was never in, commits nothing; the transaction is aborted at once.
	for name, gen := range map[string]kafkaio.Generation{
		"over":        alone.Generation,
		"a stranger":  {Group: group, ID: ofFirst.ID, MemberID: "stranger"},
		"no member":   {Group: group, ID: ofFirst.ID},
		"still to be": {Group: group, ID: ofFirst.ID + 1, MemberID: ofFirst.MemberID},
	} {
		if name == "no member" && !f.Strict {
			continue
		}
		p := f.transactional(f.client, "id")
		_, err := p.Commit(f.ctx, Place{gen}, []kafkaio.Output{output(shuffle, 0, name)}, offset(99))
		if !errors.Is(err, kafkaio.ErrNotMember) || errors.Is(err, kafkaio.ErrFenced) {
			f.Errorf("%s: %v", name, err)
		}
		f.wantSoon(shuffle, []string{"alone"}, nil)
	}
	p = f.transactional(f.client, "id")
	_, err = p.Commit(f.ctx, Place{ofSecond.Generation}, []kafkaio.Output{output(shuffle, 0, "second")}, offset(2))
	f.must(err)
	f.wantCommitted(shuffle, []string{"alone", "second"}, nil)
	// A commit that comes too late for its generation goes on in the next one.
	_, err = p.Commit(f.ctx, Place{alone.Generation, gaveUp.Generation, ofFirst.Generation}, []kafkaio.Output{output(shuffle, 0, "in time")}, offset(2))
	f.must(err)
	f.wantCommitted(shuffle, []string{"alone", "second", "in time"}, nil)
	f.transactional(f.client, "id")
	if offsets, _ := f.offsets(group, lines, 0, 1); !slices.Equal(offsets, []int64{2, -1}) {
		f.Errorf("committed %v", offsets)
	}

	// A member that leaves is not waited for.
	left := time.Now()
	f.must(second.leave())
	last := f.assigned(first, lines, 4)
	f.must(last.Heartbeat(f.ctx))
	if took := time.Since(left); took > 3*time.Second {
		f.Errorf("all partitions %v after a member left", took)
	}
	if last.MemberID != alone.MemberID {
		f.Errorf("the member that stayed is %s, was %s", last.MemberID, alone.MemberID)
	}
	if err := ofSecond.Heartbeat(f.ctx); !errors.Is(err, kafkaio.ErrNotMember) {
		f.Errorf("heartbeat of a member that left: %v", err)
	}
}

// testGroupInconsistent: who comes with another protocol is told so, and does not disturb the others.
func testGroupInconsistent(f *fixture) {
	topic := f.topic("t", 2)
	first := f.join(f.id, "interval 5s", topic)
	a := f.assigned(first, topic, 2)
	other := f.join(f.id, "interval 10s", topic)
	select {
	case err := <-other.failed:
		if !errors.Is(err, kafkaio.ErrInconsistentGroup) {
			f.Errorf("got %v", err)
		}
	case <-other.generations:
		f.Error("was let in")
	}
	f.must(a.Heartbeat(f.ctx))
}

// testGroupAgain: a member may join again when it likes, as one that has seen a new partition does, and stays the same one.
func testGroupAgain(f *fixture) {
	topic := f.topic("t", 2)
	m := f.client.Join(f.id, inTurn("p"), topic)
	a, err := m.Next(f.ctx, nil)
	f.must(err)
	b, err := m.Next(f.ctx, a.Partitions)
	f.must(err)
	if b.ID <= a.ID || b.MemberID != a.MemberID || len(b.Partitions[topic]) != 2 {
		f.Errorf("from %+v to %+v", a, b)
	}
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	if _, err := m.Next(ended, b.Partitions); !errors.Is(err, context.Canceled) {
		f.Errorf("Next with a context that has ended: %v", err)
	}
	select { // the generation goes on, for the last transactions
	case <-b.Context().Done():
		f.Error("the generation ended with the context of Next")
	case <-time.After(500 * time.Millisecond):
	}
	f.must(b.Heartbeat(f.ctx))
	f.must(m.Close())
	if err := b.Heartbeat(f.ctx); !errors.Is(err, kafkaio.ErrNotMember) {
		f.Errorf("heartbeat of a member that left: %v", err)
	}
	f.must(m.Close())
}

// testGroupPutOut: a member that the group has put out is told so when it asks for the next generation, and may come again.
func testGroupPutOut(f *fixture) {
	topic := f.topic("t", 2)
	m := f.client.Join(f.id, inTurn("p"), topic)
	a, err := m.Next(f.ctx, nil)
	f.must(err)
	other := &kafka.Client{Addr: kafka.TCP(f.Addr)}
	left, err := other.LeaveGroup(f.ctx, &kafka.LeaveGroupRequest{GroupID: f.id, Members: []kafka.LeaveGroupRequestMember{{ID: a.MemberID}}})
	f.must(errors.Join(err, left.Error))
	select {
	case <-a.Context().Done():
	case <-f.ctx.Done():
		f.Fatal("the generation goes on")
	}
	if _, err := m.Next(f.ctx, a.Partitions); !errors.Is(err, kafkaio.ErrNotMember) {
		f.Errorf("Next of a member that was put out: %v", err)
	}
	b, err := m.Next(f.ctx, nil)
	f.must(err)
	if b.MemberID == a.MemberID || len(b.Partitions[topic]) != 2 {
		f.Errorf("from %+v to %+v", a, b)
	}
	f.must(m.Close())
}
