package kafkaio_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"wordcount/internal/kafkaio"
	"wordcount/internal/kafkaio/kafkaiotest"
)

// TestFaults has the broker answer each request with each kind of error: what a retry mends is not seen by the caller,
// what it does not mend is, and nothing is written twice.
func TestFaults(t *testing.T) {
	const times = 2
	for _, test := range []struct {
		key  kmsg.Key
		err  *kerr.Error
		want error // nil: retried
	}{
		{kmsg.FindCoordinator, kerr.CoordinatorNotAvailable, nil},
		{kmsg.InitProducerID, kerr.ConcurrentTransactions, nil},
		{kmsg.InitProducerID, kerr.NotCoordinator, nil},
		{kmsg.InitProducerID, kerr.TransactionalIDAuthorizationFailed, kafka.TransactionalIDAuthorizationFailed},
		{kmsg.AddPartitionsToTxn, kerr.ConcurrentTransactions, nil},
		{kmsg.AddPartitionsToTxn, kerr.CoordinatorLoadInProgress, nil},
		{kmsg.AddPartitionsToTxn, kerr.ProducerFenced, kafkaio.ErrFenced},
		{kmsg.AddPartitionsToTxn, kerr.InvalidTxnState, kafkaio.ErrFenced},
		{kmsg.AddPartitionsToTxn, kerr.TopicAuthorizationFailed, kafka.TopicAuthorizationFailed},
		{kmsg.Produce, kerr.NotLeaderForPartition, nil},
		{kmsg.Produce, kerr.NotEnoughReplicas, nil},
		{kmsg.Produce, kerr.NotEnoughReplicasAfterAppend, nil}, // written all the same
		{kmsg.Produce, kerr.RequestTimedOut, nil},              // written all the same
		{kmsg.Produce, kerr.MessageTooLarge, kafka.MessageSizeTooLarge},
		{kmsg.Produce, kerr.InvalidProducerEpoch, kafkaio.ErrFenced},
		{kmsg.AddOffsetsToTxn, kerr.ConcurrentTransactions, nil},
		{kmsg.AddOffsetsToTxn, kerr.InvalidProducerEpoch, kafkaio.ErrFenced},
		{kmsg.TxnOffsetCommit, kerr.NotCoordinator, nil},
		{kmsg.TxnOffsetCommit, kerr.CoordinatorLoadInProgress, nil},
		{kmsg.TxnOffsetCommit, kerr.IllegalGeneration, kafkaio.ErrNotMember},
		{kmsg.TxnOffsetCommit, kerr.UnknownMemberID, kafkaio.ErrNotMember},
		{kmsg.TxnOffsetCommit, kerr.FencedInstanceID, kafkaio.ErrNotMember},
		{kmsg.EndTxn, kerr.ConcurrentTransactions, nil},
		{kmsg.EndTxn, kerr.CoordinatorNotAvailable, nil},
		{kmsg.EndTxn, kerr.ProducerFenced, kafkaio.ErrFenced},
		{kmsg.OffsetFetch, kerr.CoordinatorLoadInProgress, nil},
		{kmsg.OffsetFetch, kerr.GroupAuthorizationFailed, kafka.GroupAuthorizationFailed},
		{kmsg.ListOffsets, kerr.NotLeaderForPartition, nil},
		{kmsg.ListOffsets, kerr.OffsetNotAvailable, nil},
		{kmsg.ListOffsets, kerr.TopicAuthorizationFailed, kafka.TopicAuthorizationFailed},
		{kmsg.Fetch, kerr.NotLeaderForPartition, nil},
		{kmsg.Fetch, kerr.UnknownLeaderEpoch, nil},
		{kmsg.Fetch, kerr.KafkaStorageError, nil},
		{kmsg.Fetch, kerr.TopicAuthorizationFailed, kafka.TopicAuthorizationFailed},
	} {
		t.Run(test.key.Name()+" "+test.err.Message, func(t *testing.T) {
			broker, c := startKfake(t)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			all := []kfake.Fault{{Keys: []kmsg.Key{test.key}, Err: test.err, Count: times}}
			if test.key != kmsg.AddPartitionsToTxn { // its error for the whole request came with version 4
				all = append(all, kfake.Fault{Keys: []kmsg.Key{test.key}, Err: test.err, Count: times, TopLevel: true})
			}
			faults := broker.Fault(all...)

			values, err := roundTrip(ctx, c)
			if faults.Hits() == 0 {
				t.Fatal("the fault did not happen")
			}
			if test.want != nil {
				if !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if other := kafkaio.ErrFenced; !errors.Is(test.want, other) && errors.Is(err, other) {
					t.Errorf("taken for fenced: %v", err)
				}
				return
			}
			if err != nil || !slices.Equal(values, []string{"sent", "committed"}) {
				t.Errorf("read %q, %v", values, err)
			}
		})
	}
}

// roundTrip uses every request of the package once: what it sends and commits is what it reads.
func roundTrip(ctx context.Context, c *kafkaio.Client) (values []string, err error) {
	one := func(value string) *kafkaio.RecordBatch {
		b := new(kafkaio.RecordBatch)
		b.Append(1, nil, []byte(value))
		return b
	}
	p, err := c.NewTransactional(ctx, "id", footprint)
	if err != nil {
		return nil, err
	}
	offsets := []kafkaio.Offset{{Topic: "t", Offset: 7}}
	outputs := []kafkaio.Output{{Topic: "t", Partition: 1, Batches: []*kafkaio.RecordBatch{one("committed")}}}
	if _, err := p.Commit(ctx, kafkaiotest.Place{{Group: "g", ID: -1}}, outputs, offsets); err != nil {
		return nil, err
	}
	if _, err = c.NewTransactional(ctx, "id", footprint); err != nil {
		return nil, err
	}
	if found, err := c.Committed(ctx, "g", "t", []int32{0}); err != nil || found[0].Offset != 7 {
		return nil, errors.Join(err, errors.New("the offset is not committed"))
	}
	plain, err := c.NewProducer(ctx, "t")
	if err != nil {
		return nil, err
	}
	if _, err := plain.SendOne(ctx, 0, one("sent")); err != nil {
		return nil, err
	}
	ends, err := c.Offsets(ctx, "t", kafkaio.Latest)
	if err != nil {
		return nil, err
	}
	r := c.NewReader([]kafkaio.Position{{Topic: "t"}, {Topic: "t", Partition: 1}})
	defer r.Close()
	got := make([][]string, 2)
	for position := make([]int64, 2); position[0] < ends[0] || position[1] < ends[1]; {
		fetched, err := r.Poll(ctx, 50*time.Millisecond)
		if err != nil {
			return nil, err
		}
		for _, f := range fetched {
			var rec kafkaio.Record
			for f.Next(&rec) {
				got[f.Partition] = append(got[f.Partition], string(rec.Value))
			}
			if f.Err() != nil {
				return nil, f.Err()
			}
			position[f.Partition] = f.Position()
		}
	}
	return append(got[0], got[1]...), nil
}

func startKfake(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, *kafkaio.Client) {
	t.Helper()
	broker, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	c := kafkaio.NewClient(kafkaio.Config{Brokers: broker.ListenAddrs()})
	t.Cleanup(c.Close)
	return broker, c
}

// TestAbortFails: the error of a transaction is why it was aborted, not how that went.
func TestAbortFails(t *testing.T) {
	broker, c := startKfake(t)
	broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge},
		kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ProducerFenced, TopLevel: true})
	if _, err := roundTrip(t.Context(), c); !errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafkaio.ErrFenced) {
		t.Errorf("got %v", err)
	}
}

// TestRefusedPartitionIsNotHurried: a partition whose leader moves is not asked for in a tight loop.
func TestRefusedPartitionIsNotHurried(t *testing.T) {
	broker, c := startKfake(t)
	faults := broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition, Count: -1})
	r := c.NewReader([]kafkaio.Position{{Topic: "t"}})
	defer r.Close()
	for start := time.Now(); time.Since(start) < time.Second; {
		if fetched, err := r.Poll(t.Context(), 10*time.Millisecond); err != nil || len(fetched) > 0 {
			t.Fatal(fetched, err)
		}
	}
	if hits := faults.Hits(); hits < 3 || hits > 30 {
		t.Errorf("asked %d times in a second", hits)
	}
}

// inOne is a balancer that gives all to the first member.
type inOne struct{}

func (inOne) Protocol() string { return "one" }
func (inOne) Assign(members []kafkaio.Claim, counts map[string]int) map[string]map[string][]int32 {
	assigned := make(map[string][]int32)
	for topic, n := range counts {
		for p := range int32(n) {
			assigned[topic] = append(assigned[topic], p)
		}
	}
	return map[string]map[string][]int32{members[0].Member: assigned}
}

// TestMemberStays: a coordinator that is away, loads or moves costs a member neither its generation nor its place: nobody has to
// wait for a session's end. The group that moves on while a member joins takes it along.
func TestMemberStays(t *testing.T) {
	broker, c := startKfake(t)
	m := c.Join("g", inOne{}, "t")
	defer m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first, err := m.Next(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	away := broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.NotCoordinator, Count: 5},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.CoordinatorLoadInProgress, Count: 5})
	for away.Hits() < 10 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if err := first.Heartbeat(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-first.Context().Done():
		t.Error("the generation ended")
	default:
	}
	for _, fault := range []kfake.Fault{
		{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.NotCoordinator, Count: 2},
		{Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.CoordinatorNotAvailable, Count: 2},
		{Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.RebalanceInProgress, Count: 2},
		{Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.IllegalGeneration, Count: 2},
	} {
		faults := broker.Fault(fault)
		began := time.Now()
		next, err := m.Next(ctx, first.Partitions)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 3*time.Second || faults.Hits() != 2 {
			t.Errorf("%v: joined again after %v and %d faults", fault.Err, took, faults.Hits())
		}
		if next.MemberID != first.MemberID || next.ID <= first.ID || len(next.Partitions["t"]) != 2 {
			t.Errorf("%v: from %+v to %+v", fault.Err, first.Generation, next)
		}
		first = next
	}
	broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.GroupAuthorizationFailed, Count: 1})
	if _, err := m.Next(ctx, first.Partitions); !errors.Is(err, kafka.GroupAuthorizationFailed) {
		t.Errorf("a refusal: %v", err)
	}
}

// TestEnsureTopicWaitsForBrokers: a cluster that is starting has fewer brokers than the topic is to have replicas.
func TestEnsureTopicWaitsForBrokers(t *testing.T) {
	broker, c := startKfake(t)
	faults := broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.InvalidReplicationFactor, Count: 3})
	if n, err := c.EnsureTopic(t.Context(), kafkaio.TopicSpec{Name: "new", Partitions: 3, ReplicationFactor: 1}); n != 3 || err != nil || faults.Hits() != 3 {
		t.Errorf("got %d, %v after %d refusals", n, err, faults.Hits())
	}
}

// A resend that the broker recognizes has the time at which the batch came first, so the answer counts as one to the first request.
func TestSentIsTheFirstTime(t *testing.T) {
	broker, c := startKfake(t)
	p, err := c.NewTransactional(t.Context(), "id", footprint)
	if err != nil {
		t.Fatal(err)
	}
	const times = 3
	const waits = 20 * time.Millisecond                                                                          // between the first request and the last one, at least
	faults := broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: times}) // written all the same
	b := new(kafkaio.RecordBatch)
	b.Append(1, nil, []byte("x"))
	acks, err := p.Commit(t.Context(), kafkaiotest.Place{{Group: "g", ID: -1}}, []kafkaio.Output{{Topic: "t", Batches: []*kafkaio.RecordBatch{b}}}, nil)
	if err != nil || faults.Hits() != times {
		t.Fatalf("%v, with %d faults", err, faults.Hits())
	}
	if took := acks[0].Received.Sub(acks[0].Sent); took < waits {
		t.Errorf("answered %v after it was sent: want the time since the first request, %v or more", took, waits)
	}
}

// Only the leader is waited for: another replica that does not follow is no reason to fail, or to wait.
func TestDeleteRecordsWaitsForTheLeader(t *testing.T) {
	broker, c := startKfake(t)
	for _, test := range []struct {
		answer *kerr.Error
		want   error
	}{{kerr.RequestTimedOut, nil}, {kerr.PolicyViolation, kafka.PolicyViolation}} {
		broker.ControlKey(int16(kmsg.DeleteRecords), func(r kmsg.Request) (kmsg.Response, error, bool) {
			req := r.(*kmsg.DeleteRecordsRequest)
			if req.TimeoutMillis != 0 {
				t.Errorf("waits for %d ms", req.TimeoutMillis)
			}
			resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
			resp.Topics = []kmsg.DeleteRecordsResponseTopic{{Topic: "t", Partitions: []kmsg.DeleteRecordsResponseTopicPartition{{ErrorCode: test.answer.Code}}}}
			return resp, nil, true
		})
		if err := c.DeleteRecords(t.Context(), "t", 0, 0); !errors.Is(err, test.want) {
			t.Errorf("answer %v: %v, want %v", test.answer, err, test.want)
		}
	}
}

// A look-up by time that finds no record answers with an end from before it: what is committed between two requests lies behind.
func TestOffsetOfNoRecordIsAnEarlierEnd(t *testing.T) {
	broker, c := startKfake(t)
	end := int64(3)
	broker.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		req := r.(*kmsg.ListOffsetsRequest)
		answer := kmsg.ListOffsetsResponseTopicPartition{Offset: end, LeaderEpoch: -1, Timestamp: -1}
		if req.Topics[0].Partitions[0].Timestamp >= 0 {
			answer.Offset = -1
			end += 2 // right behind it something is committed
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		resp.Topics = []kmsg.ListOffsetsResponseTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsResponseTopicPartition{answer}}}
		return resp, nil, true
	})
	if offset, err := c.Offset(t.Context(), "t", 0, 1); err != nil || offset != 3 {
		t.Errorf("offset %d, %v, want 3", offset, err)
	}
}
