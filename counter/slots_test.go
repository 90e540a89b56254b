package counter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"wordcount/internal/kafkaio"
)

func slotsOf(lines string, partitions int) slots {
	var cfg Config
	cfg.LinesTopic, cfg.Group = lines, "g"
	return newSlots(&cfg, partitions)
}

// rebalance has members join, each with what it had, until nobody has to give up any more, and returns what they have then and what
// they had in the generation before.
func rebalance(t *testing.T, s slots, claims []kafkaio.Claim, lines int) (first, last map[string]map[string][]int32) {
	t.Helper()
	counts := map[string]int{"lines": lines, "g-shuffle": s.partitions + 1, "another": 3} // a shuffle partition that came later is not used
	first = s.Assign(claims, counts)
	last = first
	for generation := int32(10); ; generation++ {
		if generation > 13 {
			t.Fatalf("%v is still not what it will be: %v", claims, last)
		}
		gaveUp := false
		for i := range claims {
			c := &claims[i]
			for _, slot := range c.Owned["g-shuffle"] {
				gaveUp = gaveUp || !slices.Contains(last[c.Member]["g-shuffle"], slot)
			}
			c.Owned, c.Generation = last[c.Member], generation
		}
		if !gaveUp {
			return first, last
		}
		last = s.Assign(claims, counts)
	}
}

// Whatever members come with, in the end every slot is one member's, with all its lines partitions, members have equally many,
// give or take one, and who has a slot keeps it where that allows it. On the way nobody is given what another one owns.
func TestSlots(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		lines, partitions := r.IntN(12), 1+r.IntN(6) // more and fewer than slots, and no multiple of them
		s := slotsOf("lines", partitions)
		claims := make([]kafkaio.Claim, 1+r.IntN(7))
		for i := range claims {
			claims[i] = kafkaio.Claim{Member: fmt.Sprintf("member-%02d", i), Generation: int32(r.IntN(3)) - 1}
		}
		newest := make(map[int32]kafkaio.Claim) // by slot
		for slot := range int32(partitions + 1) {
			for range r.IntN(3) { // one that was away may claim what is another's by now
				c := &claims[r.IntN(len(claims))]
				if slices.Contains(c.Owned["g-shuffle"], slot) {
					continue
				}
				if c.Owned == nil {
					c.Owned = make(map[string][]int32)
				}
				c.Owned["g-shuffle"] = append(c.Owned["g-shuffle"], slot)
			}
		}
		for slot := range int32(partitions) {
			for _, c := range claims {
				if n, claimed := newest[slot]; slices.Contains(c.Owned["g-shuffle"], slot) && (!claimed || c.Generation > n.Generation) {
					newest[slot] = c
				}
			}
		}
		owned := make(map[string]int)
		for _, c := range newest {
			owned[c.Member]++
		}
		before := fmt.Sprint(claims)
		again := slices.Clone(claims)
		first, last := rebalance(t, s, claims, lines)
		if _, same := rebalance(t, s, again, lines); fmt.Sprint(same) != fmt.Sprint(last) {
			t.Fatalf("%s: %v, then %v", before, last, same)
		}
		if len(first) != len(claims) || len(last) != len(claims) {
			t.Fatalf("%s: %v, then %v", before, first, last)
		}
		for slot, c := range newest {
			for member, topics := range first {
				if member != c.Member && slices.Contains(topics["g-shuffle"], slot) {
					t.Fatalf("%s: slot %d is %s's and was given to %s: %v", before, slot, c.Member, member, first)
				}
			}
		}
		owner := make(map[int32]string)
		read := 0
		for member, topics := range last {
			has := topics["g-shuffle"]
			least, most := partitions/len(claims), (partitions+len(claims)-1)/len(claims)
			if len(has) < least || len(has) > most || !slices.IsSorted(has) || !slices.IsSorted(topics["lines"]) || len(topics["another"]) > 0 {
				t.Fatalf("%s: %s has %v", before, member, topics)
			}
			kept := 0
			for _, slot := range has {
				if other, twice := owner[slot]; twice || int(slot) >= partitions {
					t.Fatalf("%s: slot %d is %s's and %s's", before, slot, other, member)
				}
				owner[slot] = member
				if newest[slot].Member == member {
					kept++
				}
			}
			if kept < min(owned[member], least) {
				t.Fatalf("%s: %s had %d of its slots left: %v", before, member, kept, last)
			}
		}
		for member, topics := range last {
			for _, p := range topics["lines"] {
				if owner[p%int32(partitions)] != member {
					t.Fatalf("%s: lines/%d is %s's, slot %d is %s's", before, p, member, int(p)%partitions, owner[p%int32(partitions)])
				}
				read++
			}
		}
		if len(owner) != partitions || read != lines {
			t.Fatalf("%s: %d slots and %d lines partitions were assigned: %v", before, len(owner), read, last)
		}
	}
}

// Who comes takes no more than its share, who stays keeps the rest, and when one leaves nobody else gives anything up.
func TestSlotsStay(t *testing.T) {
	s := slotsOf("lines", 4)
	a := kafkaio.Claim{Member: "a", Generation: 1, Owned: map[string][]int32{"g-shuffle": {0, 1, 2, 3}, "lines": {0, 1, 2, 3}}}
	first, last := rebalance(t, s, []kafkaio.Claim{{Member: "b", Generation: -1}, a}, 6)
	want := map[string]map[string][]int32{
		"a": {"lines": {0, 1, 4, 5}, "g-shuffle": {0, 1}},
		"b": {"lines": {2, 3}, "g-shuffle": {2, 3}},
	}
	if fmt.Sprint(last) != fmt.Sprint(want) || len(first["b"]) > 0 {
		t.Errorf("%v, then %v, want %v", first, last, want)
	}
	first, _ = rebalance(t, s, []kafkaio.Claim{{Member: "b", Generation: 3, Owned: last["b"]}}, 6)
	if got := fmt.Sprint(first["b"]["g-shuffle"]); got != "[0 1 2 3]" {
		t.Errorf("alone b has %s", got)
	}
}

// The protocol's name tells counters apart that must not work together: Kafka refuses a member with another.
func TestProtocolName(t *testing.T) {
	name := func(partitions int, change func(*Config)) string {
		var cfg Config
		cfg.BatchInterval, cfg.Tokenizer, cfg.ReportEmpty, cfg.Group = 5*time.Second, "space", time.Hour, "g"
		change(&cfg)
		return newSlots(&cfg, partitions).Protocol()
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
	if !strings.HasPrefix(seen[0], "wordcount/2 ") {
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
