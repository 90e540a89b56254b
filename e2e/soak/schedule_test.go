package soak

import (
	"reflect"
	"testing"
)

func TestSchedule(t *testing.T) {
	for seed := range uint64(50) {
		rounds := Schedule(seed, 3)
		if !reflect.DeepEqual(rounds, Schedule(seed, 3)) {
			t.Fatal("a seed has two schedules")
		}
		if seed > 0 && reflect.DeepEqual(rounds, Schedule(seed-1, 3)) {
			t.Fatal("two seeds have one schedule")
		}
		count := map[Kind]int{}
		together, roles := 0, map[string]int{}
		guests := 0
		for _, r := range rounds {
			if len(r.Faults) > 1 {
				together++
			}
			targets := map[int]bool{}
			for _, f := range r.Faults {
				count[f.Kind]++
				switch f.Kind {
				case Kill:
					roles[Role(f.Target)]++
				case Freeze:
					if f.Length <= session {
						t.Errorf("frozen for %v only", f.Length)
					}
				case Join:
					guests++
				case Leave:
					guests--
				}
				if guests < 0 || guests > 1 {
					t.Fatal("the guest leaves before it joins, or joins twice")
				}
				if !f.broker() {
					if targets[f.Target] {
						t.Errorf("two faults of one process at once: %v", r)
					}
					targets[f.Target] = true
				}
			}
		}
		if count[Kill] != 100 || count[Freeze] != 20 || count[Stop] != 10 || count[Crash] != 10 ||
			count[Cut]+count[Silence]+count[Latency] != 20 || min(count[Cut], count[Silence], count[Latency]) < 6 || count[Join] != 20 || count[Leave] != 20 {
			t.Errorf("seed %d: %v", seed, count)
		}
		if together < 5 || min(roles["counter"], roles["producer"], roles["printer"]) < 10 {
			t.Errorf("seed %d: %d rounds of several faults, kills of %v", seed, together, roles)
		}
	}
}
