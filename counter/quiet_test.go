package counter

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// quiet is a schedule in which nothing goes wrong, with one counter whose tasks a test takes in hand.
func quiet(t *testing.T, lines, partitions int) (*schedule, *process) {
	s := &schedule{t: t, seed: 1, random: rand.New(rand.NewPCG(1, 1)), partitions: partitions, limits: production, session: 6 * time.Second}
	s.calm.Store(true)
	s.cfg.Settings = Settings{BatchInterval: 5 * time.Second, Grace: 250 * time.Millisecond, Group: "g", Tokenizer: "space", ReportEmpty: time.Hour}
	s.cfg.LinesTopic, s.cfg.CountsTopic, s.cfg.BatchesTopic = "lines", "counts", "batches"
	s.topics(lines)
	s.kafka.generation, s.kafka.members["m"] = 1, true
	p := s.process()
	p.job.place.move(p.alone(nil))
	return s, p
}

// task makes a task of a slot with its lines partitions.
func (p *process) task(slot int32, known int, lines ...int32) task {
	return task{job: p.job, slot: slot, lines: lines, known: known}
}

// alone is what the process has in the group's first generation. Nobody ends it.
func (p *process) alone(partitions map[string][]int32) assignment {
	return assignment{Generation: kafkaio.Generation{Group: "g", ID: 1, MemberID: "m"}, partitions: partitions, ctx: context.Background(), heartbeat: p.heartbeat(1, "m")}
}

// inGroup is a membership that gives the process the same slots again and again, and tells when it is asked to.
type inGroup struct {
	assignment
	asked func()
}

func (g inGroup) Next(ctx context.Context, _ map[string][]int32) (assignment, error) {
	if g.asked != nil {
		g.asked()
	}
	return g.assignment, ctx.Err()
}

// counts has the process count alone, and closes over when it has ended.
func (p *process) counts(ctx context.Context, partitions map[string][]int32, asked func()) (over chan struct{}) {
	over = make(chan struct{})
	go func() {
		defer close(over)
		if err := p.job.count(ctx, inGroup{p.alone(partitions), asked}); err != nil {
			p.schedule.t.Error(err)
		}
	}()
	return over
}

// reads starts slot 0's combine on partition 0 of the lines, and has it read once.
func (p *process) reads(t *testing.T) *combineTask {
	t.Helper()
	task := &combineTask{task: p.task(0, 1, 0)}
	task.stage = stageCombine
	if err := task.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := task.read(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	return task
}

func (s *schedule) commit(topic string, partition int32, offset int64, metadata string) {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	s.kafka.offsets[topicPartition{topic, partition}] = kafkaio.Offset{Topic: topic, Partition: partition, Offset: offset, Metadata: metadata}
}

// send sends shuffle records, each in a transaction of its own: the n-th is at offset 2n.
func (s *schedule) send(partition int, records ...[]byte) {
	for _, record := range records {
		s.sends(partition, record)()
	}
}

// sends sends a record in a transaction of a producer of its own, which ends with some more.
func (s *schedule) sends(partition int, record []byte) (end func(more ...[]byte)) {
	k := s.kafka
	k.mu.Lock()
	defer k.mu.Unlock()
	k.producerID++
	l, txn := k.topics["g-shuffle"][partition], &memoryTransaction{producer: &memoryProducer{id: k.producerID}}
	send := func(record []byte) {
		var b kafkaio.RecordBatch
		b.Append(0, nil, record)
		k.append(l, &b, txn, false)
	}
	send(record)
	return func(more ...[]byte) {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, record := range more {
			send(record)
		}
		k.mark(l, txn)
	}
}

// committed returns what the group has committed for a partition, and where its log begins and ends.
func (s *schedule) committed(topic string, partition int32) (committed kafkaio.Offset, start, end int64) {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	l := s.kafka.topics[topic][partition]
	return s.kafka.offsets[l.name], l.start, l.end()
}

func (s *schedule) lines(partition int, n int) {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	for range n {
		var b kafkaio.RecordBatch
		b.Append(0, nil, []byte("line"))
		s.kafka.append(s.kafka.topics["lines"][partition], &b, nil, false)
	}
	s.kafka.announce()
}

// leaderless takes a lines partition's leader away, or gives it one.
func (s *schedule) leaderless(partition int, leaderless bool) {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	s.kafka.topics["lines"][partition].leaderless = leaderless
	s.kafka.announce()
}

const (
	aTime       = 1769030725000
	anInterval  = 5000
	aWatermark  = `{"v":1,"watermark":1769030725000,"lines_partitions":4}`
	aLater      = `{"v":1,"watermark":1769030730000,"lines_partitions":4}`
	aReduce     = `{"v":1,"closed":1769030720000,"last_non_empty":1,"interval_ms":5000,"partitions":2,"lines_partitions":4}`
	aReduceToo  = `{"v":1,"closed":1769030715000,"last_non_empty":1,"interval_ms":5000,"partitions":2,"lines_partitions":4}`
	noWatermark = wire.NoWatermark
)

func said(slot int, time int64, partitions int) []byte {
	return wire.AppendWatermark(nil, wire.Watermark{Slot: slot, Interval: anInterval, Time: time, Partitions: partitions})
}
