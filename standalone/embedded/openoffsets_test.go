package embedded

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// offsetsTest commits offsets of topics a and b in transactions of group g.
type offsetsTest struct {
	*testing.T
	cl *kgo.Client
}

type producer struct {
	name  string
	id    int64
	epoch int16
}

func (o offsetsTest) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

func (o offsetsTest) init(name string, timeout time.Duration) producer {
	o.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &name, int32(timeout.Milliseconds())
	resp, err := req.RequestWith(testContext(o.T), o.cl)
	o.must(err)
	o.must(kerr.ErrorForCode(resp.ErrorCode))
	return producer{name, resp.ProducerID, resp.ProducerEpoch}
}

func (o offsetsTest) add(p producer) {
	o.Helper()
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.name, p.id, p.epoch, "g"
	resp, err := req.RequestWith(testContext(o.T), o.cl)
	o.must(err)
	o.must(kerr.ErrorForCode(resp.ErrorCode))
}

func (o offsetsTest) commit(p producer, topic string, partition int32, offset int64) error {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.name, p.id, p.epoch, "g"
	req.Generation = -1
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic = topic
	t.Partitions = append(t.Partitions, kmsg.NewTxnOffsetCommitRequestTopicPartition())
	t.Partitions[0].Partition, t.Partitions[0].Offset = partition, offset
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(testContext(o.T), o.cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// end gives the producer the epoch of its next transaction.
func (o offsetsTest) end(p *producer, commit bool) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.name, p.id, p.epoch, commit
	resp, err := req.RequestWith(testContext(o.T), o.cl)
	if err != nil {
		return err
	}
	if resp.Version >= 5 && resp.ErrorCode == 0 {
		p.epoch = resp.ProducerEpoch
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// offsets returns the stable committed offsets of a/0, a/1 and b/0: −1 for none, less than that the code of the refusal.
func (o offsetsTest) offsets() []int64 {
	o.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	for topic, partitions := range map[string][]int32{"a": {0, 1}, "b": {0}} {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.Partitions = topic, partitions
		g.Topics = append(g.Topics, t)
	}
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(testContext(o.T), o.cl)
	o.must(err)
	got := []int64{-2, -2, -2}
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				p.Offset = -int64(p.ErrorCode)
			}
			got[map[string]int32{"a": 0, "b": 2}[t.Topic]+p.Partition] = p.Offset
		}
	}
	return got
}

func (o offsetsTest) want(want ...int64) {
	o.Helper()
	if got := o.offsets(); !slices.Equal(got, want) {
		o.Errorf("offsets %v, want %v", got, want)
	}
}

// An open transaction holds up the offsets that it commits, until it ends in whichever way, and no others of the group.
func TestOpenOffsets(t *testing.T) {
	for name, versions := range map[string]*kversion.Versions{
		"Kafka 2.8": kversion.V2_8_0(), // one group a request; the epoch stays
		"Kafka 4.3": versions(),
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			for topic, partitions := range map[string]int32{"a": 2, "b": 1} {
				if err := b.Cluster().CreateTopic(topic, partitions, nil); err != nil {
					t.Fatal(err)
				}
			}
			o := offsetsTest{t, connect(t, b, kgo.MaxVersions(versions))}
			const open = -int64(88)

			x, y := o.init("x", time.Minute), o.init("y", time.Minute)
			o.add(x)
			o.must(o.commit(x, "a", 0, 0)) // kfake's group begins with its first committed offset
			o.must(o.end(&x, true))
			o.want(0, -1, -1)
			o.add(x)
			o.must(o.commit(x, "a", 0, 1))
			o.want(open, -1, -1)
			o.add(y)
			o.must(o.commit(y, "b", 0, 2))
			o.want(open, -1, open)
			o.must(o.commit(x, "a", 1, 3))
			o.want(open, open, open)
			o.must(o.end(&x, true))
			o.want(1, 3, open)
			o.must(o.end(&y, false))
			o.want(1, 3, -1)

			// The next one takes over, and the older one is late.
			older := x
			o.add(x)
			o.must(o.commit(x, "a", 0, 4))
			o.want(open, 3, -1)
			x = o.init("x", time.Minute)
			o.want(1, 3, -1)
			if err := o.commit(older, "a", 0, 5); err == nil {
				t.Error("the older one commits")
			}
			o.add(x)
			o.must(o.commit(x, "a", 1, 6))
			if err := o.end(&older, true); err == nil {
				t.Error("the older one ends a transaction")
			}
			o.want(1, open, -1)
			o.must(o.end(&x, true))
			o.want(1, 6, -1)

			// What is refused holds nothing up, and what is not ended the broker aborts.
			short := o.init("short", 3*time.Second)
			o.add(short)
			o.must(o.commit(short, "a", 0, 7))
			b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit, kmsg.EndTxn}, Err: kerr.TransactionalIDAuthorizationFailed, Count: 2})
			if err := o.commit(short, "a", 1, 8); err == nil {
				t.Error("committed")
			}
			if err := o.end(&short, true); err == nil {
				t.Error("ended")
			}
			o.want(open, 6, -1)
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if offsets := o.offsets(); offsets[0] != open {
					break
				} else if time.Now().After(deadline) {
					t.Fatalf("still open: %v", offsets)
				}
			}
			o.want(1, 6, -1)
			if err := o.end(&short, true); err == nil {
				t.Error("committed, and aborted by the broker before")
			}
		})
	}
}

// Of an older epoch an answer may be late: kfake has given it before the newer one. After its last epoch an id has another producer.
func TestOpenOffsetsLateAnswers(t *testing.T) {
	o := newOpenOffsets()
	id := "x"
	initialized := func(producer int64, epoch int16) {
		o.initialized(&kmsg.InitProducerIDRequest{TransactionalID: &id, TransactionTimeoutMillis: 60_000},
			&kmsg.InitProducerIDResponse{ProducerID: producer, ProducerEpoch: epoch})
	}
	commit := func(producer int64, epoch int16) {
		o.committed(&kmsg.TxnOffsetCommitRequest{TransactionalID: id, Group: "g", ProducerID: producer, ProducerEpoch: epoch},
			&kmsg.TxnOffsetCommitResponse{Topics: []kmsg.TxnOffsetCommitResponseTopic{{
				Topic: "a", Partitions: []kmsg.TxnOffsetCommitResponseTopicPartition{{Partition: 0}}}}})
	}
	end := func(producer int64, epoch int16, next kmsg.EndTxnResponse) {
		o.ended(&kmsg.EndTxnRequest{TransactionalID: id, ProducerID: producer, ProducerEpoch: epoch}, &next)
	}
	want := func(open bool, why string) {
		t.Helper()
		if n := len(o.asked(&kmsg.OffsetFetchRequest{RequireStable: true})); (n > 0) != open {
			t.Errorf("%s: %d offsets are held up", why, n)
		}
	}
	initialized(1, 5)
	commit(1, 4)
	want(false, "the older epoch commits offsets")
	commit(1, 5)
	end(1, 4, kmsg.EndTxnResponse{})
	initialized(1, 4)
	want(true, "the older epoch ends")
	end(1, 5, kmsg.EndTxnResponse{Version: 5, ProducerID: 2, ProducerEpoch: 0})
	want(false, "the last epoch ends")
	commit(1, 0)
	want(false, "the producer before commits offsets")
	commit(2, 0)
	want(true, "the next producer commits offsets")
	initialized(3, 0)
	want(false, "another producer takes over")
}
