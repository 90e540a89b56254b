package counter

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"wordcount/internal/kafkaio"
)

// slots is the group's balancer. Slot i of Q is partition i of the shuffle topic and every lines partition p with
// p mod Q = i. A slot is one member's as a whole, members have equally many, give or take one, and keep theirs where that
// allows it.
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
		protocol: fmt.Sprintf("wordcount/2 interval=%s partitions=%d report-empty=%s tokenizer=%s",
			cfg.BatchInterval, partitions, cfg.ReportEmpty, cfg.Tokenizer),
	}
}

func (s slots) Protocol() string { return s.protocol }

// Assign gives a member that has too many slots fewer, and who is to have the others them only when nobody owns them any more.
func (s slots) Assign(members []kafkaio.Claim, counts map[string]int) map[string]map[string][]int32 {
	owned := s.owned(members)
	ids := slices.SortedFunc(maps.Keys(owned), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(owned[b]), len(owned[a])), cmp.Compare(a, b))
	})
	share := func(i int) int { // of the members with the most slots the first have one more, if it does not come out even
		if i < s.partitions%len(ids) {
			return s.partitions/len(ids) + 1
		}
		return s.partitions / len(ids)
	}
	var free []int32
	for slot := range int32(s.partitions) {
		if !slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(owned[id], slot) }) {
			free = append(free, slot)
		}
	}
	assignments := make(map[string]map[string][]int32, len(ids))
	for i, id := range ids {
		mine := owned[id][:min(len(owned[id]), share(i))]
		more := min(share(i)-len(mine), len(free))
		mine, free = append(mine, free[:more]...), free[more:]
		assignments[id] = s.topics(mine, counts[s.lines])
	}
	return assignments
}

// owned returns every member's slots, in order. Of two that claim one it is the later generation's.
func (s slots) owned(members []kafkaio.Claim) map[string][]int32 {
	owners := make([]*kafkaio.Claim, s.partitions)
	owned := make(map[string][]int32, len(members))
	for i := range members {
		m := &members[i]
		owned[m.Member] = nil
		for _, slot := range m.Owned[s.shuffle] {
			if int(slot) < s.partitions && (owners[slot] == nil || owners[slot].Generation < m.Generation) {
				owners[slot] = m
			}
		}
	}
	for slot, m := range owners {
		if m != nil {
			owned[m.Member] = append(owned[m.Member], int32(slot))
		}
	}
	return owned
}

// topics returns the partitions of some slots, of so many of the lines topic.
func (s slots) topics(some []int32, lines int) map[string][]int32 {
	topics := make(map[string][]int32)
	for _, slot := range some {
		topics[s.shuffle] = append(topics[s.shuffle], slot)
		for p := slot; p < int32(lines); p += int32(s.partitions) {
			topics[s.lines] = append(topics[s.lines], p)
		}
	}
	for topic := range topics {
		slices.Sort(topics[topic])
	}
	return topics
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
