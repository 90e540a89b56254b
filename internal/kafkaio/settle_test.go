package kafkaio_test

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"wordcount/internal/kafkaio"
	"wordcount/internal/kafkaio/kafkaiotest"
)

// TestSettleDecidesAsTheCoordinatorDid: in every partition and in the group.
func TestSettleDecidesAsTheCoordinatorDid(t *testing.T) {
	for state, want := range map[string]string{
		"CompleteCommit": "commit", "PrepareCommit": "commit", "CompleteAbort": "abort", "Ongoing": "abort", "PrepareEpochFence": "abort", "Empty": "nothing",
	} {
		broker, c := startKfake(t)
		broker.ControlKey(int16(kmsg.DescribeTransactions), func(kmsg.Request) (kmsg.Response, error, bool) {
			resp := kmsg.NewPtrDescribeTransactionsResponse()
			s := kmsg.NewDescribeTransactionsResponseTransactionState()
			s.TransactionalID, s.State = "id", state
			resp.TransactionStates = append(resp.TransactionStates, s)
			return resp, nil, true
		})
		got := "nothing"
		var partitions []int32
		var group string
		broker.ControlKey(int16(kmsg.AddPartitionsToTxn), func(r kmsg.Request) (kmsg.Response, error, bool) {
			broker.KeepControl()
			for _, topic := range r.(*kmsg.AddPartitionsToTxnRequest).Topics {
				partitions = append(partitions, topic.Partitions...)
			}
			return nil, nil, false
		})
		broker.ControlKey(int16(kmsg.AddOffsetsToTxn), func(r kmsg.Request) (kmsg.Response, error, bool) {
			group = r.(*kmsg.AddOffsetsToTxnRequest).Group
			return nil, nil, false
		})
		broker.ControlKey(int16(kmsg.EndTxn), func(r kmsg.Request) (kmsg.Response, error, bool) {
			if got = "abort"; r.(*kmsg.EndTxnRequest).Commit {
				got = "commit"
			}
			return nil, nil, false
		})
		p, err := c.NewTransactional(t.Context(), "id")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Settle(t.Context(), "g", map[string][]int32{"t": {0, 1}}); err != nil {
			t.Fatal(err)
		}
		if got != want || want != "nothing" && (!slices.Equal(partitions, []int32{0, 1}) || group != "g") {
			t.Errorf("%s: %s in partitions %v and group %q, want %s", state, got, partitions, group, want)
		}
		if _, err := p.Commit(t.Context(), kafkaiotest.Place{{Group: "g", ID: -1}}, nil, []kafkaio.Offset{{Topic: "t", Offset: 1}}); err != nil {
			t.Errorf("%s: after it: %v", state, err)
		}
	}
}
