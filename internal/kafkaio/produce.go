package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	AppendTime int64     // ms since the epoch; −1 when the topic has CreateTime
	Sent       time.Time // when the request went
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

// Send blocks until all in-sync replicas have the batch, resending it with the same sequence while the broker is away,
// until ctx ends. It may be called concurrently for different partitions. The error is ctx's (the batch may or may not
// have been written: the next batch to the partition must be this one) or the broker's final refusal (it was not).
func (p *Producer) Send(ctx context.Context, partition int32, b *RecordBatch) (Ack, error) {
	return p.deliver(ctx, p.encode(partition, b), b.count, nil)
}

// Outgoing is a batch for a partition.
type Outgoing struct {
	Partition int32
	Batch     *RecordBatch
}

// SendTogether is Send for batches of different partitions: those that one broker leads go in one request. It calls done for each batch, given its
// index, when it is known how it went, also concurrently, and blocks until all are done. A batch that has to be sent again is sent alone, and holds up no other.
func (p *Producer) SendTogether(ctx context.Context, batches []Outgoing, done func(i int, ack Ack, err error)) {
	all := make([]encoded, len(batches))
	led := make(map[int32][]int) // by leader
	var sending sync.WaitGroup
	alone := func(i int, err error) {
		sending.Go(func() {
			ack, err := p.deliver(ctx, all[i], batches[i].Batch.count, err)
			done(i, ack, err)
		})
	}
	for i, b := range batches {
		all[i] = p.encode(b.Partition, b.Batch)
		leader, err := p.client.leader(ctx, p.topic, b.Partition)
		if err != nil {
			alone(i, err)
			continue
		}
		led[leader] = append(led[leader], i)
	}
	for leader, group := range led {
		sending.Go(func() {
			request := make([]encoded, len(group))
			for k, i := range group {
				request[k] = all[i]
			}
			acks, errs, err := p.client.produce(ctx, leader, "", request)
			for k, i := range group {
				switch {
				case err != nil:
					alone(i, err)
				case errs[k] != nil:
					alone(i, errs[k])
				default:
					p.delivered(batches[i].Partition, batches[i].Batch.count)
					done(i, acks[k], nil)
				}
			}
		})
	}
	sending.Wait()
}

func (p *Producer) encode(partition int32, b *RecordBatch) encoded {
	return encoded{p.topic, partition, b.encode(p.id, p.epoch, p.partitions[partition].next, false)}
}

// deliver sends a batch of so many records until it is there; err is what became of an earlier try, nil when there was none.
func (p *Producer) deliver(ctx context.Context, e encoded, records int32, err error) (ack Ack, _ error) {
	for {
		if err == nil {
			if ack, err = p.try(ctx, e); err == nil {
				p.delivered(e.partition, records)
				return ack, nil
			}
		}
		if ctx.Err() == nil && retriable(err) {
			err = p.partitions[e.partition].waiting.backoff(ctx, err)
			if err == nil {
				continue
			}
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return Ack{}, fmt.Errorf("produce to %s/%d: %w", e.topic, e.partition, err)
	}
}

// delivered notes that a partition has a batch of so many records.
func (p *Producer) delivered(partition, records int32) {
	s := &p.partitions[partition]
	s.waiting.over()
	s.next = nextSequence(s.next, records)
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
