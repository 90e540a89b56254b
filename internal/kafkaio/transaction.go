package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addoffsetstotxn"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"
	"golang.org/x/sync/errgroup"
)

const (
	// transactionTimeout is when the broker aborts a transaction whose producer is gone and has no successor.
	transactionTimeout = time.Minute
	// requestPatience bounds the retries inside a transaction: past it the task is better started over.
	requestPatience = 10 * time.Second
	// preparePatience bounds the one try to begin a transaction that could begin later.
	preparePatience = time.Second
	// generationPatience bounds the wait for the next generation inside a transaction: readers wait, too.
	generationPatience = 2 * time.Second
)

// Errors of Transactional.Commit that say how to go on. Any other: the transaction did not happen or is undecided;
// start over with NewTransactional, which settles it.
var (
	// ErrFenced: another producer uses the transactional id, or the broker has aborted what was prepared a minute ago. Nothing was written
	// (unless all was, and the connection broke before the answer came). Who is still a member of the group (a heartbeat sent now succeeds)
	// may start over.
	ErrFenced = errors.New("fenced by another producer with the same transactional id")
	// ErrNotMember: the group's generation is over for this member, and no other is known. Nothing was written. Join again.
	ErrNotMember = errors.New("no longer a member of the group's generation")
)

// Generation is a member's place in a consumer group; TxnOffsetCommit is refused when it is over (KIP-447).
type Generation struct {
	Group    string
	ID       int32
	MemberID string
}

// Place is where a member is in a consumer group, from generation to generation.
type Place interface {
	Now() Generation
	// Next waits for a generation later than one, and returns ctx's error when none came before it ended.
	Next(ctx context.Context, after int32) (Generation, error)
}

// Output is what a transaction writes to one partition: batches in order, none empty, each at most the topic's
// max.message.bytes.
type Output struct {
	Topic     string
	Partition int32
	Batches   []*RecordBatch
}

// Transactional is a transactional producer (KIP-98): the one user of its id. It belongs to one goroutine.
type Transactional struct {
	client    *Client
	id        string
	key       coordinatorKey
	producer  int64
	epoch     int16
	footprint Footprint
	sequences map[topicPartition]int32

	trusting  bool     // the broker is older than the mistake that is looked for, Kafka before 3.0
	unsettled bool     // nobody has looked whether the last transaction's end has reached everything
	begun     bool     // the coordinator has answered that something belongs to the transaction
	prepared  bool     // by Prepare
	promised  []Offset // that Prepare has committed in the transaction
	stray     bool     // a request that says what is committed was not answered in this epoch: it may come yet
}

type topicPartition struct {
	topic     string
	partition int32
}

// NewTransactional fences every earlier user of the transactional id and settles the transaction that it left: what is read afterwards
// (committed offsets) is what was committed, and nothing of the id is open.
func (c *Client) NewTransactional(ctx context.Context, id string, f Footprint) (*Transactional, error) {
	t := &Transactional{client: c, id: id, key: transactionKey(id), footprint: f, sequences: make(map[topicPartition]int32)}
	if err := t.start(ctx); err != nil {
		return nil, fmt.Errorf("start transactional producer %s: %w", id, err)
	}
	return t, nil
}

// Prepare begins the next transaction, so that Commit has little else to send. All that the footprint names takes part, the offsets are committed
// in it, and the outputs are sent, with answers as Commit's. With outputs it holds readers of their partitions up until Commit; without, nobody.
// First Prepare waits until the last one is Settled. It is false, and nothing is prepared or sent, where the coordinator does not answer at once.
// Whoever has prepared must Commit, within the minute after which the broker aborts the transaction and fences the producer. After an error the
// producer is void, as after Commit's.
func (t *Transactional) Prepare(ctx context.Context, in Place, outputs []Output, offsets []Offset) ([]Ack, bool, error) {
	if err := t.ready(ctx); err != nil {
		return nil, false, err
	}
	var all []topicPartition
	for topic, partitions := range t.footprint.Writes {
		for _, p := range partitions {
			all = append(all, topicPartition{topic, p})
		}
	}
	once, cancel := context.WithTimeout(ctx, preparePatience)
	defer cancel()
	switch err := t.tryAddPartitions(once, all); {
	case err == nil:
	case retriable(err) && ctx.Err() == nil:
		return nil, false, nil
	default:
		return nil, false, t.failed(ctx, fmt.Errorf("add partitions: %w", fenced(err)))
	}
	if len(offsets) > 0 {
		if err := t.addGroup(ctx, in.Now().Group); err != nil {
			return nil, false, t.failed(ctx, err)
		}
		if err := t.commitOffsets(ctx, in, offsets); err != nil {
			return nil, false, t.failed(ctx, err)
		}
	}
	acks, err := t.produce(ctx, outputs) // not before: see write
	if err != nil {
		return nil, false, t.failed(ctx, err)
	}
	t.prepared, t.promised = true, slices.Clone(offsets)
	return acks, true, nil
}

// ready has the producer begin a transaction: the last one is settled, and nothing of it can come late.
func (t *Transactional) ready(ctx context.Context) error {
	if t.prepared {
		return nil
	}
	t.begun = false
	if err := t.Settled(ctx); err != nil || !t.stray {
		return err
	}
	return t.renew(ctx)
}

// Commit writes outputs and offsets in one transaction: all of it becomes visible, or nothing. It is the one that was prepared, whose offsets
// hold when there are no others; else it first waits until the last one is Settled. A group that is on its way to its next generation is waited for,
// 2 s at most. It returns the answers to each output's last batch (−1, −1 without one). After an error the producer is void, and so are the batches:
// what was sent of them may still be on its way.
func (t *Transactional) Commit(ctx context.Context, in Place, outputs []Output, offsets []Offset) ([]Ack, error) {
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	acks, err := t.write(ctx, in, outputs, offsets)
	t.prepared, t.promised = false, nil
	switch {
	case err != nil:
		return nil, t.failed(ctx, err)
	case !t.begun: // nothing to write
		return acks, nil
	}
	if err := t.end(ctx); err != nil { // undecided: only the coordinator knows, and NewTransactional asks it
		return nil, fmt.Errorf("transaction of %s: %w", t.id, err)
	}
	t.unsettled = true
	return acks, nil
}

// failed has the transaction aborted that err has ended, unless somebody's NewTransactional will, and returns the error.
func (t *Transactional) failed(ctx context.Context, err error) error {
	somebody := errors.Is(err, ErrFenced) || retriable(err) && !errors.Is(err, ErrNotMember)
	if t.begun && !somebody && ctx.Err() == nil {
		if abort := t.abort(ctx); abort != nil {
			err = fmt.Errorf("%w (and abort: %v)", err, abort)
		}
	}
	return fmt.Errorf("transaction of %s: %w", t.id, err)
}

func (t *Transactional) write(ctx context.Context, in Place, outputs []Output, offsets []Offset) ([]Ack, error) {
	if !t.prepared {
		var written []topicPartition
		for _, o := range outputs {
			if len(o.Batches) > 0 {
				written = append(written, topicPartition{o.Topic, o.Partition})
			}
		}
		if err := t.addPartitions(ctx, written); err != nil {
			return nil, err
		}
	}
	switch {
	case slices.Equal(offsets, t.promised):
		offsets = nil
	case len(t.promised) > 0 && t.stray:
		return nil, errors.New("commit offsets: earlier ones were not answered, and may come behind them")
	}
	var acks []Ack
	var work errgroup.Group // neither ends the other: a transaction is aborted when everything is answered
	work.Go(func() (err error) {
		acks, err = t.produce(ctx, outputs)
		return err
	})
	if len(offsets) > 0 && len(t.promised) == 0 {
		group := in.Now().Group
		work.Go(func() error { return t.addGroup(ctx, group) })
	}
	if err := work.Wait(); err != nil || len(offsets) == 0 {
		return acks, err
	}
	// Not while batches are sent: the broker verifies both with the coordinator, and refuses one of two verifications that
	// meet ("Unable to verify the partition has been added to the transaction"), which then has to come again.
	return acks, t.commitOffsets(ctx, in, offsets)
}

// call retries one request of the transaction within requestPatience and makes fencing one error.
func (t *Transactional) call(ctx context.Context, operation string, try func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, requestPatience)
	defer cancel()
	var last error
	err := retry(bounded, t.client.log, operation+" of "+t.id, func() error {
		last = try(bounded)
		return last
	})
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		err = fmt.Errorf("no success in %v: %w", requestPatience, last)
	}
	return fenced(err)
}

// fenced makes fencing one error.
func fenced(err error) error {
	var code kafka.Error
	if errors.As(err, &code) {
		switch {
		case fencing(code):
			return fmt.Errorf("%w (%s)", ErrFenced, code.Title())
		case notMember(code):
			return fmt.Errorf("%w (%w)", ErrNotMember, code)
		}
	}
	return err
}

// fencing tells whether a broker refuses the producer because another one has taken over, or decided its transaction.
func fencing(err error) bool {
	for _, code := range []kafka.Error{kafka.InvalidProducerEpoch, kafka.ProducerFenced, kafka.InvalidTransactionState, kafka.InvalidProducerIDMapping} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

func (t *Transactional) addPartitions(ctx context.Context, added []topicPartition) error {
	if len(added) == 0 {
		return nil
	}
	err := t.call(ctx, "add partitions to the transaction", func(ctx context.Context) error { return t.tryAddPartitions(ctx, added) })
	if err != nil {
		return fmt.Errorf("add partitions: %w", err)
	}
	return nil
}

func (t *Transactional) tryAddPartitions(ctx context.Context, added []topicPartition) error {
	req := &addpartitionstotxn.Request{TransactionalID: t.id, ProducerID: t.producer, ProducerEpoch: t.epoch}
	for _, at := range added {
		i := slices.IndexFunc(req.Topics, func(r addpartitionstotxn.RequestTopic) bool { return r.Name == at.topic })
		if i < 0 {
			i = len(req.Topics)
			req.Topics = append(req.Topics, addpartitionstotxn.RequestTopic{Name: at.topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, at.partition)
	}
	m, err := t.client.toCoordinator(ctx, t.key, req)
	if err != nil {
		return err
	}
	for _, topic := range m.(*addpartitionstotxn.Response).Results {
		for _, p := range topic.Results {
			// OperationNotAttempted (55) goes with the error of another partition.
			if p.ErrorCode != 0 && p.ErrorCode != 55 {
				return t.client.coordinated(t.key, p.ErrorCode)
			}
		}
	}
	t.begun = true
	return nil
}

// produce sends the outputs' batches: the first of each together, then the second ones, and so on, because a request
// may have one batch for a partition.
func (t *Transactional) produce(ctx context.Context, outputs []Output) ([]Ack, error) {
	acks := make([]Ack, len(outputs))
	for i := range acks {
		acks[i] = Ack{BaseOffset: -1, AppendTime: -1} // of an output without batches
	}
	for round := 0; ; round++ {
		var due []int
		for i, o := range outputs {
			if round < len(o.Batches) {
				due = append(due, i)
			}
		}
		if len(due) == 0 {
			return acks, nil
		}
		if err := t.produceRound(ctx, outputs, due, round, acks); err != nil {
			return nil, err
		}
	}
}

func (t *Transactional) produceRound(ctx context.Context, outputs []Output, due []int, round int, acks []Ack) error {
	pending := make([]encoded, len(due))
	for k, i := range due {
		o := outputs[i]
		at := topicPartition{o.Topic, o.Partition}
		b := o.Batches[round]
		pending[k] = encoded{o.Topic, o.Partition, b.encode(t.producer, t.epoch, t.sequences[at], true)}
		t.sequences[at] = nextSequence(t.sequences[at], b.count)
	}
	began := time.Now()
	return t.call(ctx, "produce", func(ctx context.Context) error {
		requests, unled := t.client.byLeader(ctx, pending)
		for k, err := range unled {
			if err != nil {
				return fmt.Errorf("produce to %s/%d: %w", pending[k].topic, pending[k].partition, err)
			}
		}
		results := make([]error, len(pending))
		var work errgroup.Group
		for _, r := range requests {
			work.Go(func() error {
				got, errs, err := t.client.produce(ctx, r.leader, t.id, r.batches)
				if err != nil {
					return err
				}
				for j, k := range r.indexes {
					if results[k] = errs[j]; errs[j] == nil {
						acks[due[k]] = got[j]
						acks[due[k]].Sent = began // what is known to the broker already has the time at which that came
					}
				}
				return nil
			})
		}
		if err := work.Wait(); err != nil {
			return err // all are sent again: the broker knows those it has by their sequence
		}
		// A final refusal is worth more than one that a retry may mend.
		for _, mendable := range []bool{false, true} {
			for k, err := range results {
				if err != nil && retriable(err) == mendable {
					return fmt.Errorf("produce to %s/%d: %w", pending[k].topic, pending[k].partition, err)
				}
			}
		}
		return nil
	})
}

// commitOffsets commits in the present generation, or in a later one if that is over by now.
func (t *Transactional) commitOffsets(ctx context.Context, in Place, offsets []Offset) error {
	patience, cancel := context.WithTimeout(ctx, generationPatience)
	defer cancel()
	for gen := in.Now(); ; {
		err := t.commitOffsetsIn(ctx, gen, offsets)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("commit offsets: %w", err)
		if !movedOn(err) {
			return err
		}
		next, none := in.Next(patience, gen.ID)
		if none != nil {
			return err
		}
		gen = next
	}
}

func (t *Transactional) commitOffsetsIn(ctx context.Context, gen Generation, offsets []Offset) error {
	req := &txnoffsetcommit.Request{
		TransactionalID: t.id, ProducerID: t.producer, ProducerEpoch: t.epoch,
		GroupID: gen.Group, GenerationID: gen.ID, MemberID: gen.MemberID,
	}
	for _, o := range offsets {
		i := slices.IndexFunc(req.Topics, func(r txnoffsetcommit.RequestTopic) bool { return r.Name == o.Topic })
		if i < 0 {
			i = len(req.Topics)
			req.Topics = append(req.Topics, txnoffsetcommit.RequestTopic{Name: o.Topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, txnoffsetcommit.RequestPartition{
			Partition: o.Partition, CommittedOffset: o.Offset, CommittedLeaderEpoch: -1, CommittedMetadata: o.Metadata})
	}
	group := groupKey(gen.Group)
	return t.call(ctx, "commit offsets", func(ctx context.Context) error {
		m, err := t.client.toCoordinator(ctx, group, req)
		if err != nil {
			t.stray = true
			return err
		}
		for _, topic := range m.(*txnoffsetcommit.Response).Topics {
			for _, p := range topic.Partitions {
				if err := t.client.coordinated(group, p.ErrorCode); err != nil {
					return fmt.Errorf("%s/%d: %w", topic.Name, p.Partition, err)
				}
			}
		}
		return nil
	})
}

func (t *Transactional) addGroup(ctx context.Context, group string) error {
	err := t.call(ctx, "add the group to the transaction", func(ctx context.Context) error {
		m, err := t.client.toCoordinator(ctx, t.key, &addoffsetstotxn.Request{
			TransactionalID: t.id, ProducerID: t.producer, ProducerEpoch: t.epoch, GroupID: group})
		if err != nil {
			return err
		}
		return t.client.coordinated(t.key, m.(*addoffsetstotxn.Response).ErrorCode)
	})
	if err != nil {
		return fmt.Errorf("add the group to the transaction: %w", err)
	}
	t.begun = true
	return nil
}

// end commits. A resend is answered like the first.
func (t *Transactional) end(ctx context.Context) error {
	err := t.call(ctx, "commit", func(ctx context.Context) error {
		m, err := t.client.toCoordinator(ctx, t.key, &endtxn.Request{
			TransactionalID: t.id, ProducerID: t.producer, ProducerEpoch: t.epoch, Committed: true})
		if err != nil {
			t.stray = true
			return err
		}
		return t.client.coordinated(t.key, m.(*endtxn.Response).ErrorCode)
	})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
