package counter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// assign runs the balancer for so many members, lines partitions and slots; the partitions come in any order.
func assign(r *rand.Rand, members, lines, partitions int) map[string]map[string][]int {
	var cfg Config
	cfg.LinesTopic, cfg.Group = "lines", "g"
	var group []kafka.GroupMember
	for i := range members {
		group = append(group, kafka.GroupMember{ID: fmt.Sprintf("member-%02d", i)})
	}
	var all []kafka.Partition
	for p := range lines {
		all = append(all, kafka.Partition{Topic: "lines", ID: p})
	}
	for q := range partitions {
		all = append(all, kafka.Partition{Topic: "g-shuffle", ID: q})
	}
	all = append(all, kafka.Partition{Topic: "another", ID: 0})
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	r.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
	return newSlots(&cfg, partitions).AssignGroups(group, all)
}

// Every slot is one member's, with all its lines partitions; members have equally many, give or take one; all leaders decide
// alike.
func TestSlots(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for members := 1; members <= 7; members++ {
		for lines := range 12 { // more and fewer than slots, and no multiple of them
			for partitions := 1; partitions <= 6; partitions++ {
				name := fmt.Sprintf("%d members, %d lines partitions, %d slots", members, lines, partitions)
				got := assign(r, members, lines, partitions)
				if again := assign(r, members, lines, partitions); fmt.Sprint(again) != fmt.Sprint(got) {
					t.Errorf("%s: %v, then %v", name, got, again)
				}
				if len(got) != members {
					t.Errorf("%s: %d members have an assignment", name, len(got))
				}
				owner := make(map[int]string)
				for member, topics := range got {
					if len(topics["another"]) > 0 {
						t.Errorf("%s: %s has a partition of another topic", name, member)
					}
					slots := topics["g-shuffle"]
					if least, most := partitions/members, (partitions+members-1)/members; len(slots) < least || len(slots) > most {
						t.Errorf("%s: %s has slots %v", name, member, slots)
					}
					for _, slot := range slots {
						if other, twice := owner[slot]; twice {
							t.Errorf("%s: slot %d is %s's and %s's", name, slot, other, member)
						}
						owner[slot] = member
					}
				}
				read := 0
				for member, topics := range got {
					for _, p := range topics["lines"] {
						if owner[p%partitions] != member {
							t.Errorf("%s: lines/%d is %s's, slot %d is %s's", name, p, member, p%partitions, owner[p%partitions])
						}
						read++
					}
				}
				if len(owner) != partitions || read != lines {
					t.Errorf("%s: %d slots and %d lines partitions were assigned: %v", name, len(owner), read, got)
				}
			}
		}
	}
}

// A shuffle topic that got more partitions while counters run does not change what belongs to a slot.
func TestSlotsKeepTheirNumber(t *testing.T) {
	var cfg Config
	cfg.LinesTopic, cfg.Group = "lines", "g"
	var all []kafka.Partition
	for p := range 4 {
		all = append(all, kafka.Partition{Topic: "lines", ID: p}, kafka.Partition{Topic: "g-shuffle", ID: p})
	}
	got := newSlots(&cfg, 2).AssignGroups([]kafka.GroupMember{{ID: "a"}, {ID: "b"}}, all)
	want := kafka.GroupMemberAssignments{
		"a": {"lines": {0, 2}, "g-shuffle": {0}},
		"b": {"lines": {1, 3}, "g-shuffle": {1}},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The protocol's name tells counters apart that must not work together: Kafka refuses a member with another.
func TestProtocolName(t *testing.T) {
	name := func(partitions int, change func(*Config)) string {
		var cfg Config
		cfg.BatchInterval, cfg.Tokenizer, cfg.ReportEmpty, cfg.Group = 5*time.Second, "space", time.Hour, "g"
		change(&cfg)
		return newSlots(&cfg, partitions).ProtocolName()
	}
	same := func(*Config) {}
	seen := []string{name(4, same)}
	for _, other := range []string{
		name(5, same),
		name(4, func(c *Config) { c.BatchInterval = time.Second }),
		name(4, func(c *Config) { c.Tokenizer = "fields" }),
		name(4, func(c *Config) { c.ReportEmpty = time.Minute }),
	} {
		if slices.Contains(seen, other) {
			t.Errorf("%q stands for different settings", other)
		}
		seen = append(seen, other)
	}
	if again := name(4, func(c *Config) { c.Grace = time.Minute }); again != seen[0] {
		t.Errorf("%q with another grace, %q before: the grace may differ", again, seen[0])
	}
	if !strings.HasPrefix(seen[0], "wordcount/1 ") {
		t.Errorf("%q has no version", seen[0])
	}
}

func TestCovered(t *testing.T) {
	for _, c := range []struct {
		slot, slots, partitions int
		lines                   []int32
		want                    int
	}{
		{0, 4, 4, []int32{0}, 4},
		{3, 4, 4, []int32{3}, 4},
		{3, 4, 3, nil, 3}, // a slot without partitions
		{3, 4, 4, nil, 3}, // its first is there by now
		{1, 4, 8, []int32{1, 5}, 8},
		{1, 4, 8, []int32{1}, 5},
		{1, 4, 8, []int32{5}, 1},
		{0, 1, 3, []int32{0, 1, 2}, 3},
		{0, 1, 3, []int32{0, 2}, 1},
		{1, 4, 4, []int32{1, 5}, 4}, // the group's leader knows of more
		{0, 4, 0, nil, 0},
	} {
		if got := covered(c.slot, c.slots, c.partitions, c.lines); got != c.want {
			t.Errorf("slot %d of %d with %v of %d partitions: below %d, want %d", c.slot, c.slots, c.lines, c.partitions, got, c.want)
		}
	}
}
