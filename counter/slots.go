package counter

import (
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"
)

// slots is the group's balancer. Slot i of Q is partition i of the shuffle topic and every lines partition p with
// p mod Q = i; a slot goes to one member as a whole, and members get equally many, give or take one.
type slots struct {
	lines, shuffle string
	partitions     int // Q; partitions that the shuffle topic got later are not used
	protocol       string
}

// newSlots names the protocol after what all members must share: Kafka refuses a member that proposes another
// (error 23, INCONSISTENT_GROUP_PROTOCOL).
func newSlots(cfg *Config, partitions int) slots {
	return slots{
		lines:      cfg.LinesTopic,
		shuffle:    cfg.shuffleTopic(),
		partitions: partitions,
		protocol: fmt.Sprintf("wordcount/1 interval=%s partitions=%d report-empty=%s tokenizer=%s",
			cfg.BatchInterval, partitions, cfg.ReportEmpty, cfg.Tokenizer),
	}
}

func (s slots) ProtocolName() string { return s.protocol }

func (s slots) UserData() ([]byte, error) { return nil, nil }

func (s slots) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	ids := make([]string, len(members))
	assignments := make(kafka.GroupMemberAssignments, len(members))
	for i, m := range members {
		ids[i] = m.ID
		assignments[m.ID] = map[string][]int{}
	}
	slices.Sort(ids)
	lines := numbers(partitions, s.lines)
	for slot := range s.partitions {
		a := assignments[ids[slot%len(ids)]]
		a[s.shuffle] = append(a[s.shuffle], slot)
		for _, p := range lines {
			if p%s.partitions == slot {
				a[s.lines] = append(a[s.lines], p)
			}
		}
	}
	return assignments
}

// numbers returns the partitions of a topic in order.
func numbers(partitions []kafka.Partition, topic string) []int {
	var n []int
	for _, p := range partitions {
		if p.Topic == topic {
			n = append(n, p.ID)
		}
	}
	slices.Sort(n)
	return n
}

// covered returns below which number a slot of so many has all its lines partitions, of a topic with so many: fewer than
// those when a partition was added after the group's leader had looked.
func covered(slot, slots, partitions int, lines []int32) int {
	for p := slot; p < partitions; p += slots {
		if !slices.Contains(lines, int32(p)) {
			return p
		}
	}
	return partitions
}
