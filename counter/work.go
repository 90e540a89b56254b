package counter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"wordcount/internal/kafkaio"
)

const (
	watchPartitions = 5 * time.Second // so long a partition that was added may go unnoticed
	standbyAfter    = time.Second     // a generation that gives nothing and lasts so long is not on the way to one that does
)

// slotWork is a slot's two tasks at work.
type slotWork struct {
	lines           []int32
	combine, reduce running
}

// running is a task in a goroutine.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func run(f func(ctx context.Context)) running {
	ctx, cancel := context.WithCancel(context.Background())
	r := running{cancel, make(chan struct{})}
	go func() {
		defer close(r.done)
		f(ctx)
	}()
	return r
}

// count works on the slots that the group gives this counter, from generation to generation, until ctx ends; then it stops
// gracefully. While the group joins again its slots go on, and only those that it gives up stop.
func (j *job) count(ctx context.Context, group membership) error {
	work := make(map[int32]*slotWork)
	defer func() { j.stop(work) }()
	for {
		next, err := group.Next(ctx, j.owned(work))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, kafkaio.ErrNotMember):
			j.log.Warn("the group has put this counter out and gives its slots to others; it joins again as a new member", "group", j.cfg.Group)
			j.stop(work)
			clear(work)
			j.metrics.behind.Set(0)
			continue
		case errors.Is(err, kafkaio.ErrInconsistentGroup):
			return otherSettings(fmt.Sprintf("the counters of group %s run with another --batch-interval, --tokenizer, --report-empty or number of shuffle partitions than this one (%s)",
				j.cfg.Group, newSlots(j.cfg, j.partitions).protocol))
		case err != nil:
			return err
		}
		j.place.move(next)
		j.metrics.rebalances.Inc()
		j.cfg.Runtime.Health.SetReady("counter", true)
		j.log.Info("joined the group", "group", j.cfg.Group, "generation", next.ID,
			"lines_partitions", next.partitions[j.cfg.LinesTopic], "slots", next.partitions[j.cfg.shuffleTopic()])
		if err := j.generation(ctx, work, next); err != nil {
			return err
		}
	}
}

// generation returns when it is time to join again, or ctx ends. The slots go on.
func (j *job) generation(ctx context.Context, work map[int32]*slotWork, here assignment) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(here.ctx, cancel)()
	gaveUp, err := j.take(ctx, work, here)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	case !gaveUp: // else others wait for what was given up
		j.await(ctx, here)
	}
	return nil
}

// take stops the slots that are not this counter's any more, or have other lines partitions, and starts those that are new. It
// tells whether it gave any up.
func (j *job) take(ctx context.Context, work map[int32]*slotWork, next assignment) (gaveUp bool, err error) {
	lines := make(map[int32][]int32)
	for _, slot := range next.partitions[j.cfg.shuffleTopic()] {
		lines[slot] = nil
		for _, p := range next.partitions[j.cfg.LinesTopic] {
			if int(p)%j.partitions == int(slot) {
				lines[slot] = append(lines[slot], p)
			}
		}
	}
	over := make(map[int32]*slotWork)
	for slot, w := range work {
		if l, still := lines[slot]; !still || !slices.Equal(l, w.lines) {
			over[slot] = w
			delete(work, slot)
			gaveUp = gaveUp || !still
		}
	}
	j.stop(over)
	if len(work) == 0 {
		j.metrics.behind.Set(0)
	}
	n, err := j.broker.Partitions(ctx, j.cfg.LinesTopic)
	if err != nil {
		return gaveUp, err
	}
	for slot, l := range lines {
		if work[slot] == nil {
			work[slot] = j.start(task{job: j, slot: slot, lines: l, known: covered(int(slot), j.partitions, n, l)})
		}
	}
	return gaveUp, nil
}

// start has a slot's tasks run.
func (j *job) start(t task) *slotWork {
	combine, reduce := &combineTask{task: t}, &reduceTask{task: t}
	combine.stage, reduce.stage = stageCombine, stageReduce
	return &slotWork{
		lines:   t.lines,
		combine: run(func(ctx context.Context) { combine.supervise(ctx, combine.run) }),
		reduce:  run(func(ctx context.Context) { reduce.supervise(ctx, reduce.run) }),
	}
}

// stop ends slots' tasks: the reduces after the combines, whose last transactions may close windows.
func (j *job) stop(work map[int32]*slotWork) {
	for _, stage := range []func(*slotWork) running{
		func(w *slotWork) running { return w.combine },
		func(w *slotWork) running { return w.reduce },
	} {
		for _, w := range work {
			stage(w).cancel()
		}
		for _, w := range work {
			<-stage(w).done
		}
	}
}

// owned returns the partitions of the slots at work.
func (j *job) owned(work map[int32]*slotWork) map[string][]int32 {
	owned := make(map[string][]int32)
	for _, slot := range slices.Sorted(maps.Keys(work)) {
		owned[j.cfg.shuffleTopic()] = append(owned[j.cfg.shuffleTopic()], slot)
		owned[j.cfg.LinesTopic] = append(owned[j.cfg.LinesTopic], work[slot].lines...)
	}
	return owned
}

// await waits for ctx's end, or for a lines partition that should be this counter's and was not assigned to it.
func (j *job) await(ctx context.Context, here assignment) {
	slots := here.partitions[j.cfg.shuffleTopic()]
	if len(slots) == 0 && pause(ctx, standbyAfter) == nil {
		j.log.Info("standing by: every slot is another counter's, and one that leaves is replaced at once", "slots", j.partitions)
	}
	for !j.madeAnew(ctx) && pause(ctx, watchPartitions) == nil {
		n, err := j.broker.Partitions(ctx, j.cfg.LinesTopic)
		if err != nil {
			continue
		}
		for _, slot := range slots {
			if covered(int(slot), j.partitions, n, here.partitions[j.cfg.LinesTopic]) < n {
				j.log.Info("the lines topic has more partitions: joining the group again", "topic", j.cfg.LinesTopic, "partitions", n)
				return
			}
		}
	}
}
