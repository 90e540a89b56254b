package counter

import (
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

func (s *schedule) wantRebalance() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

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
			p.wait()
			dead = append(dead, p)
		} else {
			rest = append(rest, p)
		}
	}
	s.processes = rest
	return dead
}

// rebalance makes a new generation of the group: members hear of it at their next heartbeat, end their work and join; who
// does not within the session is put out, and finds out when it wakes.
func (s *schedule) rebalance() {
	s.outcome.rebalances++
	session := time.After(s.session)
	var joined []*process
	for _, p := range s.living() {
		p.mu.Lock()
		over, cancel := p.over, p.cancel
		p.mu.Unlock()
		if over != nil {
			heard := time.Until(p.wakes())
			time.AfterFunc(max(heard, 0)+time.Duration(s.rand("heartbeat", p.name).Int64N(int64(200*time.Millisecond))), cancel)
		}
	}
	for _, p := range s.living() {
		p.mu.Lock()
		over := p.over
		p.mu.Unlock()
		if over == nil {
			joined = append(joined, p)
			continue
		}
		select {
		case <-over:
			joined = append(joined, p)
		case <-session:
			session = time.After(0)
			s.trace("%s is put out of the group", p.name)
			go func() { // joins again when it has found out
				<-over
				s.wantRebalance()
			}()
		}
	}
	joined = slices.DeleteFunc(joined, func(p *process) bool { return p.hasLeft() || p.isDead() })
	s.kafka.mu.Lock()
	s.kafka.generation++
	generation := s.kafka.generation
	s.kafka.members = make(map[string]bool)
	var members []kafka.GroupMember
	for _, p := range joined {
		p.member = fmt.Sprintf("%s-%d", p.name, s.random.IntN(1000))
		s.kafka.members[p.member] = true
		members = append(members, kafka.GroupMember{ID: p.member})
	}
	n := len(s.kafka.topics["lines"])
	s.kafka.mu.Unlock()
	if s.before > 0 && time.Since(s.grown) < 2*s.session && s.random.IntN(2) == 0 {
		n = s.before
	}
	if len(members) == 0 {
		return
	}
	var partitions []kafka.Partition
	for p := range n {
		partitions = append(partitions, kafka.Partition{Topic: "lines", ID: p})
	}
	for q := range s.partitions {
		partitions = append(partitions, kafka.Partition{Topic: "g-shuffle", ID: q})
	}
	assignments := newSlots(&s.cfg, s.partitions).AssignGroups(members, partitions)
	s.trace("generation %d: %v", generation, assignments)
	for _, p := range joined {
		p.work(generation, assignments[p.member])
	}
}
