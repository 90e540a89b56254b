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
)

// TestFaults has the broker answer each request with each kind of error: what a retry mends is not seen by the caller,
// what it does not mend is, and nothing is written twice.
func TestFaults(t *testing.T) {
	const times = 4
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
			broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
			if err != nil {
				t.Fatal(err)
			}
			defer broker.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			c := kafkaio.NewClient(kafkaio.Config{Brokers: broker.ListenAddrs()})
			defer c.Close()
			faults := broker.Fault(
				kfake.Fault{Keys: []kmsg.Key{test.key}, Err: test.err, Count: times},
				kfake.Fault{Keys: []kmsg.Key{test.key}, Err: test.err, Count: times, TopLevel: true})

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
	p, err := c.NewTransactional(ctx, "id")
	if err != nil {
		return nil, err
	}
	offsets := []kafkaio.Offset{{Topic: "t", Offset: 7}}
	outputs := []kafkaio.Output{{Topic: "t", Partition: 1, Batches: []*kafkaio.RecordBatch{one("committed")}}}
	if _, err := p.Commit(ctx, kafkaio.Generation{Group: "g", ID: -1}, outputs, offsets); err != nil {
		return nil, err
	}
	if p, err = c.NewTransactional(ctx, "id"); err != nil {
		return nil, err
	}
	if found, err := c.Committed(ctx, "g", "t", []int32{0}); err != nil || found[0].Offset != 7 {
		return nil, errors.Join(err, errors.New("the offset is not committed"))
	}
	plain, err := c.NewProducer(ctx, "t")
	if err != nil {
		return nil, err
	}
	if _, err := plain.Send(ctx, 0, one("sent")); err != nil {
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
