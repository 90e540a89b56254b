package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfake keeps the producer's time whatever a topic's message.timestamp.type is.
// (It replaces the times of a batch that arrives with the LogAppendTime bit, but
// keeps the checksum, which then is wrong.) So a batch for a LogAppendTime topic
// is given its time here, just before kfake appends it: its first and largest
// timestamps become the broker's clock, which is also how kfake's ListOffsets
// finds it. In the log it carries stampedBit instead of the LogAppendTime bit,
// which kfake must not see; Fetch responses are given the real bit, and Produce
// responses the append time, on their way out.
//
// The format is record batch v2, from
// https://kafka.apache.org/documentation/#recordbatch.
const (
	batchLength        = 8  // int32, of what follows it
	batchMagic         = 16 // int8, 2
	batchCRC           = 17 // uint32, CRC-32C of what follows it
	batchAttributes    = 21 // int16
	batchBaseTimestamp = 27 // int64, ms
	batchMaxTimestamp  = 35 // int64, ms
	batchHeader        = 61

	logAppendTimeBit = 1 << 3
	stampedBit       = 1 << 14 // unused by Kafka
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendTimes remembers when batches were appended, for the responses.
type appendTimes struct {
	mu   sync.Mutex
	last map[partition]*stamps
}

type partition struct {
	topic string
	id    int32
}

// stamps are the last appends of a partition. A producer may send a batch again
// that is four batches old (kfake, like Kafka, knows a producer's last five), and
// is then answered with the first one's offset and time.
type stamps struct {
	next   int
	recent [256]stamp
}

type stamp struct{ offset, ms int64 }

func newAppendTimes() *appendTimes {
	return &appendTimes{last: make(map[partition]*stamps)}
}

// stampOnArrival makes cluster's LogAppendTime topics true.
func (a *appendTimes) stampOnArrival(cluster *kfake.Cluster) {
	cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		// This runs in kfake's request loop: what the partitions hold now is
		// what the append will find.
		a.stamp(cluster, req.(*kmsg.ProduceRequest), time.Now().UnixMilli())
		return nil, nil, false
	})
}

func (a *appendTimes) stamp(cluster *kfake.Cluster, req *kmsg.ProduceRequest, ms int64) {
	for _, t := range req.Topics {
		appendTime := hasAppendTime(cluster.TopicInfo(t.Topic))
		for _, p := range t.Partitions {
			id := partition{t.Topic, p.Partition}
			if !appendTime {
				a.forget(id) // it may have had append times before
				continue
			}
			now := cluster.PartitionInfo(t.Topic, p.Partition)
			if now != nil && stampBatch(p.Records, ms) {
				a.remember(id, stamp{now.HighWatermark, ms})
			}
		}
	}
}

func hasAppendTime(topic *kfake.TopicInfo) bool {
	if topic == nil {
		return false
	}
	typ := topic.Configs["message.timestamp.type"]
	return typ != nil && *typ == "LogAppendTime"
}

// stampBatch gives one whole batch its append time. It leaves alone what is no
// such batch, or damaged: kfake refuses that.
func stampBatch(b []byte, ms int64) bool {
	if batchSize(b) != len(b) || crc(b) != binary.BigEndian.Uint32(b[batchCRC:]) {
		return false
	}
	attributes := binary.BigEndian.Uint16(b[batchAttributes:])
	binary.BigEndian.PutUint16(b[batchAttributes:], attributes&^logAppendTimeBit|stampedBit)
	binary.BigEndian.PutUint64(b[batchBaseTimestamp:], uint64(ms))
	binary.BigEndian.PutUint64(b[batchMaxTimestamp:], uint64(ms))
	binary.BigEndian.PutUint32(b[batchCRC:], crc(b))
	return true
}

// batchSize is the size of the batch at the start of b, 0 when there is no whole one.
func batchSize(b []byte) int {
	if len(b) < batchHeader || b[batchMagic] != 2 {
		return 0
	}
	size := int64(int32(binary.BigEndian.Uint32(b[batchLength:]))) + batchLength + 4
	if size < batchHeader || size > int64(len(b)) {
		return 0
	}
	return int(size)
}

func crc(batch []byte) uint32 { return crc32.Checksum(batch[batchAttributes:], castagnoli) }

func (a *appendTimes) remember(p partition, s stamp) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.last[p]
	if of == nil {
		of = &stamps{}
		for i := range of.recent {
			of.recent[i].offset = -1
		}
		a.last[p] = of
	}
	of.recent[of.next] = s
	of.next = (of.next + 1) % len(of.recent)
}

func (a *appendTimes) forget(p partition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, p)
}

// at is the time of the append at offset, or of the newest append when that one
// is forgotten, or -1 for a partition without append times.
func (a *appendTimes) at(p partition, offset int64) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.last[p]
	if of == nil {
		return -1
	}
	// Newest first: a batch that was stamped but then refused left its offset to the next.
	newest := (of.next + len(of.recent) - 1) % len(of.recent)
	for i := range of.recent {
		if s := of.recent[(newest+len(of.recent)-i)%len(of.recent)]; s.offset == offset {
			return s.ms
		}
	}
	return of.recent[newest].ms
}

// complete returns the response with what kfake left out. It may change it in place.
func (a *appendTimes) complete(asked call, response []byte) []byte {
	answer, body, ok := decodeResponse(asked, response)
	if !ok {
		return response
	}
	switch answer := answer.(type) {
	case *kmsg.ProduceResponse:
		if a.completeProduce(answer) {
			return encodeResponse(answer, response, body)
		}
	case *kmsg.FetchResponse:
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				completeBatches(p.RecordBatches) // a part of response
			}
		}
	}
	return response
}

func (a *appendTimes) completeProduce(resp *kmsg.ProduceResponse) (changed bool) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if p.ErrorCode != 0 {
				continue
			}
			if ms := a.at(partition{t.Topic, p.Partition}, p.BaseOffset); ms >= 0 {
				p.LogAppendTime = ms
				changed = true
			}
		}
	}
	return changed
}

// completeBatches gives the stamped batches among b their LogAppendTime bit.
func completeBatches(b []byte) {
	for {
		size := batchSize(b)
		if size == 0 {
			return
		}
		batch := b[:size]
		if attributes := binary.BigEndian.Uint16(batch[batchAttributes:]); attributes&stampedBit != 0 {
			binary.BigEndian.PutUint16(batch[batchAttributes:], attributes&^stampedBit|logAppendTimeBit)
			binary.BigEndian.PutUint32(batch[batchCRC:], crc(batch))
		}
		b = b[size:]
	}
}
