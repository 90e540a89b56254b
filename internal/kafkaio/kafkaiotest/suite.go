// Package kafkaiotest is the conformance suite of package kafkaio: one set of tests for every broker that the services
// run on, embedded or real. Between client and broker it puts a proxy that loses answers and connections at chosen
// requests, so both kinds of broker are tested for the same faults.
package kafkaiotest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"wordcount/internal/kafkaio"
)

// Broker is what the suite runs against.
type Broker struct {
	Addr       string                      // host:port; the broker must advertise localhost or 127.0.0.1 with this port
	AppendTime bool                        // message.timestamp.type=LogAppendTime is honoured
	Apart      bool                        // an open transaction holds up the offsets that it commits, no others of the group
	Strict     bool                        // what Kafka refuses is refused: large batches and metadata, bad topic names, offsets of no member
	Restart    func(context.Context) error // ends it, another way each time, and starts it again; nil: cannot be done
}

// patience is for a broker on a busy machine; what hangs, hangs longer.
const patience = time.Minute

// Run runs the suite.
func Run(t *testing.T, b Broker) {
	for _, test := range []struct {
		name string
		run  func(*fixture)
	}{
		{"EnsureTopic", testEnsureTopic},
		{"TopicID", testTopicID},
		{"WaitTopic", testWaitTopic},
		{"OtherTopic", testOtherTopic},
		{"Send", testSend},
		{"SendAnswerLost", testSendAnswerLost},
		{"SendRequestLost", testSendRequestLost},
		{"SendRefused", testSendRefused},
		{"SendInterrupted", testSendInterrupted},
		{"SendTogether", testSendTogether},
		{"SendThroughOutages", testSendThroughOutages},
		{"Commit", testCommit},
		{"CommitIsAtomic", testCommitIsAtomic},
		{"CommitNothing", testCommitNothing},
		{"CommitAnswersLost", testCommitAnswersLost},
		{"CommitUndecided", testCommitUndecided},
		{"CommitRefused", testCommitRefused},
		{"CommitSettled", testCommitSettled},
		{"Prepare", testPrepare},
		{"PrepareRecords", testPrepareRecords},
		{"PrepareApart", testPrepareApart},
		{"PrepareAbandoned", testPrepareAbandoned},
		{"PrepareAnswersLost", testPrepareAnswersLost},
		{"Stray", testStray},
		{"Settled", testSettled},
		{"Fencing", testFencing},
		{"FencingMidway", testFencingMidway},
		{"ReadAborted", testReadAborted},
		{"ReadOpenTransaction", testReadOpenTransaction},
		{"ReadSeveral", testReadSeveral},
		{"ReadPaused", testReadPaused},
		{"ReadPartly", testReadPartly},
		{"ReadAhead", testReadAhead},
		{"ReadAheadInVain", testReadAheadInVain},
		{"ReadLargeBatch", testReadLargeBatch},
		{"ReadLargeBatchBehind", testReadLargeBatchBehind},
		{"LongPoll", testLongPoll},
		{"OutOfRange", testOutOfRange},
		{"Offsets", testOffsets},
		{"ReadThroughOutage", testReadThroughOutage},
		{"Group", testGroup},
		{"GroupInconsistent", testGroupInconsistent},
		{"GroupAgain", testGroupAgain},
		{"GroupPutOut", testGroupPutOut},
		{"CopyThroughFaults", testCopyThroughFaults},
		{"Restart", testRestart},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, b)
			test.run(f)
		})
	}
}

// fixture is what each test has for itself on the shared broker.
type fixture struct {
	*testing.T
	Broker
	ctx    context.Context
	id     string          // makes the names of topics, groups and transactional ids the test's own
	client *kafkaio.Client // straight to the broker
	topics map[string][]int32
}

func newFixture(t *testing.T, b Broker) *fixture {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	f := &fixture{T: t, Broker: b, ctx: ctx, id: fmt.Sprintf("%s-%x", strings.ReplaceAll(t.Name(), "/", "-"), rand.Uint32()), topics: make(map[string][]int32)}
	f.client = f.connect(b.Addr)
	return f
}

func (f *fixture) connect(addr string) *kafkaio.Client {
	c := kafkaio.NewClient(kafkaio.Config{Brokers: []string{addr}, ClientID: "kafkaiotest", Logger: slog.New(slog.NewTextHandler(f.Output(), nil))})
	f.Cleanup(c.Close)
	return c
}

// behind returns a client that reaches the broker through a proxy only.
func (f *fixture) behind() (*kafkaio.Client, *proxy) {
	f.Helper()
	p := newProxy(f.T, f.Addr)
	return f.connect(p.addr), p
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// topic creates a topic of the test's own.
func (f *fixture) topic(name string, partitions int, settings ...string) string {
	f.Helper()
	spec := kafkaio.TopicSpec{Name: f.id + "-" + name, Partitions: partitions, ReplicationFactor: 1, Settings: map[string]string{}}
	for i := 0; i < len(settings); i += 2 {
		spec.Settings[settings[i]] = settings[i+1]
	}
	n, err := f.client.EnsureTopic(f.ctx, spec)
	f.must(err)
	if n != partitions {
		f.Fatalf("topic %s has %d partitions, want %d", spec.Name, n, partitions)
	}
	for p := range int32(n) {
		f.topics[spec.Name] = append(f.topics[spec.Name], p)
	}
	return spec.Name
}

// footprint is all that the test's transactions may touch.
func (f *fixture) footprint() kafkaio.Footprint {
	return kafkaio.Footprint{Writes: f.topics, Group: f.outsider().Group, Offsets: f.topics}
}

func (f *fixture) transactional(c *kafkaio.Client, id string) *kafkaio.Transactional {
	f.Helper()
	p, err := c.NewTransactional(f.ctx, f.id+"-"+id, f.footprint())
	f.must(err)
	return p
}

// batch is a batch with one record for each value.
func batch(values ...string) *kafkaio.RecordBatch {
	b := new(kafkaio.RecordBatch)
	for _, v := range values {
		b.Append(time.Now().UnixMilli(), nil, []byte(v))
	}
	return b
}

// output writes one batch to a partition.
func output(topic string, partition int32, values ...string) kafkaio.Output {
	return kafkaio.Output{Topic: topic, Partition: partition, Batches: []*kafkaio.RecordBatch{batch(values...)}}
}

// committed reads all that is committed in a topic, by partition, until it is caught up everywhere.
func (f *fixture) committed(topic string) [][]string {
	f.Helper()
	first, err := f.client.Offsets(f.ctx, topic, kafkaio.Earliest)
	f.must(err)
	var positions []kafkaio.Position
	for p, offset := range first {
		positions = append(positions, kafkaio.Position{Topic: topic, Partition: int32(p), Offset: offset})
	}
	r := f.client.NewReader(positions)
	defer r.Close()
	got := make([][]string, len(first))
	for caughtUp := make(map[int32]bool); len(caughtUp) < len(first); {
		fetched, err := r.Poll(f.ctx, 100*time.Millisecond)
		f.must(err)
		for _, one := range fetched {
			got[one.Partition] = append(got[one.Partition], f.values(one)...)
			if one.CaughtUp() {
				caughtUp[one.Partition] = true
			}
		}
	}
	return got
}

// values walks a fetch to its end.
func (f *fixture) values(one *kafkaio.Fetched) (values []string) {
	f.Helper()
	var r kafkaio.Record
	for one.Next(&r) {
		values = append(values, string(r.Value))
	}
	f.must(one.Err())
	return values
}

// offsets returns what a group has committed for partition 0, 1 … of a topic.
func (f *fixture) offsets(group, topic string, partitions ...int32) (offsets []int64, metadata []string) {
	f.Helper()
	all, err := f.client.Committed(f.ctx, group, topic, partitions)
	f.must(err)
	for i, o := range all {
		if o.Topic != topic || o.Partition != partitions[i] {
			f.Fatalf("offset %d is of %s/%d, want %s/%d", i, o.Topic, o.Partition, topic, partitions[i])
		}
		offsets, metadata = append(offsets, o.Offset), append(metadata, o.Metadata)
	}
	return offsets, metadata
}
