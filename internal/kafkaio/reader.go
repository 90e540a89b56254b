package kafkaio

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	fetchVersion      = 11
	partitionMaxBytes = 2 << 20 // of one partition in a fetch; a larger batch comes from the first that has something
	idlePoll          = 100 * time.Millisecond
)

// Position is where a Reader begins in a partition.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Reader reads the committed data of a set of partitions (isolation level read_committed): one fetch under way for each
// broker that leads some of them, so a broker that is away does not hold up the others. While its caller walks what was fetched, what
// comes after is fetched already, where it is there. It belongs to one goroutine.
type Reader struct {
	client     *Client
	ctx        context.Context
	cancel     context.CancelFunc
	partitions []*partition
	inflight   map[int32]bool     // leaders with a fetch under way
	leaders    map[int32]*waiting // by broker
	done       chan *fetch
	returned   []*fetch // whose buffers the caller of Poll still sees
	spare      [][]byte
	fetched    []*Fetched
	waiting    waiting // for metadata
}

type partition struct {
	Fetched
	fetching bool
	paused   bool
	asked    int64     // position in the last fetch
	end      int64     // where what it brought ends; −1: unknown
	walked   bool      // what the one before brought was walked to its end
	starved  bool      // it brought nothing, and there is something
	due      time.Time // not fetched again before
	waiting  waiting
}

// fetch is one request to one leader.
type fetch struct {
	leader     int32
	partitions []*partition
	sentAt     time.Time
	exchange   *exchange
	err        error
}

// NewReader returns a reader of these positions.
func (c *Client) NewReader(positions []Position) *Reader {
	r := &Reader{
		client:   c,
		inflight: make(map[int32]bool),
		leaders:  make(map[int32]*waiting),
		done:     make(chan *fetch, len(positions)), // no sender ever waits: at most one fetch a leader, one leader a partition
		waiting:  waiting{log: c.log, operation: "fetch"},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, p := range positions {
		name := fmt.Sprintf("fetch %s/%d", p.Topic, p.Partition)
		r.partitions = append(r.partitions, &partition{
			Fetched: Fetched{Topic: p.Topic, Partition: p.Partition, position: p.Offset},
			end:     -1,
			waiting: waiting{log: c.log, operation: name},
		})
	}
	slices.SortFunc(r.partitions, func(a, b *partition) int { // one entry a topic in a request
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return r
}

// Close ends the fetches under way.
func (r *Reader) Close() { r.cancel() }

// Seek moves a partition's position. What the last Poll returned of it is void.
func (r *Reader) Seek(topic string, number int32, offset int64) {
	for _, p := range r.partitions {
		if p.Topic == topic && p.Partition == number {
			p.position, p.err, p.rest, p.left, p.next = offset, nil, nil, 0, 0
			p.end = -1
		}
	}
}

// Pause holds a partition back, or lets it go on: while it is paused no further fetch asks for it. What a fetch under way
// brings is still returned.
func (r *Reader) Pause(topic string, number int32, paused bool) {
	for _, p := range r.partitions {
		if p.Topic == topic && p.Partition == number {
			p.paused = paused
		}
	}
}

// Poll returns what was fetched, waiting up to maxWait for data; with 0 it asks and comes back at once. Partitions that
// could not be read are left out, and tried again at the next Poll; a wait that lasts is logged. What it returns is
// valid until the next Poll; of what was not walked to its end the rest is fetched again. The error is ctx's, or one that no retry mends.
func (r *Reader) Poll(ctx context.Context, maxWait time.Duration) ([]*Fetched, error) {
	for _, f := range r.returned {
		r.spare = append(r.spare, f.exchange.response[:0])
	}
	r.returned, r.fetched = r.returned[:0], r.fetched[:0]

	if err := r.send(ctx, maxWait, false); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !retriable(err) {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		return nil, r.waiting.backoff(ctx, err)
	}
	r.waiting.over()
	// A leader that does not answer in time stays under way and is looked at in the next Poll.
	patience := maxWait + idlePoll
	for _, p := range r.partitions {
		if d := time.Until(p.due); !p.fetching && !p.paused && d > 0 {
			patience = min(patience, d)
		}
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, nil
	case f := <-r.done:
		for {
			if err := r.receive(ctx, f); err != nil {
				return nil, err
			}
			select {
			case f = <-r.done:
				continue
			default:
			}
			if slices.ContainsFunc(r.partitions, (*partition).more) {
				_ = r.send(ctx, 0, true) // or with the next Poll, which says why not
			}
			return r.fetched, nil
		}
	}
}

// send asks every leader that has no fetch under way; ahead: those that have more of what was just fetched, for what comes behind it.
func (r *Reader) send(ctx context.Context, maxWait time.Duration, ahead bool) error {
	var fetches []*fetch
	var leaders []int32
	var topic string
	now := time.Now()
	for _, p := range r.partitions {
		if p.fetching || p.paused || now.Before(p.due) {
			continue
		}
		if p.Topic != topic {
			var err error
			if leaders, err = r.client.leaders(ctx, p.Topic); err != nil {
				return fmt.Errorf("topic %s: %w", p.Topic, err)
			}
			topic = p.Topic
		}
		leader := noLeader
		if int(p.Partition) < len(leaders) {
			leader = leaders[p.Partition]
		}
		if leader == noLeader {
			p.refused(kafka.LeaderNotAvailable)
			continue
		}
		if r.inflight[leader] {
			continue
		}
		i := slices.IndexFunc(fetches, func(f *fetch) bool { return f.leader == leader })
		if i < 0 {
			i = len(fetches)
			fetches = append(fetches, &fetch{leader: leader})
		}
		fetches[i].partitions = append(fetches[i].partitions, p)
	}
	for _, f := range fetches {
		if ahead && !slices.ContainsFunc(f.partitions, (*partition).more) {
			continue
		}
		r.inflight[f.leader] = true
		for _, p := range f.partitions {
			p.fetching, p.asked = true, p.position
			if ahead {
				p.asked = max(p.asked, p.end)
			}
		}
		slices.SortStableFunc(f.partitions, starvedFirst)
		f.exchange = &exchange{key: protocol.Fetch, version: fetchVersion, broker: f.leader, request: [][]byte{f.encode(maxWait)}}
		if n := len(r.spare); n > 0 {
			f.exchange.response, r.spare = r.spare[n-1], r.spare[:n-1]
		}
		f.sentAt = time.Now()
		go func() {
			f.err = r.client.send(r.ctx, f.exchange, maxWait+requestTimeout)
			r.done <- f
		}()
	}
	return nil
}

// starvedFirst puts in front which partitions got nothing the last time, though there is something: their next batch is too large for any but the first.
func starvedFirst(a, b *partition) int {
	switch {
	case a.starved == b.starved:
		return 0
	case a.starved:
		return -1
	}
	return 1
}

func (f *fetch) encode(maxWait time.Duration) []byte {
	b := make([]byte, 0, 64+64*len(f.partitions))
	b = appendInt32(b, -1) // replica id: a consumer
	b = appendInt32(b, int32(maxWait.Milliseconds()))
	b = appendInt32(b, 1) // min bytes
	// Far more than the partitions' limits together: kfake cuts the list of aborted transactions with a response.
	b = appendInt32(b, int32(min(2*partitionMaxBytes*(len(f.partitions)+1), 1<<30)))
	b = append(b, readCommitted)
	b = appendInt32(b, 0)  // no fetch session
	b = appendInt32(b, -1) // epoch of no session
	topics := 0
	countAt := len(b)
	b = appendInt32(b, 0)
	for i := 0; i < len(f.partitions); topics++ {
		end := i
		for end < len(f.partitions) && f.partitions[end].Topic == f.partitions[i].Topic {
			end++
		}
		b = appendString(b, f.partitions[i].Topic)
		b = appendInt32(b, int32(end-i))
		for _, p := range f.partitions[i:end] {
			b = appendInt32(b, p.Partition)
			b = appendInt32(b, -1) // leader epoch: unknown
			b = appendInt64(b, p.asked)
			b = appendInt64(b, -1) // log start offset: a follower's
			b = appendInt32(b, partitionMaxBytes)
		}
		i = end
	}
	appendInt32(b[:countAt], int32(topics))
	b = appendInt32(b, 0)      // no forgotten topics
	return appendString(b, "") // no rack
}

// refused notes that a partition could not be read, and when to try again.
func (p *partition) refused(err error) {
	p.waiting.note(err)
	p.due = p.waiting.until
}

// failed notes that a leader did not answer, and when to try again, unless no retry mends it.
func (r *Reader) failed(f *fetch, err error) error {
	if !retriable(err) {
		return fmt.Errorf("fetch: %w", err)
	}
	w := r.leaders[f.leader]
	if w == nil {
		w = &waiting{log: r.client.log, operation: fmt.Sprintf("fetch from broker %d", f.leader)}
		r.leaders[f.leader] = w
	}
	w.note(err)
	for _, p := range f.partitions {
		p.due = w.until
	}
	return nil
}

// receive takes over an answer. The error is final.
func (r *Reader) receive(ctx context.Context, f *fetch) error {
	delete(r.inflight, f.leader)
	for _, p := range f.partitions {
		p.fetching = false
	}
	if f.err != nil {
		return r.failed(f, f.err)
	}
	r.returned = append(r.returned, f)
	c := cursor{b: f.exchange.response}
	c.int32() // throttle time
	if code := c.int16(); code != 0 {
		return r.failed(f, kafka.Error(code))
	}
	if w := r.leaders[f.leader]; w != nil {
		w.over()
	}
	c.int32() // session id
	for range c.count() {
		topic := c.string()
		for range c.count() {
			if err := r.partition(ctx, &c, f, topic); err != nil {
				return err
			}
		}
	}
	if c.short {
		return fmt.Errorf("fetch: response of %d bytes ends early", len(f.exchange.response))
	}
	return nil
}

// partition decodes one partition of a response.
func (r *Reader) partition(ctx context.Context, c *cursor, f *fetch, topic string) error {
	number := c.int32()
	code := kafka.Error(c.int16())
	highWatermark, lastStable, logStart := c.int64(), c.int64(), c.int64()
	i := slices.IndexFunc(f.partitions, func(p *partition) bool { return p.Partition == number && p.Topic == topic })
	if i < 0 {
		return fmt.Errorf("fetch: response has %s/%d, which was not asked for", topic, number)
	}
	p := f.partitions[i]
	p.aborted, p.open = p.aborted[:0], p.open[:0]
	for range c.count() {
		p.aborted = append(p.aborted, abortedTransaction{producerID: c.int64(), firstOffset: c.int64()})
	}
	slices.SortFunc(p.aborted, byFirstOffset)
	c.int32() // preferred read replica
	p.rest = c.bytes()
	p.left, p.next, p.err = 0, 0, nil
	p.walked, p.end = p.position == p.end, -1
	if p.position != p.asked { // Seek came in between, or not all was walked of what came before
		p.rest = nil
		return nil
	}
	p.HighWatermark, p.LastStable, p.LogStart, p.SentAt = highWatermark, lastStable, logStart, f.sentAt

	switch {
	case code == 0:
		p.waiting.over()
		p.end = p.unwalkedEnd()
		p.starved = p.end == p.position && p.position < p.LastStable
	case code == kafka.OffsetOutOfRange: // the answer does not say what the range is
		start, err := r.client.Offset(ctx, topic, number, Earliest)
		if err != nil {
			return err
		}
		end, err := r.client.Offset(ctx, topic, number, Latest)
		if err != nil {
			return err
		}
		p.waiting.over()
		p.err = &OffsetOutOfRangeError{Topic: topic, Partition: number, Offset: p.position, LogStart: start, LogEnd: end}
	case retriable(code):
		p.refused(code)
		return nil
	default:
		return fmt.Errorf("fetch %s/%d at offset %d: %w", topic, number, p.position, code)
	}
	r.fetched = append(r.fetched, &p.Fetched)
	return nil
}

// more tells whether there is more behind what was just fetched, for a caller who walks all of it.
func (p *partition) more() bool {
	return p.walked && p.end > p.position && p.end < p.LastStable
}

// Lag is how far the log goes beyond the position, in offsets.
func (f *Fetched) Lag() int64 { return max(f.HighWatermark-f.position, 0) }
