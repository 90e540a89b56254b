package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

const produceVersion = 8

// Ack is what the broker answered to a batch.
type Ack struct {
	BaseOffset int64     // of the batch's first record; −1 when a resend was recognized and its place is forgotten
	AppendTime int64     // ms since the epoch; −1 when the topic has CreateTime. A resend that was recognized has the first one's
	Sent       time.Time // when the batch went: in a transaction for the first time
	Received   time.Time // when the answer came
}

// encoded is a batch ready for the wire.
type encoded struct {
	topic     string
	partition int32
	batch     []byte
}

// produce sends batches, of different partitions that one broker leads, in one request with acks=all, and returns an
// answer and an error for each; err is the request's.
func (c *Client) produce(ctx context.Context, leader int32, transactionalID string, batches []encoded) (acks []Ack, errs []error, err error) {
	head := appendNullableString(nil, transactionalID)
	head = appendInt16(head, -1) // acks: all in-sync replicas
	head = appendInt32(head, int32(requestTimeout/time.Millisecond))
	head = appendInt32(head, int32(len(batches)))
	parts := make([][]byte, 0, 2*len(batches))
	for _, b := range batches { // one topic entry a batch: simple, and as good for the broker
		head = appendString(head, b.topic)
		head = appendInt32(head, 1)
		head = appendInt32(head, b.partition)
		head = appendInt32(head, int32(len(b.batch)))
		parts = append(parts, head, b.batch)
		head = nil
	}
	x := &exchange{key: protocol.Produce, version: produceVersion, broker: leader, request: parts}
	sent := time.Now()
	if err := c.send(ctx, x, 2*requestTimeout); err != nil {
		return nil, nil, err
	}
	received := time.Now()
	acks, errs = make([]Ack, len(batches)), make([]error, len(batches))
	for i := range errs {
		errs[i] = errors.New("no answer")
	}
	r := cursor{b: x.response}
	for range r.count() {
		topic := r.string()
		for range r.count() {
			number, code := r.int32(), r.int16()
			ack := Ack{BaseOffset: r.int64(), AppendTime: r.int64(), Sent: sent, Received: received}
			r.int64() // log start offset
			for range r.count() {
				r.int32()
				r.string()
			}
			message := r.string()
			for i, b := range batches {
				if b.topic != topic || b.partition != number {
					continue
				}
				switch err := kafka.Error(code); {
				case err == 0, err == kafka.DuplicateSequenceNumber:
					acks[i], errs[i] = ack, nil
				case message != "":
					errs[i] = fmt.Errorf("%w: %s", err, message)
				default:
					errs[i] = err
				}
			}
		}
	}
	if r.short {
		return nil, nil, fmt.Errorf("response of %d bytes ends early", len(x.response))
	}
	return acks, errs, nil
}

// ledBatches are batches that one broker leads, and which of all they are.
type ledBatches struct {
	leader  int32
	batches []encoded
	indexes []int
}

// byLeader divides batches by who leads their partitions; unled has an error for each of which that is not known.
func (c *Client) byLeader(ctx context.Context, all []encoded) (led []*ledBatches, unled []error) {
	unled = make([]error, len(all))
	var leaders []int32
	var unknown error
	for i, b := range all {
		if i == 0 || b.topic != all[i-1].topic {
			leaders, unknown = c.leaders(ctx, b.topic)
		}
		leader, err := leaderOf(leaders, unknown, b.partition)
		if err != nil {
			unled[i] = err
			continue
		}
		at := slices.IndexFunc(led, func(l *ledBatches) bool { return l.leader == leader })
		if at < 0 {
			at, led = len(led), append(led, &ledBatches{leader: leader})
		}
		led[at].batches, led[at].indexes = append(led[at].batches, b), append(led[at].indexes, i)
	}
	return led, unled
}

// initProducerID gets a producer id and epoch without a transactional id.
func (c *Client) initProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	req := &initproducerid.Request{TransactionTimeoutMs: int32(transactionTimeout / time.Millisecond), ProducerID: -1, ProducerEpoch: -1}
	err = retry(ctx, c.log, "get a producer id", func() error {
		m, err := c.anyBroker(ctx, req)
		if err != nil {
			return err
		}
		answer := m.(*initproducerid.Response)
		id, epoch = answer.ProducerID, answer.ProducerEpoch
		if answer.ErrorCode != 0 {
			return kafka.Error(answer.ErrorCode)
		}
		return nil
	})
	return id, epoch, err
}

// anyBroker sends a request to any broker that is up.
func (c *Client) anyBroker(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	m, err := c.roundTrip(ctx, &metadata.Request{TopicNames: []string{}}, requestTimeout)
	if err != nil {
		return nil, err
	}
	brokers := m.(*metadata.Response).Brokers
	if len(brokers) == 0 {
		return nil, kafka.BrokerNotAvailable
	}
	return c.roundTrip(ctx, c.route(req, brokers[rand.IntN(len(brokers))].NodeID), requestTimeout)
}

// Producer is an idempotent producer to one topic (KIP-98): what is resent is not written twice.
type Producer struct {
	client     *Client
	topic      string
	maxBatch   int
	id         int64
	epoch      int16
	partitions []partitionSequence
}

type partitionSequence struct {
	next    int32
	waiting waiting
}

// NewProducer gets a producer id. The topic must exist.
func (c *Client) NewProducer(ctx context.Context, topic string) (*Producer, error) {
	n, err := c.WaitTopic(ctx, topic)
	if err != nil {
		return nil, err
	}
	settings, err := c.TopicSettings(ctx, topic)
	if err != nil {
		return nil, err
	}
	id, epoch, err := c.initProducerID(ctx)
	if err != nil {
		return nil, fmt.Errorf("get a producer id: %w", err)
	}
	p := &Producer{client: c, topic: topic, maxBatch: settings.MaxMessageBytes, id: id, epoch: epoch, partitions: make([]partitionSequence, n)}
	for i := range p.partitions {
		p.partitions[i].waiting = waiting{log: c.log, operation: fmt.Sprintf("produce to %s/%d", topic, i)}
	}
	return p, nil
}

// Partitions returns how many partitions the topic had at NewProducer.
func (p *Producer) Partitions() int { return len(p.partitions) }

// MaxBatchBytes returns the topic's max.message.bytes: the largest RecordBatch.Size that the broker takes.
func (p *Producer) MaxBatchBytes() int { return p.maxBatch }

// Outgoing is a batch for a partition.
type Outgoing struct {
	Partition int32
	Batch     *RecordBatch
}

// Delivery tells how it went with a batch. Err is nil when all in-sync replicas have it, ctx's (it may or may not have been written: the next batch to the
// partition must be this one), or the broker's final refusal (it was not).
type Delivery struct {
	Index int // of the batch
	Ack   Ack
	Err   error
}

// Send sends batches of different partitions, those that one broker leads in one request, and blocks until it is known how it went with all. They are
// resent with the same sequence while the broker is away, until ctx ends: each alone, so that it holds up no other; only of one request all are answered
// when the last one is replicated. It calls delivered with those that are known at one time, also concurrently. Send may be called concurrently for
// different partitions.
func (p *Producer) Send(ctx context.Context, batches []Outgoing, delivered func([]Delivery)) {
	all := make([]encoded, len(batches))
	for i, b := range batches {
		all[i] = encoded{p.topic, b.Partition, b.Batch.encode(p.id, p.epoch, p.partitions[b.Partition].next, false)}
	}
	var sending sync.WaitGroup
	resend := func(i int, err error) {
		sending.Go(func() {
			ack, err := p.resend(ctx, all[i], err)
			delivered([]Delivery{p.delivery(batches, i, ack, err)})
		})
	}
	requests, unled := p.client.byLeader(ctx, all)
	for i, err := range unled {
		if err != nil {
			resend(i, err)
		}
	}
	for _, r := range requests {
		sending.Go(func() {
			acks, errs, err := p.client.produce(ctx, r.leader, "", r.batches)
			var there []Delivery
			for k, i := range r.indexes {
				switch {
				case err != nil:
					resend(i, err)
				case errs[k] != nil:
					resend(i, errs[k])
				default:
					there = append(there, p.delivery(batches, i, acks[k], nil))
				}
			}
			if len(there) > 0 {
				delivered(there)
			}
		})
	}
	sending.Wait()
}

// SendOne is Send for one batch.
func (p *Producer) SendOne(ctx context.Context, partition int32, b *RecordBatch) (Ack, error) {
	var d Delivery
	p.Send(ctx, []Outgoing{{partition, b}}, func(one []Delivery) { d = one[0] })
	return d.Ack, d.Err
}

// resend sends a batch again after err, until it is there or there is no use.
func (p *Producer) resend(ctx context.Context, e encoded, err error) (ack Ack, _ error) {
	for err != nil {
		if ctx.Err() == nil && retriable(err) {
			err = p.partitions[e.partition].waiting.backoff(ctx, err)
			if err == nil {
				ack, err = p.try(ctx, e)
				continue
			}
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return Ack{}, fmt.Errorf("produce to %s/%d: %w", e.topic, e.partition, err)
	}
	return ack, nil
}

func (p *Producer) try(ctx context.Context, e encoded) (Ack, error) {
	leader, err := p.client.leader(ctx, e.topic, e.partition)
	if err != nil {
		return Ack{}, err
	}
	acks, errs, err := p.client.produce(ctx, leader, "", []encoded{e})
	if err != nil {
		return Ack{}, err
	}
	return acks[0], errs[0]
}

// delivery is how it went with a batch. The partition's next one has the next sequence.
func (p *Producer) delivery(batches []Outgoing, i int, ack Ack, err error) Delivery {
	if b := batches[i]; err == nil {
		s := &p.partitions[b.Partition]
		s.waiting.over()
		s.next = nextSequence(s.next, b.Batch.count)
	}
	return Delivery{i, ack, err}
}
