package counter

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"wordcount/internal/kafkaio"
)

// memoryKafka is one broker in memory with what the counter relies on: logs with append times, transactions whose markers
// arrive partition by partition after EndTxn was answered, a last stable offset, fencing by epoch, offsets that are
// committed with the transaction, and a group whose generation TxnOffsetCommit checks. It knows no network: a host
// has the delays and the faults.
type memoryKafka struct {
	schedule *schedule
	later    func(at string, do func()) // has a marker written at a partition, some time after EndTxn was answered
	timeout  func(do func())            // has a transaction aborted that nobody has ended

	mu         sync.Mutex
	topics     map[string][]*memoryLog
	offsets    map[topicPartition]kafkaio.Offset
	producers  map[string]*memoryProducer
	producerID int64
	generation int32
	members    map[string]bool
	changed    chan struct{} // closed when something became visible
}

type topicPartition struct {
	topic     string
	partition int32
}

type memoryLog struct {
	name       topicPartition
	start      int64
	batches    []memoryBatch
	open       map[*memoryTransaction]int64 // first offset of each undecided transaction
	aborted    []abortedRange
	createTime bool
	leaderless bool
}

type memoryBatch struct {
	base, next int64
	data       []byte
}

// memoryProducer is what the coordinator knows of a transactional id.
type memoryProducer struct {
	id      int64
	epoch   int
	current *memoryTransaction // undecided or being completed; nil: none
}

type memoryTransaction struct {
	producer *memoryProducer
	logs     []*memoryLog
	offsets  []kafkaio.Offset
	decided  bool
	markers  int // still to be written
}

// add has a partition take part in the transaction.
func (t *memoryTransaction) add(l *memoryLog) {
	if !slices.Contains(t.logs, l) {
		t.logs = append(t.logs, l)
	}
}

var errUnknownTopic = errors.New("unknown topic or partition")

func newMemoryKafka(s *schedule) *memoryKafka {
	return &memoryKafka{
		schedule:  s,
		later:     func(at string, do func()) { time.AfterFunc(s.markerDelay(at), do) },
		timeout:   func(do func()) { time.AfterFunc(time.Minute, do) }, // transaction.timeout.ms
		topics:    make(map[string][]*memoryLog),
		offsets:   make(map[topicPartition]kafkaio.Offset),
		producers: make(map[string]*memoryProducer),
		members:   make(map[string]bool),
		changed:   make(chan struct{}),
	}
}

// now is the broker's clock, in ms.
func (k *memoryKafka) now() int64 { return time.Now().Add(k.schedule.brokerClock).UnixMilli() }

// grow gives a topic n partitions.
func (k *memoryKafka) grow(topic string, n int, createTime bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := len(k.topics[topic]); p < n; p++ {
		k.topics[topic] = append(k.topics[topic], &memoryLog{
			name: topicPartition{topic, int32(p)}, open: make(map[*memoryTransaction]int64), createTime: createTime})
	}
}

func (k *memoryKafka) partitions(topic string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.topics[topic])
}

func (k *memoryKafka) log(at topicPartition) (*memoryLog, error) {
	if logs := k.topics[at.topic]; int(at.partition) < len(logs) {
		return logs[at.partition], nil
	}
	return nil, fmt.Errorf("%s/%d: %w", at.topic, at.partition, errUnknownTopic)
}

func (k *memoryKafka) announce() {
	close(k.changed)
	k.changed = make(chan struct{})
}

func (l *memoryLog) end() int64 {
	if n := len(l.batches); n > 0 {
		return l.batches[n-1].next
	}
	return 0
}

func (l *memoryLog) lastStable() int64 {
	stable := l.end()
	for _, first := range l.open {
		stable = min(stable, first)
	}
	return stable
}

// append writes a batch and returns its base offset and append time (−1 with CreateTime).
func (k *memoryKafka) append(l *memoryLog, b *kafkaio.RecordBatch, t *memoryTransaction, control bool) (base, appendTime int64) {
	h := batchHeader{base: l.end(), appendTime: k.now(), control: control, producer: -1}
	if l.createTime && !control {
		h.appendTime = -1
	}
	if t != nil {
		h.transactional, h.producer = true, t.producer.id
		if _, ok := l.open[t]; !ok && !control {
			l.open[t] = h.base
		}
	}
	l.batches = append(l.batches, memoryBatch{h.base, h.base + int64(b.Len()), encodeBatch(b, h)})
	return h.base, h.appendTime
}

// begin is InitProducerID: it aborts what the id's last user left and returns the transaction to wait for.
func (k *memoryKafka) begin(id string) (p *memoryProducer, epoch int, unsettled *memoryTransaction) {
	p = k.producers[id]
	if p == nil {
		k.producerID++
		p = &memoryProducer{id: k.producerID}
		k.producers[id] = p
	}
	p.epoch++
	if p.current != nil && !p.current.decided {
		k.decide(p.current, false)
	}
	return p, p.epoch, p.current
}

// transaction returns the producer's open transaction, beginning one.
func (k *memoryKafka) transaction(p *memoryProducer) *memoryTransaction {
	if p.current == nil {
		t := &memoryTransaction{producer: p}
		p.current = t
		k.timeout(func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			if p.current == t && !t.decided {
				p.epoch++
				k.decide(t, false)
			}
		})
	}
	return p.current
}

// decide commits or aborts: EndTxn is answered now, the markers follow partition by partition, the offsets too.
func (k *memoryKafka) decide(t *memoryTransaction, commit bool) {
	t.decided = true
	t.markers = len(t.logs) + 1
	finish := func(at string, write func()) {
		k.later(at, func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			write()
			if t.markers--; t.markers == 0 {
				t.producer.current = nil
			}
			k.announce()
		})
	}
	for _, l := range t.logs {
		finish(fmt.Sprintf("%s/%d", l.name.topic, l.name.partition), func() {
			first, written := l.open[t]
			at := k.mark(l, t)
			if !commit && written {
				l.aborted = append(l.aborted, abortedRange{t.producer.id, first, at})
			}
		})
	}
	finish("offsets", func() {
		if commit {
			for _, o := range t.offsets {
				k.offsets[topicPartition{o.Topic, o.Partition}] = o
			}
		}
	})
}

// mark writes the marker of a transaction, and returns its offset.
func (k *memoryKafka) mark(l *memoryLog, t *memoryTransaction) int64 {
	var marker kafkaio.RecordBatch
	marker.Append(0, []byte{0, 0, 0, 1}, nil)
	at, _ := k.append(l, &marker, t, true)
	delete(l.open, t)
	return at
}

// fetch returns what a read_committed fetch finds, at most so many batches; empty tells whether there was none.
func (k *memoryKafka) fetch(l *memoryLog, position int64, sentAt time.Time, batches int) (f *kafkaio.Fetched, empty bool) {
	stable := l.lastStable()
	if position < l.start || position > l.end() {
		err := &kafkaio.OffsetOutOfRangeError{Topic: l.name.topic, Partition: l.name.partition, Offset: position, LogStart: l.start, LogEnd: stable}
		return newFetched(l.name, position, l.start, stable, l.end(), sentAt, nil, nil, err), false
	}
	var data []byte
	i, _ := slices.BinarySearchFunc(l.batches, position+1, func(b memoryBatch, next int64) int { return int(b.next - next) })
	first := i
	for ; i < len(l.batches) && i < first+batches && l.batches[i].base < stable; i++ {
		data = append(data, l.batches[i].data...)
	}
	var aborted []abortedRange
	for _, a := range l.aborted {
		if a.marker >= position {
			aborted = append(aborted, a)
		}
	}
	slices.SortFunc(aborted, func(a, b abortedRange) int { return int(a.first - b.first) })
	return newFetched(l.name, position, l.start, stable, l.end(), sentAt, data, aborted, nil), i == first
}
