package kafkaio_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"wordcount/internal/kafkaio"
	"wordcount/internal/kafkaio/kafkaiotest"
)

// forgetful is the transaction coordinator, the partitions t/0 and t/1 and the group of one transactional id, as in Kafka 4.1 to
// 4.3.1: it leaves end markers out (KAFKA-20734).
type forgetful struct {
	state   string
	epoch   int16
	last    int16 // whose InitProducerID may come again (KIP-360)
	timeout int32 // ms
	in      map[string]bool
	number  int // of the transaction
	lag     int // requests until the markers of a decided transaction are written
	skip    func(place string) bool

	open    map[string][]int // the transactions that have written to a place and have not ended there
	ended   map[string][]end
	decided map[int]string   // by EndTxn of the producer
	newest  map[string]int16 // epoch in a place

	anothers bool // offset is open

	left   int  // so many requests are answered, then the producer is dead
	lost   bool // the last one is carried out, too, and its answer lost
	asked  []string
	before func(request string) // what happens then
}

type end struct {
	number int
	how    string
}

const (
	producerID       = 77
	offsetsOfG       = "__consumer_offsets/3" // "g".hashCode() is 103
	coordinatorEpoch = 5
	aGroup           = "the group"
	toCommit         = "Commit"
	toAbort          = "Abort"
	withoutLimit     = 1 << 30
)

var (
	places    = []string{"t/0", "t/1", aGroup}
	footprint = kafkaio.Footprint{Writes: map[string][]int32{"t": {0, 1}}, Group: "g", Offsets: map[string][]int32{"t": {0}}}
)

func startForgetful(t *testing.T) (*forgetful, *kafkaio.Client) {
	t.Helper()
	broker, c := startKfake(t, kfake.SeedTopics(50, "__consumer_offsets"))
	f := &forgetful{
		state: "Empty", epoch: -1, timeout: 60000, in: make(map[string]bool), open: make(map[string][]int), ended: make(map[string][]end),
		decided: make(map[int]string), newest: make(map[string]int16), last: -1, skip: func(string) bool { return false }, left: withoutLimit, before: func(string) {},
	}
	for _, key := range []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.EndTxn, kmsg.Produce,
		kmsg.TxnOffsetCommit, kmsg.OffsetFetch, kmsg.DescribeTransactions, kmsg.DescribeProducers, kmsg.WriteTxnMarkers} {
		broker.ControlKey(int16(key), func(r kmsg.Request) (kmsg.Response, error, bool) {
			broker.KeepControl()
			name := key.Name()
			if f.left > 0 || f.lost && f.left == 0 {
				f.before(name)
			}
			dead := f.left <= 0
			if f.left--; dead && (f.left < -1 || !f.lost) {
				return f.answer(r, kerr.TransactionalIDAuthorizationFailed.Code), nil, true
			}
			resp := f.answer(r, 0)
			if dead {
				resp = f.answer(r, kerr.TransactionalIDAuthorizationFailed.Code)
			}
			return resp, nil, true
		})
	}
	return f, c
}

// markers are written, but for those that are left out.
func (f *forgetful) markers() {
	decision := strings.TrimPrefix(f.state, "Prepare")
	f.state = "Complete" + decision
	for place := range f.in {
		if f.skip(place) {
			continue
		}
		f.mark(place, f.epoch, decision)
	}
	clear(f.in)
}

func (f *forgetful) mark(place string, epoch int16, decision string) {
	for _, n := range f.open[place] {
		f.ended[place] = append(f.ended[place], end{n, decision})
	}
	delete(f.open, place)
	f.newest[place] = epoch
}

// commit decides the transaction; its markers come lag requests later.
func (f *forgetful) commit(lag int) {
	f.decided[f.number] = toCommit
	f.decide(toCommit, lag)
}

// abort fences the producer.
func (f *forgetful) abort() {
	f.epoch++
	f.decide(toAbort, 1)
}

func (f *forgetful) decide(how string, lag int) {
	f.state, f.lag = "Prepare"+how, lag
	if lag == 0 {
		f.markers()
	}
}

// tick goes on with what takes time.
func (f *forgetful) tick() {
	if !strings.HasPrefix(f.state, "Prepare") {
		return
	}
	if f.lag--; f.lag <= 0 {
		f.markers()
	}
}

// answer carries a request out, or refuses it with a code.
func (f *forgetful) answer(r kmsg.Request, refused int16) kmsg.Response {
	preparing := strings.HasPrefix(f.state, "Prepare")
	code := func(epoch int16) int16 {
		switch {
		case refused != 0:
			return refused
		case epoch != f.epoch:
			return kerr.ProducerFenced.Code
		case preparing:
			return kerr.ConcurrentTransactions.Code
		}
		return 0
	}
	if refused == 0 {
		defer f.tick()
	}
	begin := func(place string) {
		if f.state != "Ongoing" {
			f.state = "Ongoing"
			f.number++
		}
		f.in[place] = true
	}
	switch r := r.(type) {
	case *kmsg.InitProducerIDRequest:
		resp := r.ResponseKind().(*kmsg.InitProducerIDResponse)
		switch {
		case refused != 0:
			resp.ErrorCode = refused
			return resp
		case r.ProducerID >= 0 && r.ProducerEpoch < 0:
			resp.ErrorCode = kerr.InvalidRequest.Code
			return resp
		case preparing:
			resp.ErrorCode = kerr.ConcurrentTransactions.Code
			return resp
		case f.state == "Ongoing":
			f.abort()
			resp.ErrorCode = kerr.ConcurrentTransactions.Code
			return resp
		case r.ProducerID < 0:
			f.epoch, f.last = f.epoch+1, -1
		case r.ProducerEpoch == f.epoch:
			f.epoch, f.last = f.epoch+1, f.epoch
		case r.ProducerEpoch != f.last:
			resp.ErrorCode = kerr.ProducerFenced.Code
			return resp
		}
		f.asked = append(f.asked, fmt.Sprintf("Init %d", r.TransactionTimeoutMillis))
		f.state, f.timeout = "Empty", r.TransactionTimeoutMillis
		resp.ProducerID, resp.ProducerEpoch = producerID, f.epoch
		return resp
	case *kmsg.WriteTxnMarkersRequest:
		resp := r.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
		m := r.Markers[0]
		topic, partition := m.Topics[0].Topic, m.Topics[0].Partitions[0]
		place := fmt.Sprintf("%s/%d", topic, partition)
		if place == offsetsOfG {
			place = aGroup
		}
		one := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
		one.Partition = partition
		switch {
		case refused != 0:
			one.ErrorCode = refused
		case !slices.Contains(places, place):
			one.ErrorCode = kerr.UnknownTopicOrPartition.Code
		case m.ProducerID != producerID || m.CoordinatorEpoch < coordinatorEpoch:
			one.ErrorCode = kerr.TransactionCoordinatorFenced.Code
		case m.ProducerEpoch < f.newest[place]:
			one.ErrorCode = kerr.InvalidProducerEpoch.Code
		default:
			how := toAbort
			if m.Committed {
				how = toCommit
			}
			f.asked = append(f.asked, how+" at "+place)
			f.mark(place, m.ProducerEpoch, how)
		}
		answered := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
		answered.Topic, answered.Partitions = topic, append(answered.Partitions, one)
		marker := kmsg.NewWriteTxnMarkersResponseMarker()
		marker.ProducerID, marker.Topics = producerID, append(marker.Topics, answered)
		resp.Markers = append(resp.Markers, marker)
		return resp
	case *kmsg.AddPartitionsToTxnRequest:
		resp := r.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
		e := code(r.ProducerEpoch)
		for _, topic := range r.Topics {
			answered := kmsg.NewAddPartitionsToTxnResponseTopic()
			answered.Topic = topic.Topic
			for _, p := range topic.Partitions {
				one := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				one.Partition, one.ErrorCode = p, e
				answered.Partitions = append(answered.Partitions, one)
				if e == 0 {
					begin(fmt.Sprintf("t/%d", p))
				}
			}
			resp.Topics = append(resp.Topics, answered)
		}
		if e == 0 {
			f.asked = append(f.asked, "AddPartitions")
		}
		return resp
	case *kmsg.AddOffsetsToTxnRequest:
		resp := r.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
		if resp.ErrorCode = code(r.ProducerEpoch); resp.ErrorCode == 0 {
			f.asked = append(f.asked, "AddOffsets")
			begin(aGroup)
		}
		return resp
	case *kmsg.EndTxnRequest:
		resp := r.ResponseKind().(*kmsg.EndTxnResponse)
		switch e := code(r.ProducerEpoch); {
		case e != 0 && e != kerr.ConcurrentTransactions.Code:
			resp.ErrorCode = e
		case !r.Commit: // an abort has an epoch of its own
			resp.ErrorCode = kerr.InvalidTxnState.Code
		case f.state == "Ongoing":
			f.asked = append(f.asked, toCommit)
			f.commit(1)
		case f.state != "PrepareCommit" && f.state != "CompleteCommit":
			resp.ErrorCode = kerr.InvalidTxnState.Code
		}
		return resp
	case *kmsg.ProduceRequest:
		resp := r.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range r.Topics {
			answered := kmsg.NewProduceResponseTopic()
			answered.Topic = topic.Topic
			for _, p := range topic.Partitions {
				one := kmsg.NewProduceResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, refused
				answered.Partitions = append(answered.Partitions, one)
				if place := fmt.Sprintf("t/%d", p.Partition); refused == 0 {
					f.open[place] = append(f.open[place], f.number)
					f.newest[place] = f.epoch
				}
			}
			resp.Topics = append(resp.Topics, answered)
		}
		return resp
	case *kmsg.TxnOffsetCommitRequest:
		resp := r.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, topic := range r.Topics {
			answered := kmsg.NewTxnOffsetCommitResponseTopic()
			answered.Topic = topic.Topic
			for _, p := range topic.Partitions {
				one := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				one.Partition, one.ErrorCode = p.Partition, refused
				answered.Partitions = append(answered.Partitions, one)
			}
			resp.Topics = append(resp.Topics, answered)
		}
		if refused == 0 {
			f.open[aGroup] = append(f.open[aGroup], f.number)
			f.newest[aGroup] = f.epoch
		}
		return resp
	case *kmsg.OffsetFetchRequest:
		resp := r.ResponseKind().(*kmsg.OffsetFetchResponse)
		resp.ErrorCode = refused
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = "t"
		one := kmsg.NewOffsetFetchResponseTopicPartition()
		if one.Offset = -1; (f.anothers || len(f.open[aGroup]) > 0) && r.RequireStable {
			one.ErrorCode = kerr.UnstableOffsetCommit.Code
		}
		topic.Partitions = append(topic.Partitions, one)
		resp.Topics = append(resp.Topics, topic)
		return resp
	case *kmsg.DescribeTransactionsRequest:
		resp := r.ResponseKind().(*kmsg.DescribeTransactionsResponse)
		one := kmsg.NewDescribeTransactionsResponseTransactionState()
		one.ErrorCode, one.TransactionalID, one.State, one.TimeoutMillis = refused, r.TransactionalIDs[0], f.state, f.timeout
		one.ProducerID, one.ProducerEpoch = producerID, f.epoch
		resp.TransactionStates = append(resp.TransactionStates, one)
		return resp
	case *kmsg.DescribeProducersRequest:
		resp := r.ResponseKind().(*kmsg.DescribeProducersResponse)
		for _, topic := range r.Topics {
			answered := kmsg.NewDescribeProducersResponseTopic()
			answered.Topic = topic.Topic
			for _, p := range topic.Partitions {
				one := kmsg.NewDescribeProducersResponseTopicPartition()
				one.Partition, one.ErrorCode = p, refused
				place := fmt.Sprintf("%s/%d", topic.Topic, p)
				if place == offsetsOfG {
					place = aGroup
				}
				for _, id := range []int64{producerID - 1, producerID} {
					producer := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
					producer.ProducerID, producer.CoordinatorEpoch, producer.CurrentTxnStartOffset = id, coordinatorEpoch, -1
					if id != producerID || len(f.open[place]) > 0 { // another's is always open
						producer.CurrentTxnStartOffset = 0
					}
					one.ActiveProducers = append(one.ActiveProducers, producer)
				}
				answered.Partitions = append(answered.Partitions, one)
			}
			resp.Topics = append(resp.Topics, answered)
		}
		return resp
	}
	panic(fmt.Sprintf("%T", r))
}

// oneTransaction writes everywhere.
func oneTransaction(t *testing.T, p *kafkaio.Transactional) error {
	return commitOne(t, p, 2, []kafkaio.Offset{{Topic: "t", Offset: 1}})
}

// prepareOne is prepared to write everywhere, and leaves t/1 out.
func prepareOne(t *testing.T, p *kafkaio.Transactional) error {
	if err := prepare(t, p); err != nil {
		return err
	}
	return commitOne(t, p, 1, nil)
}

func prepare(t *testing.T, p *kafkaio.Transactional) error {
	_, prepared, err := p.Prepare(t.Context(), kafkaiotest.Place{{Group: "g", ID: -1}}, nil, []kafkaio.Offset{{Topic: "t", Offset: 1}})
	if err == nil && !prepared {
		err = errors.New("not prepared")
	}
	return err
}

func commitOne(t *testing.T, p *kafkaio.Transactional, partitions int32, offsets []kafkaio.Offset) error {
	var outputs []kafkaio.Output
	for partition := range partitions {
		b := new(kafkaio.RecordBatch)
		b.Append(1, nil, []byte("value"))
		outputs = append(outputs, kafkaio.Output{Topic: "t", Partition: partition, Batches: []*kafkaio.RecordBatch{b}})
	}
	_, err := p.Commit(t.Context(), kafkaiotest.Place{{Group: "g", ID: -1}}, outputs, offsets)
	return err
}

// leaveOut has the markers of the first transactions not reach the places.
func (f *forgetful) leaveOut(transactions int, left []string) {
	f.skip = func(place string) bool { return slices.Contains(left, place) && f.number <= transactions }
}

// wantWhole wants every transaction to have ended in the same way everywhere, as the producer has decided, and none to be open.
func (f *forgetful) wantWhole(t *testing.T) {
	t.Helper()
	if len(f.open) > 0 {
		t.Errorf("open: %v", f.open)
	}
	hows := make(map[int]map[string]bool)
	for _, ends := range f.ended {
		for _, e := range ends {
			if hows[e.number] == nil {
				hows[e.number] = make(map[string]bool)
			}
			hows[e.number][e.how] = true
		}
	}
	for number, how := range hows {
		decided := f.decided[number]
		if decided == "" {
			decided = toAbort
		}
		if len(how) != 1 || !how[decided] {
			t.Errorf("transaction %d was decided to %s, and ended with %v: %v", number, decided, slices.Sorted(maps.Keys(how)), f.ended)
		}
	}
}

// TestForgottenMarkers: whichever markers are left out, and wherever who takes over dies, a transaction is committed everywhere or
// aborted everywhere.
func TestForgottenMarkers(t *testing.T) {
	runs := 0
	for set := range 1 << len(places) {
		var left []string
		for i, place := range places {
			if set>>i&1 == 1 {
				left = append(left, place)
			}
		}
		for _, first := range []string{toCommit, toAbort, "Open", "Prepared", "CommitPrepared"} {
			for rounds := 1; rounds <= 2; rounds++ {
				for _, lost := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s,%v,%d,%t", first, left, rounds, lost), func(t *testing.T) { // whose brokers end with it
						for dies, over := 0, false; !over; dies++ {
							f, c := startForgetful(t)
							f.leaveOut(rounds, left)
							p, err := c.NewTransactional(t.Context(), "id", footprint)
							if err != nil {
								t.Fatal(err)
							}
							switch first {
							case toCommit:
								err = oneTransaction(t, p)
							case "CommitPrepared": // without a record in t/1
								err = prepareOne(t, p)
							case "Prepared": // it dies then, and it times out
								err = prepare(t, p)
								f.abort()
							default:
								f.before = func(request string) {
									if request == "EndTxn" {
										if f.left = 0; first == toAbort {
											f.abort() // it times out
										}
									}
								}
								oneTransaction(t, p)
							}
							if err != nil {
								t.Fatal(err)
							}
							f.before = func(string) {}
							f.left, f.lost = dies, lost
							c.NewTransactional(t.Context(), "id", footprint)
							over = f.left > 0
							f.left = withoutLimit
							p, err = c.NewTransactional(t.Context(), "id", footprint)
							if err == nil {
								err = oneTransaction(t, p)
							}
							if err == nil && p.Settled(t.Context()) != nil {
								_, err = c.NewTransactional(t.Context(), "id", footprint)
							}
							if err != nil {
								t.Errorf("then: %v", err)
							}
							if f.wantWhole(t); t.Failed() {
								t.Fatalf("%s, left out %d times at %v, who took over died after %d requests (answer lost: %t): %v", first, rounds, left, dies, lost, f.asked)
							}
							runs++
						}
					})
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

// TestNothingBeginsBeforeTheEnd: who goes on does not write to where the end of the last transaction is missing, but has it settled.
func TestNothingBeginsBeforeTheEnd(t *testing.T) {
	for _, place := range places {
		f, c := startForgetful(t)
		f.leaveOut(1, []string{place})
		p, err := c.NewTransactional(t.Context(), "id", footprint)
		if err != nil {
			t.Fatal(err)
		}
		if err := oneTransaction(t, p); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{p.Settled(t.Context()), oneTransaction(t, p)} {
			if err == nil || errors.Is(err, kafkaio.ErrFenced) || errors.Is(err, kafkaio.ErrNotMember) {
				t.Errorf("%s: %v", place, err)
			}
		}
		if f.number != 1 {
			t.Errorf("%s: %v", place, f.asked)
		}
		p, err = c.NewTransactional(t.Context(), "id", footprint)
		if err == nil {
			err = errors.Join(oneTransaction(t, p), p.Settled(t.Context()))
		}
		if err != nil {
			t.Errorf("%s: %v", place, err)
		}
		f.wantWhole(t)
	}
}

// TestDecidedMeanwhile: the old owner commits what the new one has found open and is about to abort.
func TestDecidedMeanwhile(t *testing.T) {
	for _, test := range []struct {
		lag  int // of the markers
		left []string
		want string
	}{
		{0, nil, ""},
		{1, nil, ""},
		{1, []string{"t/0", aGroup}, ""},
		{0, []string{"t/0"}, ""},
	} {
		f, c := startForgetful(t)
		f.leaveOut(1, test.left)
		p, err := c.NewTransactional(t.Context(), "id", footprint)
		if err != nil {
			t.Fatal(err)
		}
		f.before = func(request string) {
			if request == "EndTxn" {
				f.left = 0 // it is frozen
			}
		}
		if err := oneTransaction(t, p); err == nil {
			t.Fatal("not frozen")
		}
		f.left = withoutLimit
		f.before = func(request string) {
			if request == "InitProducerID" && f.state == "Ongoing" {
				f.commit(test.lag)
			}
		}
		_, err = c.NewTransactional(t.Context(), "id", footprint)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test, err, test.want)
		}
		if err == nil {
			f.wantWhole(t)
		}
	}
}

// TestOpenOfAnother: what does not end with its marker is not ours to end.
func TestOpenOfAnother(t *testing.T) {
	f, c := startForgetful(t)
	if _, err := c.NewTransactional(t.Context(), "id", footprint); err != nil {
		t.Fatal(err)
	}
	f.anothers = true
	if _, err := c.NewTransactional(t.Context(), "id", footprint); err == nil || !strings.Contains(err.Error(), "another producer") {
		t.Error(err)
	}
	if slices.ContainsFunc(f.asked, func(what string) bool { return strings.Contains(what, " at ") }) {
		t.Error(f.asked)
	}
}

// TestWithoutNote: what a producer has left open that leaves no notes, such as one of an earlier version, is aborted.
func TestWithoutNote(t *testing.T) {
	f, c := startForgetful(t)
	f.epoch, f.state, f.number = 4, "Ongoing", 1
	for _, place := range places {
		f.in[place], f.open[place], f.newest[place] = true, []int{1}, 4
	}
	p, err := c.NewTransactional(t.Context(), "id", footprint)
	if err == nil {
		err = oneTransaction(t, p)
	}
	if err == nil {
		err = p.Settled(t.Context())
	}
	if err != nil {
		t.Error(err)
	}
	f.wantWhole(t)
}

// TestNobodyKnows: an end that is missing, of a transaction of which nothing is known any more, is not guessed.
func TestNobodyKnows(t *testing.T) {
	f, c := startForgetful(t)
	f.epoch, f.open["t/1"] = 4, []int{1}
	if _, err := c.NewTransactional(t.Context(), "id", footprint); err == nil || !strings.Contains(err.Error(), "t/1 is still open in a transaction that nobody") {
		t.Error(err)
	}
	if len(f.asked) > 0 {
		t.Error(f.asked)
	}
}
