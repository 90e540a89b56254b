package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/leavegroup"
)

const (
	heartbeatInterval = 200 * time.Millisecond
	sessionTimeout    = 6 * time.Second // the least that a broker allows by default
	rebalanceTimeout  = 15 * time.Second
	joinBackoff       = 500 * time.Millisecond
)

// ErrInconsistentGroup: the group's members use another protocol (error 23).
var ErrInconsistentGroup = errors.New("the members of the group use other settings")

// Member is this process's membership in a consumer group, on kafka-go's ConsumerGroup.
type Member struct {
	client  *Client
	group   string
	cg      *kafka.ConsumerGroup
	waiting waiting
	id      string // of the last generation; empty when it was given up

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
}

// Assignment is what the group gave this member in one generation.
type Assignment struct {
	Generation
	Partitions map[string][]int32 // by topic, in order

	client *Client
	gen    *kafka.Generation
}

// Join enters a group with a balancer of the caller's. The topics must exist. Partitions that are added to them later are the
// caller's to notice: kafka-go's watch of them makes a broker that creates topics create one anew that was deleted, and has the group
// join again and again where it does not.
func (c *Client) Join(group string, balancer kafka.GroupBalancer, topics ...string) (*Member, error) {
	cg, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                group,
		Brokers:           c.cfg.Brokers,
		Dialer:            c.dialer(),
		Topics:            topics,
		GroupBalancers:    []kafka.GroupBalancer{balancer},
		HeartbeatInterval: heartbeatInterval,
		SessionTimeout:    sessionTimeout,
		RebalanceTimeout:  rebalanceTimeout,
		JoinGroupBackoff:  joinBackoff,
		Timeout:           requestTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", group, err)
	}
	m := &Member{client: c, group: group, cg: cg, waiting: waiting{log: c.log, operation: "join group " + group}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// Next waits for the next generation, which begins when every function started in the one before has returned. The
// error is ctx's, ErrInconsistentGroup, or a final refusal.
func (m *Member) Next(ctx context.Context) (*Assignment, error) {
	for {
		gen, err := m.cg.Next(ctx)
		switch {
		case err == nil:
			m.waiting.over()
			m.id = gen.MemberID
			a := &Assignment{
				Generation: Generation{Group: m.group, ID: gen.ID, MemberID: gen.MemberID},
				Partitions: make(map[string][]int32),
				client:     m.client,
				gen:        gen,
			}
			for topic, partitions := range gen.Assignments {
				for _, p := range partitions {
					a.Partitions[topic] = append(a.Partitions[topic], int32(p.ID))
				}
				slices.Sort(a.Partitions[topic])
			}
			return a, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, kafka.ErrGroupClosed):
			return nil, fmt.Errorf("join group %s: %w", m.group, err)
		case errors.Is(err, kafka.InconsistentGroupProtocol):
			return nil, fmt.Errorf("join group %s: %w", m.group, ErrInconsistentGroup)
		case errors.Is(err, kafka.RebalanceInProgress), errors.Is(err, kafka.UnknownMemberId), errors.Is(err, kafka.IllegalGeneration):
			// The coordinator has moved on; the group joins anew by itself.
		case retriable(err):
			m.waiting.note(err) // the group backs off by itself
			m.giveUp()
		default:
			return nil, fmt.Errorf("join group %s: %w", m.group, err)
		}
	}
}

// giveUp leaves the group as whom kafka-go has forgotten: after an error it joins as a new member, and a coordinator that has come
// back would have everybody wait for the old one until its session is over.
func (m *Member) giveUp() {
	id := m.id
	if m.id = ""; id == "" {
		return
	}
	go func() {
		key := groupKey(m.group)
		err := retry(m.ctx, m.client.log, "leave group "+m.group+" as the member of before", func() error {
			answer, err := m.client.toCoordinator(m.ctx, key, &leavegroup.Request{GroupID: m.group, MemberID: id, Members: []leavegroup.RequestMember{{MemberID: id}}})
			if err != nil {
				return err
			}
			return m.client.coordinated(key, answer.(*leavegroup.Response).ErrorCode)
		})
		if err != nil && m.ctx.Err() == nil && !errors.Is(err, kafka.UnknownMemberId) {
			m.client.log.Warn("the group waits for the member of before", "group", m.group, "error", err)
		}
	}()
}

// Close ends the generation, waits for its functions, and leaves the group.
func (m *Member) Close() error {
	defer m.cancel()
	return m.cg.Close()
}

// Go runs f in the generation; its context ends with it. The generation ends when f returns.
func (a *Assignment) Go(f func(ctx context.Context)) {
	a.gen.Start(func(generation context.Context) {
		// A context of Go's own under kafka-go's: what derives from it needs no goroutine to follow.
		ctx, cancel := context.WithCancel(generation)
		defer cancel()
		f(ctx)
	})
}

// Heartbeat asks the coordinator whether the generation still counts this member in: nil, ErrNotMember, or the failure
// to ask. (kafka-go's Client.Heartbeat mistakes the throttle time for the error code.)
func (a *Assignment) Heartbeat(ctx context.Context) error {
	body := appendString(nil, a.Group)
	body = appendInt32(body, a.ID)
	body = appendString(body, a.MemberID)
	key := groupKey(a.Group)
	err := retry(ctx, a.client.log, "heartbeat to group "+a.Group, func() error {
		x := &exchange{key: protocol.Heartbeat, version: 2, request: [][]byte{body}}
		if _, err := a.client.toCoordinator(ctx, key, x); err != nil {
			return err
		}
		r := cursor{b: x.response}
		r.int32() // throttle time
		return a.client.coordinated(key, r.int16())
	})
	switch {
	case errors.Is(err, kafka.UnknownMemberId), errors.Is(err, kafka.IllegalGeneration),
		errors.Is(err, kafka.RebalanceInProgress), errors.Is(err, kafka.FencedInstanceID):
		return ErrNotMember
	case err != nil:
		return fmt.Errorf("heartbeat to group %s: %w", a.Group, err)
	}
	return nil
}
