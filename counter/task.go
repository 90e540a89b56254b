package counter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"

	"wordcount/counter/window"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

const (
	firstRestart = 50 * time.Millisecond
	maxRestart   = 5 * time.Second
	lastCommit   = 5 * time.Second // what a stopping task may take for its last transaction; less than the group's session
	lastPrepare  = time.Second     // and to prepare it, where it was about to
	maxRecord    = 256 << 10       // of a shuffle record, bytes
)

// job is what the tasks of a counter share.
type job struct {
	cfg        *Config
	broker     broker
	clock      *kafkaio.BrokerClock
	metrics    *metrics
	log        *slog.Logger
	interval   window.Interval
	limits     limits
	place      *place
	partitions int // Q
	reduces    *reduces
	createTime bool                             // the lines topic has CreateTime
	linesID    kafkaio.TopicID                  // of the lines topic
	linesSeen  bool                             // linesID is known
	settings   map[string]kafkaio.TopicSettings // of topics
	fail       func(error)                      // ends the counter
}

// task is one stage of one slot, for as long as the slot is this counter's. It is the only one that writes with its
// transactional id, or finds itself fenced.
type task struct {
	*job
	stage      string
	slot       int32
	lines      []int32 // the slot's lines partitions
	known      int     // every lines partition of the slot below this number is in lines
	generation int32   // in which it has committed last
	producer   transactional
	prepared   time.Time // when the transaction was that is committed next; zero: it is not
}

func (t *task) String() string { return fmt.Sprintf("%s %d", t.stage, t.slot) }

// transactionalID is fixed for a fixed set of inputs: who takes the slot over fences who had it.
func (t *task) transactionalID() string {
	return fmt.Sprintf("%s-%s-%s-%d", t.cfg.Group, t.cfg.shuffleTopic(), t.stage, t.slot)
}

// supervise runs attempts at a task until one ends without error (it was stopped) or an error is final. Where the group has moved
// on without the task, it waits for its counter to do so: then the slot is this counter's still, or ctx ends.
func (t *task) supervise(ctx context.Context, attempt func(context.Context) error) {
	t.metrics.tasks.WithLabelValues(t.stage).Inc()
	defer t.metrics.tasks.WithLabelValues(t.stage).Dec()
	backoff := firstRestart
	for ctx.Err() == nil {
		started := time.Now()
		err := attempt(ctx)
		switch {
		case err == nil, ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return
		case errors.Is(err, kafkaio.ErrNotMember):
			t.waitForNext(ctx, t.generation, err)
			continue
		case errors.Is(err, kafkaio.ErrFenced), final(err):
			// Fenced by a successor, or by a predecessor that woke up? And what looks wrong may be a successor's work: a
			// task that was frozen finds the records deleted that its successor has read. Only the group knows.
			if errors.Is(err, kafkaio.ErrFenced) {
				t.log.Warn("task fenced", "task", t.String(), "error", err)
			}
			here := t.place.now()
			switch asked := here.heartbeat(ctx); {
			case errors.Is(asked, kafkaio.ErrNotMember):
				t.waitForNext(ctx, here.ID, err)
				continue
			case ctx.Err() != nil:
				return
			case final(err):
				t.fail(fmt.Errorf("%s: %w", t, err))
				return
			case asked != nil:
				err = errors.Join(err, asked)
			}
		}
		t.log.Warn("task starts over", "task", t.String(), "in", backoff, "error", err)
		if time.Since(started) > time.Minute {
			backoff = firstRestart
		}
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
		backoff = min(2*backoff, maxRestart)
	}
}

// waitForNext waits for a generation after the one in which err came.
func (t *task) waitForNext(ctx context.Context, generation int32, err error) {
	t.log.Info("the group has moved on, the task waits for the next generation", "task", t.String(), "error", err)
	t.place.after(ctx, generation)
}

// refusal is an error that starting over does not mend.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// final tells whether starting over is of no use: what was found is wrong, or the broker refuses for good.
func final(err error) bool {
	var r refusal
	if errors.As(err, &r) {
		return true
	}
	var code kafka.Error
	if !errors.As(err, &code) {
		return false
	}
	switch code {
	case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge, kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed,
		kafka.ClusterAuthorizationFailed, kafka.TransactionalIDAuthorizationFailed, kafka.SASLAuthenticationFailed,
		kafka.UnsupportedSASLMechanism, kafka.UnsupportedVersion, kafka.InvalidTransactionTimeout, kafka.PolicyViolation,
		kafka.OffsetMetadataTooLarge:
		return true
	}
	return false
}

// begin takes the transactional id over, and so settles what its last user left.
func (t *task) begin(ctx context.Context) (err error) {
	t.prepared = time.Time{}
	t.producer, err = t.broker.NewTransactional(ctx, t.transactionalID(), t.footprint())
	return err
}

// footprint is what the task's transactions touch.
func (t *task) footprint() kafkaio.Footprint {
	shuffle := t.cfg.shuffleTopic()
	if t.stage == stageReduce {
		return kafkaio.Footprint{
			Writes:  map[string][]int32{t.cfg.CountsTopic: {t.slot}, t.cfg.BatchesTopic: {t.slot}},
			Group:   t.cfg.Group,
			Offsets: map[string][]int32{shuffle: {t.slot}},
		}
	}
	return kafkaio.Footprint{
		Writes:  map[string][]int32{shuffle: allPartitions(t.partitions)},
		Group:   t.cfg.Group,
		Offsets: map[string][]int32{t.cfg.LinesTopic: t.lines},
	}
}

// prepare sends what can be said of the next transaction before: records, and the offsets that it will commit, unless something comes
// in between. As little as can be is left for the moment in which a window closes.
func (t *task) prepare(ctx context.Context, outputs []kafkaio.Output, offsets ...kafkaio.Offset) error {
	ctx, cancel := patient(ctx, lastPrepare)
	defer cancel()
	acks, prepared, err := t.producer.Prepare(ctx, t, outputs, offsets)
	if err != nil {
		t.ended(err)
		return explained(err)
	}
	if prepared {
		t.prepared = time.Now()
	}
	t.tell(acks)
	return nil
}

// untilClosing returns how long it is until the broker's clock closes a window that ends then.
func (t *task) untilClosing(end int64) time.Duration {
	return time.Duration(end-t.clock.Now())*time.Millisecond + t.cfg.Grace
}

// mayPrepare tells whether it is time to prepare the transaction in which a window closes that ends then: so long ahead, or less.
func (t *task) mayPrepare(end int64, ahead time.Duration) bool {
	left := t.untilClosing(end)
	return t.prepared.IsZero() && 0 < left && left <= ahead
}

// overdue tells whether a transaction was prepared so long ago that it must be committed without what it waits for.
func (t *task) overdue() bool { return !t.prepared.IsZero() && time.Since(t.prepared) >= flushAge }

// commit writes one transaction, or what is left of it, tells the metrics how it went, and the clock what time it is at the broker. A stop does not
// interrupt it: what was read is committed, and readers don't wait for a transaction that was left open.
func (t *task) commit(ctx context.Context, outputs []kafkaio.Output, offsets ...kafkaio.Offset) error {
	ctx, cancel := patient(ctx, lastCommit)
	defer cancel()
	start := time.Now()
	acks, err := t.producer.Commit(ctx, t, outputs, offsets)
	t.prepared = time.Time{}
	t.ended(err)
	if err != nil {
		return explained(err)
	}
	took := time.Since(start)
	t.metrics.transaction.WithLabelValues(t.stage).Observe(took.Seconds())
	t.log.Debug("committed", "task", t.String(), "took", took)
	t.tell(acks)
	return nil
}

// tell tells the clock what time it is at the broker.
func (t *task) tell(acks []kafkaio.Ack) {
	for _, a := range acks {
		t.clock.Observe(a.AppendTime, a.Sent, a.Received)
	}
}

// explained says what to do about a refusal of a task's records.
func explained(err error) error {
	var code kafka.Error
	if errors.As(err, &code) && (code == kafka.MessageSizeTooLarge || code == kafka.RecordListTooLarge) {
		return fmt.Errorf("%w: raise max.message.bytes of the topic above the longest word's record (1 MiB is enough for all)", err)
	}
	return err
}

// ended tells the metrics how a transaction ended.
func (t *task) ended(err error) {
	outcome := outcomeCommitted
	switch {
	case err == nil:
	case errors.Is(err, kafkaio.ErrFenced):
		outcome = outcomeFenced
	case errors.Is(err, kafkaio.ErrNotMember):
		outcome = outcomeStale
	default:
		outcome = outcomeAborted
	}
	t.metrics.transactions.WithLabelValues(t.stage, outcome).Inc()
}

// patient returns a context that outlives ctx by d.
func patient(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	patience, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return patience, func() { stop(); cancel() }
}

// packer fills record batches up to a topic's limit.
type packer struct {
	max     int
	batches []*kafkaio.RecordBatch // those that are full
	open    *kafkaio.RecordBatch   // nil: none
	bytes   int                    // in all of them
	spare   []*kafkaio.RecordBatch
}

func newPackers(n, max int) []packer {
	packers := make([]packer, n)
	for i := range packers {
		packers[i].max = max
	}
	return packers
}

func (p *packer) append(timeMs int64, key, value []byte) {
	size := len(key) + len(value) + kafkaio.RecordOverhead
	if p.open != nil && p.open.Size()+size > p.max {
		p.seal()
	}
	if p.open == nil {
		if last := len(p.spare) - 1; last >= 0 {
			p.open, p.spare = p.spare[last], p.spare[:last]
		} else {
			p.open = new(kafkaio.RecordBatch)
		}
	}
	p.open.Append(timeMs, key, value)
	p.bytes += size
}

// seal ends the batch that is being filled.
func (p *packer) seal() {
	p.batches = append(p.batches, p.open)
	p.open = nil
}

// all returns the batches, none of them empty.
func (p *packer) all() []*kafkaio.RecordBatch {
	if p.open != nil {
		p.seal()
	}
	return p.batches
}

// sent empties the packer when all batches were sent. Those of a transaction that failed may still be on their way: they are
// left to whoever has them.
func (p *packer) sent() {
	const maxSpare = 2
	for _, b := range p.batches[:min(len(p.batches), maxSpare-len(p.spare))] {
		b.Reset()
		p.spare = append(p.spare, b)
	}
	clear(p.batches)
	p.batches, p.bytes = p.batches[:0], 0
}

// allPartitions returns the numbers of a topic's n partitions.
func allPartitions(n int) []int32 {
	all := make([]int32, n)
	for p := range all {
		all[p] = int32(p)
	}
	return all
}

// reduceStates reads what the reduce tasks have committed, nil for those that have not yet, and notes how far they are.
func (j *job) reduceStates(ctx context.Context) ([]*wire.ReduceState, error) {
	offsets, err := j.broker.Committed(ctx, j.cfg.Group, j.cfg.shuffleTopic(), allPartitions(j.partitions))
	if err != nil {
		return nil, err
	}
	states := make([]*wire.ReduceState, j.partitions)
	for q, o := range offsets {
		if o.Offset < 0 {
			continue
		}
		if states[q], err = j.parseReduceState(o); err != nil {
			return nil, err
		}
		j.reduces.close(int32(q), states[q].Closed)
	}
	return states, nil
}

func (j *job) parseReduceState(o kafkaio.Offset) (*wire.ReduceState, error) {
	s, err := wire.ParseReduceState(o.Metadata)
	if errors.Is(err, wire.ErrNoMetadata) {
		return nil, j.lost(o.Topic, o.Partition, err.Error())
	}
	if err != nil {
		return nil, refusal{err}
	}
	if s.Interval != int64(j.interval) || s.Partitions != j.partitions {
		return nil, refusal{otherSettings(fmt.Sprintf("topic %s was written with --batch-interval %v and %d partitions, this counter has %v and %d",
			o.Topic, time.Duration(s.Interval)*time.Millisecond, s.Partitions, j.cfg.BatchInterval, j.partitions))}
	}
	if s.Settings != "" && s.Settings != j.cfg.shared() {
		return nil, refusal{otherSettings(fmt.Sprintf("group %s has counted with another --tokenizer or --report-empty than this counter has", j.cfg.Group))}
	}
	return &s, nil
}

// lost is the refusal to guess where to go on.
func (j *job) lost(topic string, partition int32, why string) error {
	return refusal{fmt.Errorf("group %s has run before, but where it was in %s/%d is lost (%s): its offsets expired "+
		"(offsets.retention.minutes), were reset with a tool, or a topic was deleted and made anew. Going on from anywhere else would lose lines or count them twice. "+startOver, j.cfg.Group, topic, partition, why)}
}

// startOver is the remedy where nobody knows any more what is counted.
const startOver = "Start over with a new --group and new output topics; docs/operations.md, section Lost offsets, has the details"
