package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	heartbeatInterval = 200 * time.Millisecond
	// For so long after it began a generation is likely to be over soon, because a member gives up what others wait for; it is noticed
	// with heartbeats so close.
	youngGeneration = 2 * time.Second
	youngInterval   = 50 * time.Millisecond

	sessionTimeout   = 6 * time.Second // the least that a broker allows by default
	rebalanceTimeout = 15 * time.Second
	leaveTimeout     = 3 * time.Second
)

// ErrInconsistentGroup: the group's members use another protocol (error 23).
var ErrInconsistentGroup = errors.New("the members of the group use other settings")

// Balancer shares partitions out to a group's members. Member.Next calls it.
type Balancer interface {
	// Protocol is its name. Kafka refuses a member whose protocol is not the others'.
	Protocol() string
	// Assign returns every member's partitions by topic; counts has how many each topic has. It must not give away what
	// another member owns, but give it to nobody: the owner gives it up when it sees that, and has the group join again.
	Assign(members []Claim, counts map[string]int) map[string]map[string][]int32
}

// Claim is what a member of a group owned when it joined.
type Claim struct {
	Member string
	Owned  map[string][]int32 // by topic
	// Generation in which it owned that, −1 without one. A member that was away claims what others have been given since, with
	// a lesser one.
	Generation int32
}

// Member is this process's membership in a consumer group of the classic protocol, rebalanced as in KIP-429: a member goes on
// with what it owns while the group joins again, and gives up only what it is not given any more. It belongs to one
// goroutine.
type Member struct {
	client   *Client
	group    string
	key      coordinatorKey
	balancer Balancer
	topics   []string
	id       string // the coordinator's name for this member; empty before it gave one
	last     int32  // generation; −1 before the first
	stop     func() // ends the heartbeats of the last generation
}

// Assignment is what the group gave this member in one generation.
type Assignment struct {
	Generation
	Partitions map[string][]int32 // by topic, in order

	client *Client
	ctx    context.Context
	end    context.CancelFunc
}

// Join returns a membership in a group; Next enters it. The topics must exist. Partitions that are added to them later are the
// caller's to notice.
func (c *Client) Join(group string, balancer Balancer, topics ...string) *Member {
	return &Member{client: c, group: group, key: groupKey(group), balancer: balancer, topics: topics, last: -1, stop: func() {}}
}

// Next joins the group, or joins it again, as the owner of what is owned, and waits for the new generation: until every member has
// joined, or the session of those that don't is over. Meanwhile what is owned stays this member's.
//
// The error is ctx's; ErrNotMember when the group has put this member out: others are given what it owned, so stop that and call
// again as the owner of nothing; ErrInconsistentGroup; or a final refusal.
func (m *Member) Next(ctx context.Context, owned map[string][]int32) (*Assignment, error) {
	if err := ctx.Err(); err != nil { // kafka-go might send the request all the same, and the generation would be over
		return nil, err
	}
	m.stop()
	var a *Assignment
	err := retry(ctx, m.client.log, "join group "+m.group, func() (err error) {
		for {
			a, err = m.join(ctx, owned)
			switch {
			case movedOn(err):
				continue // with this member
			case errors.Is(err, kafka.UnknownMemberId):
				m.id, m.last = "", -1
				return finalError{ErrNotMember}
			}
			return err
		}
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, kafka.InconsistentGroupProtocol):
		return nil, fmt.Errorf("join group %s: %w", m.group, ErrInconsistentGroup)
	default:
		return nil, fmt.Errorf("join group %s: %w", m.group, err)
	}
	m.last = a.ID
	m.stop = a.beat()
	return a, nil
}

// join is one try: JoinGroup, and SyncGroup with the assignments if this member leads.
func (m *Member) join(ctx context.Context, owned map[string][]int32) (*Assignment, error) {
	j, err := m.joinGroup(ctx, owned)
	if err != nil {
		return nil, err
	}
	var assignments []memberBytes
	if j.leader == m.id {
		if assignments, err = m.assign(ctx, j.members); err != nil {
			return nil, err
		}
	}
	assigned, err := m.syncGroup(ctx, j.generation, assignments)
	if err != nil {
		return nil, err
	}
	a := &Assignment{
		Generation: Generation{Group: m.group, ID: j.generation, MemberID: m.id},
		Partitions: assigned,
		client:     m.client,
	}
	a.ctx, a.end = context.WithCancel(context.Background())
	return a, nil
}

// assign runs the balancer.
func (m *Member) assign(ctx context.Context, members []memberBytes) ([]memberBytes, error) {
	counts := make(map[string]int, len(m.topics))
	for _, topic := range m.topics {
		leaders, err := m.client.leaders(ctx, topic)
		if err != nil {
			return nil, fmt.Errorf("find topic %s: %w", topic, err)
		}
		counts[topic] = len(leaders)
	}
	claims := make([]Claim, len(members))
	for i, member := range members {
		var err error
		if claims[i], err = parseSubscription(member.bytes); err != nil {
			return nil, finalError{fmt.Errorf("subscription of member %s: %w", member.id, err)}
		}
		claims[i].Member = member.id
	}
	var assignments []memberBytes
	for id, partitions := range m.balancer.Assign(claims, counts) {
		assignments = append(assignments, memberBytes{id, appendAssignment(nil, partitions)})
	}
	return assignments, nil
}

// Close leaves the group: others are given at once what this member owns. Stop it before.
func (m *Member) Close() error {
	m.stop()
	if m.id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := m.leaveGroup(ctx); err != nil && !errors.Is(err, kafka.UnknownMemberId) {
		return fmt.Errorf("leave group %s (the others wait for this member until its session is over): %w", m.group, err)
	}
	m.id, m.last = "", -1
	return nil
}

// movedOn tells whether the group refuses a generation because it is on its way to another one, or in it.
func movedOn(err error) bool {
	return errors.Is(err, kafka.RebalanceInProgress) || errors.Is(err, kafka.IllegalGeneration)
}

// notMember tells whether the group refuses a generation, or who says to be in it.
func notMember(err error) bool {
	return movedOn(err) || errors.Is(err, kafka.UnknownMemberId) || errors.Is(err, kafka.FencedInstanceID)
}

// Context ends when the group joins again: call Next. What is owned may go on meanwhile.
func (a *Assignment) Context() context.Context { return a.ctx }

// Heartbeat asks the coordinator whether the generation goes on, with this member: nil, ErrNotMember (also when the group is about
// to join again), or the failure to ask.
func (a *Assignment) Heartbeat(ctx context.Context) error {
	switch err := a.client.heartbeat(ctx, a.Generation); {
	case notMember(err):
		return ErrNotMember
	case err != nil:
		return fmt.Errorf("heartbeat to group %s: %w", a.Group, err)
	}
	return nil
}

// beat sends heartbeats until it is stopped, also while the group waits for this member to join again. A coordinator that is away
// or moves ends nothing: it has the generation in its log.
func (a *Assignment) beat() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		began := time.Now()
		interval := func() time.Duration {
			if time.Since(began) < youngGeneration {
				return youngInterval
			}
			return heartbeatInterval
		}
		for sleep(ctx, interval()) == nil {
			err := a.client.heartbeat(ctx, a.Generation)
			if err == nil {
				continue
			}
			a.end()
			if !errors.Is(err, kafka.RebalanceInProgress) {
				return // stopped, or Next will see why
			}
		}
	}()
	return func() {
		cancel()
		<-done
		a.end()
	}
}

// heartbeat is one, tried until it is answered. (kafka-go's Client.Heartbeat mistakes the throttle time for the error code.)
func (c *Client) heartbeat(ctx context.Context, gen Generation) error {
	body := appendString(nil, gen.Group)
	body = appendInt32(body, gen.ID)
	body = appendString(body, gen.MemberID)
	key := groupKey(gen.Group)
	return retry(ctx, c.log, "heartbeat to group "+gen.Group, func() error {
		_, err := c.askCoordinator(ctx, key, protocol.Heartbeat, 2, body, requestTimeout)
		return err
	})
}
