package reduce

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"wordcount/internal/wire"
)

// shuffled is a shuffle partition: what some slots' combine tasks sent.
type shuffled struct {
	log  []logged
	want []string // the windows to be closed, in order
}

// logged is a record of a slot's combine, or the end of its transaction.
type logged struct {
	slot   int
	record []byte
	end    bool
}

// send draws a log: slots start at different times, commit several windows at once or parts of one, and say watermarks, some of which are
// not the transaction's last. The records of several transactions stand in between each other.
func send(r *rand.Rand, slots int, maxEmpty int64) (s shuffled) {
	queues := make([][]logged, slots)
	say := func(slot int, record []byte) { queues[slot] = append(queues[slot], logged{slot: slot, record: record}) }
	end := func(slot int) { queues[slot] = append(queues[slot], logged{slot: slot, end: true}) }
	marks := make([]int64, slots)
	lines, words := make(map[int64]int64), make(map[int64]map[string]int64)
	first := int64(-1)
	for slot := range marks {
		marks[slot] = start + r.Int64N(6)*interval
		if first < 0 || marks[slot] < first {
			first = marks[slot]
		}
	}
	announced := make([]bool, slots)
	until := int64(start + 30*interval)
	for {
		slot := r.IntN(slots)
		if slices.Min(marks) >= until {
			break
		}
		if !announced[slot] {
			announced[slot] = true
			if r.IntN(2) == 0 {
				say(slot, watermark(slot, wire.NoWatermark))
				end(slot)
			}
			say(slot, watermark(slot, marks[slot]))
			end(slot)
			continue
		}
		if marks[slot] >= until {
			continue
		}
		// One transaction: partials of windows that are not closed, in between one watermark or another, then the one that holds.
		for range r.IntN(4) {
			if r.IntN(3) == 0 {
				say(slot, watermark(slot, marks[slot]+r.Int64N(4*interval)))
			}
			number := marks[slot]/interval + r.Int64N(3)
			if number >= until/interval {
				continue
			}
			n, word := 1+r.Int64N(5), fmt.Sprint("w", r.IntN(5))
			say(slot, partial(slot, number, n, 0, fmt.Sprintf("%s*%d", word, n)))
			lines[number] += n
			if words[number] == nil {
				words[number] = make(map[string]int64)
			}
			words[number][word] += n
		}
		marks[slot] += r.Int64N(2 * interval)
		if r.IntN(8) == 0 { // nothing for a while
			marks[slot] += r.Int64N(8 * interval)
		}
		say(slot, watermark(slot, marks[slot]))
		end(slot)
	}
	for left := true; left; {
		left = false
		for _, slot := range r.Perm(slots) {
			n := min(1+r.IntN(3), len(queues[slot]))
			s.log, queues[slot] = append(s.log, queues[slot][:n]...), queues[slot][n:]
			left = left || len(queues[slot]) > 0
		}
	}
	last := first/interval - 1
	for k := first / interval; k < slices.Min(marks)/interval; k++ {
		if lines[k] > 0 {
			last = k
		} else if k-last > maxEmpty {
			continue
		}
		sum := int64(0)
		for _, n := range words[k] {
			sum += n
		}
		s.want = append(s.want, fmt.Sprintf("%d:%d/0/%d%v", k-w0, lines[k], sum, words[k]))
	}
	return s
}

// TestCrash: a reduce that crashes anywhere and goes on from what it had committed closes the same windows, each once. What
// lies below a committed safe offset is deleted.
func TestCrash(t *testing.T) {
	crashes, windows := 0, 0
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 3))
		cfg := Config{Interval: interval, Partitions: 1 + r.IntN(4), MaxEmpty: r.Int64N(5)}
		log := send(r, cfg.Partitions, cfg.MaxEmpty)
		crashing := 60 + r.IntN(200)
		var state *wire.ReduceState
		safe, at := int64(0), int64(0)
		var committed, pending []string
		reducer := New(cfg, nil, 0)
		for at < int64(len(log.log)) {
			if r.IntN(crashing) == 0 { // also between closing and committing
				crashes++
				at, pending = safe, nil
				reducer = New(cfg, state, safe)
				continue
			}
			if one := log.log[at]; one.end {
				reducer.Ended(int64(one.slot))
			} else if err := reducer.Apply(int64(one.slot), at, one.record); err != nil {
				t.Fatalf("seed %d: record %d: %v", seed, at, err)
			}
			at++
			if r.IntN(3) == 0 {
				continue // several records a poll
			}
			for r.IntN(4) > 0 { // several windows a transaction
				w, _, ok, err := reducer.Close()
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if !ok {
					break
				}
				pending = append(pending, fmt.Sprintf("%d:%d/%d/%d%v", w.Start/interval-w0, w.Lines, w.Late, w.Words, fmt.Sprint(counted(w))))
			}
			if reducer.Started() && r.IntN(crashing) > 0 {
				before := safe
				var s wire.ReduceState
				safe, s = reducer.Commit()
				if state, err := wire.ParseReduceState(s.Encode()); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				} else if s = state; safe < before {
					t.Fatalf("seed %d: the safe offset falls from %d to %d", seed, before, safe)
				}
				state = &s
				committed, pending = append(committed, pending...), nil
				for i := before; i < safe; i++ {
					log.log[i] = logged{} // deleted
				}
			}
		}
		for {
			w, _, ok, err := reducer.Close()
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if !ok {
				break
			}
			pending = append(pending, fmt.Sprintf("%d:%d/%d/%d%v", w.Start/interval-w0, w.Lines, w.Late, w.Words, fmt.Sprint(counted(w))))
		}
		committed = append(committed, pending...)
		if !slices.Equal(committed, log.want) {
			t.Fatalf("seed %d: closed\n%v, want\n%v", seed, committed, log.want)
		}
		windows += len(committed)
	}
	if crashes < 1000 || windows < 10_000 {
		t.Errorf("only %d crashes and %d windows", crashes, windows)
	}
}
