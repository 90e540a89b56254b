package soak

import (
	"reflect"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	for seed := range uint64(50) {
		rounds := Schedule(Everything, seed, 3)
		if !reflect.DeepEqual(rounds, Schedule(Everything, seed, 3)) {
			t.Fatal("a seed has two schedules")
		}
		if seed > 0 && reflect.DeepEqual(rounds, Schedule(Everything, seed-1, 3)) {
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

func TestScheduleOfRestarts(t *testing.T) {
	count := map[Kind]int{}
	brokers, early := map[int]int{}, 0
	for i, r := range Schedule(Restarts, 1, 3) {
		if len(r.Faults) != 1 {
			t.Fatalf("round %d: %v", i, r)
		}
		f := r.Faults[0]
		if want := []Kind{Crash, Join, Stop, Leave}[i%4]; f.Kind != want {
			t.Fatalf("round %d is a %s, not a %s", i, f.Kind, want)
		}
		count[f.Kind]++
		if f.broker() {
			brokers[f.Target]++
			if f.After < 0 || f.After >= 400*time.Millisecond {
				t.Errorf("round %d: %v", i, f)
			}
			if f.After < 200*time.Millisecond {
				early++
			}
		}
	}
	if count[Crash] != 20 || count[Stop] != 20 || count[Join] != 20 || count[Leave] != 20 || len(brokers) != 3 || early < 10 || early > 30 {
		t.Errorf("%v, brokers %v, %d early", count, brokers, early)
	}
}
