package embedded

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Asked for stable offsets only (KIP-447), Kafka refuses those of the partitions
// for which an open transaction has committed some. kfake refuses all of the
// group: members of it with a transaction each would wait for each other. So kfake
// is never asked for stable ones, and the response is given the refusals here. (Of
// a group that has no committed offset yet kfake knows nothing, and nothing is
// refused.)
//
// They go by what was answered before the question came. What is under way at that
// moment may as well come after it, if nobody asks on the connection on which he
// commits. An end whose answer nobody gets, because the connection is closed, is
// not seen: it holds until it is sent again, the transactional id is taken over,
// or the transaction's timeout.
type openOffsets struct {
	mu        sync.Mutex
	producers map[string]*transactional // by transactional id
}

// transactional is who uses a transactional id. Its newest epoch is the one whose
// transaction can be open.
type transactional struct {
	producer int64
	epoch    int16
	timeout  time.Duration            // kfake keeps the first one of an id
	began    time.Time                // at the latest
	pending  map[groupOffset]struct{} // of the open transaction
}

type groupOffset struct {
	group     string
	topic     string
	partition int32
}

// unstable is what open transactions hold.
type unstable map[groupOffset]struct{}

func newOpenOffsets() *openOffsets {
	return &openOffsets{producers: make(map[string]*transactional)}
}

// askForAll has kfake answer with what is committed, stable or not.
func (o *openOffsets) askForAll(cluster *kfake.Cluster) {
	cluster.ControlKey(int16(kmsg.OffsetFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		req.(*kmsg.OffsetFetchRequest).RequireStable = false
		return nil, nil, false
	})
}

// follows tells whether openOffsets must know of such requests.
func follows(key kmsg.Key) bool {
	switch key {
	case kmsg.InitProducerID, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.OffsetFetch:
		return true
	}
	return false
}

// asked returns what the response to a request must refuse.
func (o *openOffsets) asked(request kmsg.Request) unstable {
	fetch, ok := request.(*kmsg.OffsetFetchRequest)
	if !ok || !fetch.RequireStable {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	open := make(unstable)
	for _, p := range o.producers {
		if now.Sub(p.began) >= p.timeout { // kfake has aborted it
			continue
		}
		for at := range p.pending {
			open[at] = struct{}{}
		}
	}
	return open
}

// complete follows what was answered, and returns the response with what it must refuse.
func (o *openOffsets) complete(asked call, response []byte) []byte {
	answer, body, ok := decodeResponse(asked, response)
	if !ok {
		return response
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch request := asked.request.(type) {
	case *kmsg.InitProducerIDRequest:
		if answer := answer.(*kmsg.InitProducerIDResponse); answer.ErrorCode == 0 && request.TransactionalID != nil {
			o.initialized(request, answer)
		}
	case *kmsg.TxnOffsetCommitRequest:
		o.committed(request, answer.(*kmsg.TxnOffsetCommitResponse))
	case *kmsg.EndTxnRequest:
		if answer := answer.(*kmsg.EndTxnResponse); answer.ErrorCode == 0 {
			o.ended(request, answer)
		}
	case *kmsg.OffsetFetchRequest:
		if refuse(answer.(*kmsg.OffsetFetchResponse), request.Group, asked.unstable) {
			return encodeResponse(answer, response, body)
		}
	}
	return response
}

// initialized: a transaction of an earlier epoch is aborted. This and what follows runs under the lock.
func (o *openOffsets) initialized(request *kmsg.InitProducerIDRequest, answer *kmsg.InitProducerIDResponse) {
	p := o.producers[*request.TransactionalID]
	if p == nil {
		p = &transactional{producer: -1, timeout: time.Duration(request.TransactionTimeoutMillis) * time.Millisecond}
		o.producers[*request.TransactionalID] = p
	}
	p.advance(answer.ProducerID, answer.ProducerEpoch)
}

// advance: after its last epoch an id gets another producer.
func (p *transactional) advance(producer int64, epoch int16) {
	if producer != p.producer || epoch > p.epoch {
		p.producer, p.epoch, p.pending = producer, epoch, nil
	}
}

// user returns the transactional id's user, nil if that is another one by now.
func (o *openOffsets) user(id string, producer int64, epoch int16) *transactional {
	if p := o.producers[id]; p != nil && p.producer == producer && p.epoch == epoch {
		return p
	}
	return nil
}

func (o *openOffsets) committed(request *kmsg.TxnOffsetCommitRequest, answer *kmsg.TxnOffsetCommitResponse) {
	p := o.user(request.TransactionalID, request.ProducerID, request.ProducerEpoch)
	if p == nil {
		return
	}
	for _, t := range answer.Topics {
		for _, at := range t.Partitions {
			if at.ErrorCode != 0 {
				continue
			}
			if p.pending == nil {
				p.began, p.pending = time.Now(), make(map[groupOffset]struct{})
			}
			p.pending[groupOffset{request.Group, t.Topic, at.Partition}] = struct{}{}
		}
	}
}

func (o *openOffsets) ended(request *kmsg.EndTxnRequest, answer *kmsg.EndTxnResponse) {
	p := o.user(request.TransactionalID, request.ProducerID, request.ProducerEpoch)
	if p == nil {
		return
	}
	p.pending = nil
	if answer.Version >= 5 { // each transaction has its epoch
		p.advance(answer.ProducerID, answer.ProducerEpoch)
	}
}

// refuse has the answer refuse what is unstable.
func refuse(answer *kmsg.OffsetFetchResponse, group string, open unstable) (changed bool) {
	refused := func(at groupOffset, code *int16, offset *int64, epoch *int32, metadata **string) {
		if _, unstable := open[at]; unstable {
			*code, *offset, *epoch, *metadata = kerr.UnstableOffsetCommit.Code, -1, -1, nil
			changed = true
		}
	}
	for _, t := range answer.Topics { // of the one group, up to version 7
		for i := range t.Partitions {
			p := &t.Partitions[i]
			refused(groupOffset{group, t.Topic, p.Partition}, &p.ErrorCode, &p.Offset, &p.LeaderEpoch, &p.Metadata)
		}
	}
	for _, g := range answer.Groups {
		for _, t := range g.Topics {
			for i := range t.Partitions {
				p := &t.Partitions[i]
				refused(groupOffset{g.Group, t.Topic, p.Partition}, &p.ErrorCode, &p.Offset, &p.LeaderEpoch, &p.Metadata)
			}
		}
	}
	return changed
}
