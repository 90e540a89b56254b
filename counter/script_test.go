package counter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// script drives the tasks of all slots by hand, one call after the other: no goroutine, and no time but what it lets pass. Its
// Kafka answers at once. Markers are written when the script says, or when somebody waits for them.
type script struct {
	*schedule
	metrics   *metrics
	tasks     map[string][]*scripted // by stage and slot; nil: nobody has the slot
	zombies   []*scripted            // those that have a successor and do not know
	markers   []marker
	timeouts  []func()
	usurped   map[string]bool                   // transactional ids that a zombie may have taken
	expired   map[string]bool                   // transactional ids whose transaction was aborted when nobody had ended it
	undecided []func()                          // producers' transactions that are to be decided
	seen      map[topicPartition]kafkaio.Offset // what was committed last
}

type marker struct {
	at    string
	write func()
}

// scripted is a task and the host of its client.
type scripted struct {
	*script
	name    string
	job     *job
	stage   string
	slot    int32
	combine *combineTask // or
	reduce  *reduceTask
	dead    bool
	zombie  bool                         // somebody was told to take the slot
	fenced  bool                         // and has the transactional id
	strike  func(operation string) error // when left is 0
	left    int                          // requests until then
}

func (t *scripted) String() string { return t.name }

// travel takes no time. A request may be its task's last, or find a successor at work.
func (t *scripted) travel(_ context.Context, operation string) error {
	if t.dead {
		return errKilled
	}
	if t.fenced && t.kafka.members[t.name] && strings.HasPrefix(operation, "end answered") {
		t.t.Errorf("%s was fenced, and ended a transaction", t)
	}
	if t.strike != nil {
		if t.left--; t.left < 0 {
			strike := t.strike
			t.strike = nil
			return strike(operation)
		}
	}
	return nil
}

func (t *scripted) sleep(ctx context.Context, d time.Duration) error { return t.await(ctx, nil, d) }

// await has what is waited for happen: markers arrive, abandoned transactions time out.
func (t *scripted) await(ctx context.Context, _ <-chan struct{}, d time.Duration) error {
	switch {
	case t.dead:
		return errKilled
	case len(t.markers) > 0:
		t.deliver()
	case len(t.timeouts) > 0:
		t.expire()
	default:
		time.Sleep(d)
	}
	return ctx.Err()
}

// deliver writes one of the markers.
func (s *script) deliver() {
	i := s.random.IntN(len(s.markers))
	m := s.markers[i]
	s.markers = slices.Delete(s.markers, i, i+1)
	m.write()
	if m.at == "offsets" {
		s.watch()
	}
}

// expire aborts what nobody has ended: what the dead have left, and what others have prepared, who sleep for a minute.
func (s *script) expire() {
	epochs := make(map[string]int)
	for id, p := range s.kafka.producers {
		epochs[id] = p.epoch
	}
	for _, abort := range s.timeouts {
		abort()
	}
	s.timeouts = s.timeouts[:0]
	for id, epoch := range epochs {
		if s.kafka.producers[id].epoch != epoch {
			s.expired[id] = true
		}
	}
}

// watch checks that nothing which is committed falls.
func (s *script) watch() {
	for at, o := range s.kafka.offsets {
		before, ok := s.seen[at]
		if !ok || o == before {
			s.seen[at] = o
			continue
		}
		s.seen[at] = o
		was, err := progress(before)
		is, err2 := progress(o)
		if err = errors.Join(err, err2); err != nil {
			s.t.Error(err)
		}
		if o.Offset < before.Offset || is < was {
			s.t.Errorf("%s/%d was committed at %d with %s, then at %d with %s", at.topic, at.partition, before.Offset, before.Metadata, o.Offset, o.Metadata)
		}
	}
}

// progress returns the watermark, or the closed time, that stands with a committed offset.
func progress(o kafkaio.Offset) (int64, error) {
	if o.Topic == "lines" {
		s, err := wire.ParseCombineState(o.Metadata)
		return s.Watermark, err
	}
	s, err := wire.ParseReduceState(o.Metadata)
	return s.Closed, err
}

// begin has somebody take a slot's task over; a process of its own, whose clock knows nothing, or the one that had it.
func (s *script) begin(stage string, slot int32, endangered bool) {
	before := s.tasks[stage][slot]
	s.started++
	t := &scripted{script: s, name: fmt.Sprintf("%s-%d-%d", stage, slot, s.started), stage: stage, slot: slot}
	job := s.job(t, s.metrics)
	job.settings = map[string]kafkaio.TopicSettings{"g-shuffle": {MaxMessageBytes: 1 << 20}, "counts": {MaxMessageBytes: 1 << 20}, "batches": {MaxMessageBytes: 1 << 20}}
	if before != nil && s.random.IntN(2) == 0 {
		job.clock = before.task().clock
	}
	var lines []int32
	n := len(s.kafka.topics["lines"])
	for p := slot; int(p) < n; p += int32(s.partitions) {
		lines = append(lines, p)
	}
	base := task{job: job, stage: stage, slot: slot, lines: lines, known: covered(int(slot), s.partitions, n, lines)}
	t.job = job
	t.move()
	s.kafka.members[t.name] = true
	if before != nil {
		// It has been put out of the group if it is still to take the transactional id; else it may be that the id alone
		// keeps it from writing.
		before.zombie = true
		early := before.task().producer == nil
		if early {
			s.usurped[before.task().transactionalID()] = true
		}
		if early || s.random.IntN(2) == 0 {
			delete(s.kafka.members, before.name)
		}
		s.zombies = append(s.zombies, before)
	}
	s.tasks[stage][slot] = t
	start := func() error {
		if stage == stageCombine {
			t.combine = &combineTask{task: base}
			return t.combine.start(context.Background())
		}
		t.reduce = &reduceTask{task: base}
		return t.reduce.start(context.Background())
	}
	s.trace("%s begins", t)
	if endangered {
		t.endanger()
	}
	t.do(start)
	if before != nil && t.task().producer != nil {
		before.fenced = true
	}
}

// move has the task's counter be in the group's present generation.
func (t *scripted) move() {
	t.job.place.move(assignment{Generation: kafkaio.Generation{Group: "g", ID: t.kafka.generation, MemberID: t.name}})
}

func (t *scripted) task() *task {
	if t.combine != nil {
		return &t.combine.task
	}
	return &t.reduce.task
}

// do lets a task do something, and draws the consequences of how it ends.
func (t *scripted) do(what func() error) {
	err := what()
	t.strike = nil
	if err == nil && t.dead { // it did not need the answer
		err = errKilled
	}
	if err == nil {
		return
	}
	s := t.script
	s.trace("%s ends: %v", t, err)
	fenced, stale := errors.Is(err, kafkaio.ErrFenced), errors.Is(err, kafkaio.ErrNotMember)
	switch {
	case t.zombie && fenced:
		s.outcome.happened("fenced zombies", 1)
	case t.zombie && stale && !s.kafka.members[t.name]:
		s.outcome.happened("refused zombies", 1)
	case fenced && s.usurped[t.task().transactionalID()]:
		s.outcome.happened("fenced by a zombie", 1)
	case fenced && s.expired[t.task().transactionalID()]:
		s.outcome.happened("fenced after a minute", 1)
	case t.zombie && final(err): // what looks wrong is its successor's work: supervise asks the group
		s.outcome.happened("misled zombies", 1)
	case stale && t.task().generation < s.kafka.generation:
		s.outcome.happened("refused by generation", 1)
	case errors.Is(err, errKilled) && t.dead, errors.Is(err, errNetwork):
	default:
		s.t.Errorf("%s: %v", t, err)
	}
	t.dead = true
	s.zombies = slices.DeleteFunc(s.zombies, func(z *scripted) bool { return z == t })
	if s.tasks[t.stage][t.slot] == t {
		s.tasks[t.stage][t.slot] = nil
	}
}

// Where a task was struck.
var places = []string{"before its transaction", "in the middle of its transaction", "after its transaction was decided"}

// place tells how far the task's transaction is before an operation.
func (t *scripted) place(operation string) string {
	p := t.kafka.producers[t.task().transactionalID()]
	switch {
	case strings.HasPrefix(operation, "end answered"):
		return places[2]
	case p != nil && p.current != nil && !p.current.decided:
		return places[1]
	}
	return places[0]
}

// endanger has something happen to a task in one of its next requests, perhaps.
func (t *scripted) endanger() {
	t.left = t.random.IntN(6 + t.partitions)
	switch t.random.IntN(12) {
	case 0: // it dies
		t.strike = func(operation string) error {
			t.outcome.happened("dies "+t.place(operation), 1)
			t.dead = true
			return errKilled
		}
	case 1: // its connection breaks
		t.strike = func(operation string) error {
			t.outcome.happened("fails "+t.place(operation), 1)
			return errNetwork
		}
	case 2: // it is frozen, and wakes up with a successor
		t.strike = func(operation string) error {
			if t.zombie {
				return nil
			}
			t.outcome.happened("overtaken "+t.place(operation), 1)
			t.begin(t.stage, t.slot, false)
			return nil
		}
	}
}
