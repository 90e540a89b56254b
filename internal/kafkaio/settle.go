package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// A transaction is decided by its coordinator, which then has an end marker written to each partition of the transaction and to the
// group's offsets. Kafka 4.1 to 4.3.1 leaves markers out (KAFKA-20734): a partition without a leader at that moment, as all are around the
// restart of a single broker, is taken for deleted ("Couldn't find leader endpoint …"), and the coordinator goes on as if it had been told. What was
// written stays open there, and the end of the producer's next transaction decides for both.
//
// So no transaction begins before nothing is open of the one before, and markers that are left out are written again, as was decided. The
// coordinator forgets that with the next InitProducerID, which therefore leaves a note of it. The rule from which the others follow:
// all that is decided in one epoch is decided in the same way, as its note says; an abort has an epoch of its own, which is nobody's.
//
// docs/model/settle.pml goes through all runs of it, and shows that each rule is needed.

// Footprint is all that the transactions of an id touch.
type Footprint struct {
	Writes  map[string][]int32 // the partitions that they write to, by topic
	Group   string
	Offsets map[string][]int32 // the partitions whose offsets they commit in Group, by topic
}

type decision int8

const (
	unknown decision = iota
	committed
	aborted
)

func (d decision) String() string { return [...]string{"unknown", "commit", "abort"}[d] }

// note is what InitProducerID leaves for its epoch: how ends what is open. Or the epoch is a producer's, which has begun with nothing
// open and only commits. It stands in the transaction timeout, which DescribeTransactions returns; a few milliseconds make no other difference.
type note struct {
	decision decision
	live     int16 // with unknown: the producer's epoch; −1: none
}

// A later note comes long before epochs that are so far apart.
const notedEpochs = 1024

var noNote = note{unknown, -1}

func (n note) timeout() time.Duration {
	ms := time.Duration(n.decision)
	if n.live >= 0 {
		ms = 3 + time.Duration(n.live%notedEpochs)
	}
	return transactionTimeout - ms*time.Millisecond
}

func noteOf(timeout time.Duration) note {
	switch ms := (transactionTimeout - timeout) / time.Millisecond; {
	case ms == 1:
		return note{committed, -1}
	case ms == 2:
		return note{aborted, -1}
	case ms >= 3 && ms < 3+notedEpochs:
		return note{unknown, int16(ms - 3)}
	}
	return noNote
}

func (n note) liveIn(epoch int16) bool { return n.live >= 0 && n.live == epoch%notedEpochs }

// lastTransaction is what the coordinator knows of an id (KIP-664).
type lastTransaction struct {
	state    string // empty: nothing is known
	producer int64
	epoch    int16
	note     note
}

// over tells whether the coordinator takes all markers for written.
func (l lastTransaction) over() bool {
	return l.state == "CompleteCommit" || l.state == "CompleteAbort"
}

// decision is how ends what is open in the described epoch, unless another one follows.
func (l lastTransaction) decision() decision {
	switch l.state {
	case "PrepareCommit", "CompleteCommit":
		return committed
	case "PrepareAbort", "CompleteAbort", "PrepareEpochFence":
		return aborted
	}
	switch {
	case l.note.live < 0:
		return l.note.decision
	case l.note.liveIn(l.epoch):
		return committed
	case l.state == "Ongoing": // the producer is being fenced
		return aborted
	case l.note.liveIn(l.epoch - 1): // another one was faster, and has committed
		return committed
	}
	return unknown // the other one may have been aborted
}

// errOvertaken: another one uses the id. He may be through with it, so take over again.
var errOvertaken = errors.New("overtaken by another producer with the same transactional id")

// start takes the id over, mends what markers are missing, and goes live.
func (t *Transactional) start(ctx context.Context) error {
	again := waiting{log: t.client.log, operation: "start transactional producer " + t.id}
	for {
		last, err := t.takeOver(ctx)
		if err == nil {
			err = t.mend(ctx, last)
		}
		if err == nil {
			err = t.goLive(ctx)
		}
		if !errors.Is(err, errOvertaken) {
			again.over()
			return err
		}
		if err = again.backoff(ctx, err); err != nil {
			return err
		}
	}
}

// takeOver fences whoever used the id, waits until the coordinator is through with its last transaction, and returns how that was
// decided.
func (t *Transactional) takeOver(ctx context.Context) (last decision, err error) {
	err = retry(ctx, t.client.log, "take over "+t.id, func() error {
		before, err := t.describe(ctx)
		if err != nil {
			return err
		}
		t.producer, last = before.producer, before.decision()
		noteless := before.epoch < 0 || last == unknown && before.state == "Ongoing" // a new id, or of a producer that leaves no notes
		// After its last epoch an id gets another producer id, which ends nothing of this one.
		if !noteless && (last == unknown || before.epoch >= math.MaxInt16-1) {
			if err := t.nothingOpen(ctx, before); err != nil {
				return err
			}
			if last == unknown {
				last = committed // of nothing
			}
		}
		err = t.init(ctx, note{last, -1}, before.producer, before.epoch)
		switch {
		case fencing(err):
			return fmt.Errorf("%w: %w", kafka.ConcurrentTransactions, err) // there is another epoch by now: describe again
		case err == nil && noteless && !t.trusting:
			return kafka.ConcurrentTransactions // another one may have been faster: describe again
		}
		return err
	})
	return last, err
}

// nothingOpen returns an error when something is open that nobody can end as it was decided, or what was described is over.
func (t *Transactional) nothingOpen(ctx context.Context, described lastTransaction) error {
	open, err := t.open(ctx)
	if err != nil {
		return err
	}
	now, err := t.describe(ctx)
	switch {
	case err != nil:
		return err
	case now != described: // what is open may be another one's
		return kafka.ConcurrentTransactions
	case len(open) > 0:
		return finalError{fmt.Errorf("%s is still open in a transaction that nobody can end any more as it was decided. "+
			"Aborted (kafka-transactions.sh abort) it does not hold anybody up, but what it holds is lost or doubled if it was committed elsewhere", open[0])}
	}
	return nil
}

// mend writes the markers that are missing. Others who have described the same epoch may do the same.
func (t *Transactional) mend(ctx context.Context, last decision) error {
	ended := make(map[string]bool)
	return retry(ctx, t.client.log, "settle the last transaction of "+t.id, func() error {
		for {
			open, err := t.open(ctx)
			if err != nil || len(open) == 0 {
				return err
			}
			for _, at := range open {
				if ended[at.String()] {
					return finalError{fmt.Errorf("%s is still open: another producer, with another transactional id, has it open", at)}
				}
				if err := t.mark(ctx, at, last); err != nil {
					return err
				}
				ended[at.String()] = true
			}
		}
	})
}

// goLive gets an epoch that nobody else gets, nothing being open.
func (t *Transactional) goLive(ctx context.Context) error {
	producer, own := t.producer, t.epoch+1
	err := retry(ctx, t.client.log, "start transactional producer "+t.id, func() error {
		err := t.init(ctx, note{unknown, own}, -1, -1)
		if errors.Is(err, kafka.ConcurrentTransactions) {
			return finalError{errOvertaken}
		}
		return err
	})
	if err == nil && (t.producer != producer || t.epoch != own) {
		return errOvertaken
	}
	return err
}

// renew gets the producer a new epoch, nothing being open: whatever was sent in the old one and comes late is refused. It does not ask by the
// epoch that it knows (KIP-360): whoever has described that would get the same one.
func (t *Transactional) renew(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, requestPatience)
	defer cancel()
	if err := t.goLive(bounded); err != nil {
		return fmt.Errorf("renew the epoch of %s: %w", t.id, err)
	}
	t.stray = false
	clear(t.sequences)
	return nil
}

// Settled returns nil when the end of the last transaction has reached everything that it touched. It waits for the markers, and asks nothing
// when the answer is known. The error means that Kafka has left one out, or does not answer: start over with NewTransactional, which settles it.
func (t *Transactional) Settled(ctx context.Context) error {
	if !t.unsettled {
		return nil
	}
	over := false
	err := t.call(ctx, "wait for the end of the last transaction", func(ctx context.Context) error {
		for {
			open, err := t.open(ctx)
			switch {
			case err != nil || len(open) == 0:
				return err
			case over: // it was before we looked
				return finalError{fmt.Errorf("its end is missing at %s: Kafka has left it out (KAFKA-20734)", open[0])}
			}
			last, err := t.describe(ctx)
			switch {
			case err != nil:
				return err
			case last.producer != t.producer || last.epoch != t.epoch:
				return kafka.ProducerFenced
			case !last.over():
				return kafka.ConcurrentTransactions
			}
			over = true
		}
	})
	if err != nil {
		return fmt.Errorf("last transaction of %s: %w", t.id, err)
	}
	t.unsettled = false
	return nil
}

// abort has the coordinator abort the producer's open transaction. EndTxn would do so in the epoch in which others are committed, and
// would let a batch that comes late stay open (KIP-890). It is one try: who has the id next aborts it otherwise.
func (t *Transactional) abort(ctx context.Context) error {
	before, err := t.describe(ctx)
	if err != nil || !t.trusting && (before.producer != t.producer || before.epoch != t.epoch) {
		return err
	}
	err = t.init(ctx, note{before.decision(), -1}, t.producer, t.epoch)
	if errors.Is(err, kafka.ConcurrentTransactions) || fencing(err) { // it is being aborted, or is
		return nil
	}
	return err
}

// init is one try of InitProducerID, by whoever (−1, −1) or by one who knows the epoch (KIP-360).
func (t *Transactional) init(ctx context.Context, n note, producer int64, epoch int16) error {
	m, err := t.client.toCoordinator(ctx, t.key, &initproducerid.Request{
		TransactionalID: t.id, TransactionTimeoutMs: int32(n.timeout() / time.Millisecond), ProducerID: producer, ProducerEpoch: epoch})
	if err != nil {
		return err
	}
	answer := m.(*initproducerid.Response)
	if err := t.client.coordinated(t.key, answer.ErrorCode); err != nil {
		return err
	}
	t.producer, t.epoch = answer.ProducerID, answer.ProducerEpoch
	return nil
}
