package counter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"wordcount/internal/kafkaio"
)

func (s *schedule) living() (living []*process) {
	for _, p := range s.processes {
		if !p.hasLeft() && !p.isDead() {
			living = append(living, p)
		}
	}
	return living
}

// dead returns the processes that died since the last call.
func (s *schedule) dead() (dead []*process) {
	var rest []*process
	for _, p := range s.processes {
		if p.isDead() {
			<-p.over
			dead = append(dead, p)
		} else {
			rest = append(rest, p)
		}
	}
	s.processes = rest
	return dead
}

// memoryGroup is the group's coordinator. A member that joins has all join again: they hear of it at their next heartbeat. When all
// have joined, or the session of those that have not is over, there is a new generation, shared out by claims as the counter's
// balancer does. It is what (*kafkaio.Member).Next relies on.
type memoryGroup struct {
	schedule *schedule

	mu        sync.Mutex
	members   map[string]*memoryMember // by id
	joining   bool
	rebalance int // number of the present one, for its deadline
}

func newMemoryGroup(s *schedule) *memoryGroup {
	return &memoryGroup{schedule: s, members: make(map[string]*memoryMember)}
}

// memoryMember implements membership.
type memoryMember struct {
	process *process
	id      string
	last    int32
	claim   kafkaio.Claim
	end     context.CancelFunc // of its generation; nil before the first
	joined  chan assignment    // while it waits to be let in; nil: it does not
}

func (m *memoryMember) Next(ctx context.Context, owned map[string][]int32) (assignment, error) {
	c := m.process.job.broker.(*memoryClient)
	if err := c.request(ctx, "join"); err != nil {
		return assignment{}, err
	}
	joined, err := m.process.schedule.group.join(m, owned)
	if err != nil {
		return assignment{}, err
	}
	select {
	case a := <-joined:
		m.last = a.ID
		return a, c.request(ctx, "joined")
	case <-ctx.Done():
		return assignment{}, ctx.Err()
	case <-m.process.dead:
		return assignment{}, errKilled
	}
}

func (g *memoryGroup) join(m *memoryMember, owned map[string][]int32) (<-chan assignment, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.id == "" {
		m.id = fmt.Sprintf("%s-%d", m.process.name, g.schedule.rand("id", m.process.name).IntN(1000))
		g.members[m.id] = m
	} else if g.members[m.id] == nil {
		m.id, m.last = "", -1
		return nil, kafkaio.ErrNotMember
	}
	m.claim = kafkaio.Claim{Member: m.id, Owned: owned, Generation: m.last}
	joined := make(chan assignment, 1)
	m.joined = joined
	g.again()
	return joined, nil
}

// remove puts a member out that has left or died.
func (g *memoryGroup) remove(m *memoryMember) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.members[m.id] == m {
		g.putOut(m)
		g.again()
	}
}

// expire puts a member out that is frozen, as the end of its session does.
func (g *memoryGroup) expire(m *memoryMember) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.members[m.id] == m && m.joined == nil && !m.process.wakes().IsZero() {
		g.putOut(m)
		g.again()
	}
}

func (g *memoryGroup) putOut(m *memoryMember) {
	g.schedule.trace("%s is out of the group", m.id)
	delete(g.members, m.id)
	g.schedule.kafka.mu.Lock()
	delete(g.schedule.kafka.members, m.id)
	g.schedule.kafka.mu.Unlock()
	if m.joined == nil { // it hears of it at its next heartbeat
		g.tell(m)
	}
}

// tell has a member's generation end at its next heartbeat.
func (g *memoryGroup) tell(m *memoryMember) {
	if m.end == nil { // it is about to join
		return
	}
	heard := max(time.Until(m.process.wakes()), 0)
	heard += time.Duration(g.schedule.rand("heartbeat", m.id).Int64N(int64(200 * time.Millisecond)))
	time.AfterFunc(heard, m.end)
}

// again has everybody join, or goes on to the next generation if everybody has.
func (g *memoryGroup) again() {
	if !g.joining {
		g.joining = true
		g.rebalance++
		this := g.rebalance
		for _, m := range g.members {
			if m.joined == nil {
				g.tell(m)
			}
		}
		time.AfterFunc(2*g.schedule.session, func() { // the rebalance timeout
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.joining && g.rebalance == this {
				g.complete()
			}
		})
	}
	for _, m := range g.members {
		if m.joined == nil {
			return
		}
	}
	g.complete()
}

// complete lets in who has joined.
func (g *memoryGroup) complete() {
	s := g.schedule
	g.joining = false
	var claims []kafkaio.Claim
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		if m := g.members[id]; m.joined == nil {
			g.putOut(m)
		} else {
			claims = append(claims, m.claim)
		}
	}
	s.kafka.mu.Lock()
	s.kafka.generation++
	generation := s.kafka.generation
	s.kafka.members = make(map[string]bool)
	for _, c := range claims {
		s.kafka.members[c.Member] = true
	}
	n := len(s.kafka.topics["lines"])
	s.kafka.mu.Unlock()
	if len(claims) == 0 {
		return
	}
	s.mu.Lock()
	s.outcome.rebalances++
	if s.before > 0 && time.Since(s.grown) < 2*s.session && s.rand("partitions").IntN(2) == 0 {
		n = s.before // the leader has not seen the new ones
	}
	s.mu.Unlock()
	assignments := newSlots(&s.cfg, s.partitions).Assign(claims, map[string]int{"lines": n, "g-shuffle": s.partitions})
	s.trace("generation %d: %v claimed, %v", generation, claims, assignments)
	for _, c := range claims {
		m := g.members[c.Member]
		ctx, cancel := context.WithCancel(context.Background())
		m.end = cancel
		m.joined <- assignment{
			Generation: kafkaio.Generation{Group: "g", ID: generation, MemberID: m.id},
			partitions: assignments[m.id], ctx: ctx, heartbeat: m.process.heartbeat(generation, m.id),
		}
		m.joined = nil
	}
}
