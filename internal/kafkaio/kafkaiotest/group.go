package kafkaiotest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"wordcount/internal/kafkaio"
)

// inTurn deals partitions out to the members in the order of their ids.
type inTurn struct{ name string }

func (b inTurn) ProtocolName() string      { return b.name }
func (b inTurn) UserData() ([]byte, error) { return []byte("user data"), nil }
func (b inTurn) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	slices.SortFunc(members, func(a, b kafka.GroupMember) int { return cmp.Compare(a.ID, b.ID) })
	assignments := make(kafka.GroupMemberAssignments)
	for _, p := range partitions {
		id := members[p.ID%len(members)].ID
		if assignments[id] == nil {
			assignments[id] = make(map[string][]int)
		}
		assignments[id][p.Topic] = append(assignments[id][p.Topic], p.ID)
	}
	return assignments
}

// member is a member that goes from generation to generation.
type member struct {
	*kafkaio.Member
	generations chan *kafkaio.Assignment
	ended       chan *kafkaio.Assignment
	failed      chan error
}

func (f *fixture) join(group, protocol string, topics ...string) *member {
	f.Helper()
	joined, err := f.connect(f.Addr).Join(group, inTurn{protocol}, topics...)
	f.must(err)
	m := &member{joined, make(chan *kafkaio.Assignment, 10), make(chan *kafkaio.Assignment, 10), make(chan error, 1)}
	go func() {
		for {
			a, err := m.Next(f.ctx)
			if err != nil {
				m.failed <- err
				return
			}
			a.Go(func(ctx context.Context) {
				m.generations <- a
				<-ctx.Done()
				m.ended <- a
			})
		}
	}()
	f.Cleanup(func() { m.Close() })
	return m
}

// assigned waits for a generation with so many partitions of a topic.
func (f *fixture) assigned(m *member, topic string, partitions int) *kafkaio.Assignment {
	f.Helper()
	for {
		select {
		case a := <-m.generations:
			if len(a.Partitions[topic]) == partitions {
				return a
			}
			f.Logf("generation %d has %v", a.ID, a.Partitions)
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
	_, err := p.Commit(f.ctx, alone.Generation, []kafkaio.Output{output(shuffle, 0, "alone")}, offset(1))
	f.must(err)

	second := f.join(group, "p", lines, shuffle)
	ofSecond := f.assigned(second, lines, 2)
	ofFirst := f.assigned(first, lines, 2)
	all := append(slices.Clone(ofFirst.Partitions[lines]), ofSecond.Partitions[lines]...)
	if slices.Sort(all); !slices.Equal(all, []int32{0, 1, 2, 3}) {
		f.Errorf("shared out as %v and %v", ofFirst.Partitions, ofSecond.Partitions)
	}
	if ended := <-first.ended; ended != alone {
		f.Errorf("generation %d ended, want %d", ended.ID, alone.ID)
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
		_, err := p.Commit(f.ctx, gen, []kafkaio.Output{output(shuffle, 0, name)}, offset(99))
		if !errors.Is(err, kafkaio.ErrNotMember) || errors.Is(err, kafkaio.ErrFenced) {
			f.Errorf("%s: %v", name, err)
		}
		f.wantSoon(shuffle, []string{"alone"}, nil)
	}
	p = f.transactional(f.client, "id")
	_, err = p.Commit(f.ctx, ofSecond.Generation, []kafkaio.Output{output(shuffle, 0, "second")}, offset(2))
	f.must(err)
	f.wantCommitted(shuffle, []string{"alone", "second"}, nil)
	f.transactional(f.client, "id")
	if offsets, _ := f.offsets(group, lines, 0, 1); !slices.Equal(offsets, []int64{2, -1}) {
		f.Errorf("committed %v", offsets)
	}

	// A member that leaves is not waited for.
	left := time.Now()
	f.must(second.Close())
	f.must(f.assigned(first, lines, 4).Heartbeat(f.ctx))
	f.Logf("all partitions %v after a member left", time.Since(left))
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

// testGroupClosed: Next ends with Close, and with its context.
func testGroupClosed(f *fixture) {
	topic := f.topic("t", 1)
	m, err := f.client.Join(f.id, inTurn{"p"}, topic)
	f.must(err)
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	for { // it may be quicker than the context
		if _, err := m.Next(ended); err != nil {
			if !errors.Is(err, context.Canceled) {
				f.Error(err)
			}
			break
		}
	}
	f.must(m.Close())
	if _, err := m.Next(f.ctx); err == nil || f.ctx.Err() != nil {
		f.Errorf("Next after Close: %v", err)
	}
}
