package embedded

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var longAgo = time.UnixMilli(1_000_000_000_000)

// Fetched records carry the append time, whatever the producer's times and
// codec; kgo checks each batch's checksum.
func TestFetchedAppendTime(t *testing.T) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			createTopic(t, b, "lines", "LogAppendTime")
			cl := connect(t, b, kgo.ConsumeTopics("lines"), kgo.DefaultProduceTopic("lines"),
				kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(10*time.Millisecond))

			before := time.Now().Truncate(time.Millisecond)
			var sent []*kgo.Record
			for i := range 3 {
				sent = append(sent, &kgo.Record{Value: []byte("hello hello hello"), Timestamp: longAgo.Add(time.Duration(i) * time.Hour)})
			}
			if err := cl.ProduceSync(testContext(t), sent...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			after := time.Now()

			got := fetch(t, cl, len(sent))
			for _, r := range got {
				if r.Timestamp.Before(before) || r.Timestamp.After(after) || !r.Timestamp.Equal(got[0].Timestamp) {
					t.Errorf("offset %d: time %v, appended between %v and %v with the first at %v", r.Offset, r.Timestamp, before, after, got[0].Timestamp)
				}
				if r.Attrs.TimestampType() != 1 {
					t.Errorf("offset %d: timestamp type %d, want LogAppendTime", r.Offset, r.Attrs.TimestampType())
				}
			}
		})
	}
}

func TestCreateTimeIsKept(t *testing.T) {
	b := start(t)
	createTopic(t, b, "lines", "CreateTime")
	cl := connect(t, b, kgo.ConsumeTopics("lines"), kgo.DefaultProduceTopic("lines"))
	if err := cl.ProduceSync(testContext(t), &kgo.Record{Timestamp: longAgo}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if r := fetch(t, cl, 1)[0]; !r.Timestamp.Equal(longAgo) || r.Attrs.TimestampType() != 0 {
		t.Errorf("time %v, type %d", r.Timestamp, r.Attrs.TimestampType())
	}
}

// The topic's setting at the time of the append decides, as in Kafka.
func TestTimestampTypeCanChange(t *testing.T) {
	b := start(t)
	createTopic(t, b, "lines", "CreateTime")
	cl := connect(t, b)
	for _, step := range []struct {
		set        string
		appendTime bool
	}{{"CreateTime", false}, {"LogAppendTime", true}, {"CreateTime", false}} {
		alterTimestampType(t, cl, "lines", step.set)
		if got := produce(t, cl, -1, -1); (got.LogAppendTime >= 0) != step.appendTime {
			t.Errorf("%s: append time %d in the response", step.set, got.LogAppendTime)
		}
	}
	reader := connect(t, b, kgo.ConsumeTopics("lines"))
	for i, r := range fetch(t, reader, 3) {
		if want := int8(i % 2); r.Attrs.TimestampType() != want {
			t.Errorf("offset %d: timestamp type %d, want %d", i, r.Attrs.TimestampType(), want)
		}
	}
}

func alterTimestampType(t *testing.T, cl *kgo.Client, topic, value string) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	cfg := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	cfg.Name, cfg.Value = "message.timestamp.type", &value
	res.Configs = append(res.Configs, cfg)
	req.Resources = append(req.Resources, res)
	resp, err := req.RequestWith(testContext(t), cl)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Resources[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
}

// A batch that is sent again is answered with the first one's offset and time.
func TestProduceResponseAppendTime(t *testing.T) {
	b := start(t)
	createTopic(t, b, "lines", "LogAppendTime")
	cl := connect(t, b)
	id, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(testContext(t), cl)
	if err != nil {
		t.Fatal(err)
	}

	first := produce(t, cl, id.ProducerID, 0)
	nextMillisecond()
	second := produce(t, cl, id.ProducerID, 1)
	again := produce(t, cl, id.ProducerID, 0)
	nextMillisecond()
	third := produce(t, cl, id.ProducerID, 2)

	if again != first {
		t.Errorf("sent again: %+v, want %+v", again, first)
	}
	if !(first.LogAppendTime < second.LogAppendTime && second.LogAppendTime < third.LogAppendTime) {
		t.Errorf("append times %d, %d, %d do not rise", first.LogAppendTime, second.LogAppendTime, third.LogAppendTime)
	}
	got := fetch(t, connect(t, b, kgo.ConsumeTopics("lines")), 3)
	for i, sent := range []appended{first, second, third} {
		if got[i].Offset != sent.BaseOffset || got[i].Timestamp.UnixMilli() != sent.LogAppendTime {
			t.Errorf("fetched offset %d at %d, acknowledged %+v", got[i].Offset, got[i].Timestamp.UnixMilli(), sent)
		}
	}
}

func TestListOffsetsByAppendTime(t *testing.T) {
	b := start(t)
	createTopic(t, b, "lines", "LogAppendTime")
	cl := connect(t, b)
	var sent []appended
	for range 3 {
		sent = append(sent, produce(t, cl, -1, -1))
		nextMillisecond()
	}
	for _, c := range []struct {
		name       string
		at, offset int64
	}{
		{"the producer's time", longAgo.UnixMilli(), 0},
		{"first", sent[0].LogAppendTime, 0},
		{"between", sent[0].LogAppendTime + 1, 1},
		{"second", sent[1].LogAppendTime, 1},
		{"third", sent[2].LogAppendTime, 2},
		{"later", sent[2].LogAppendTime + 1, -1},
		{"the latest time", -3, 2},
		{"earliest", -2, 0},
		{"end", -1, 3},
	} {
		if got := offsetAt(t, cl, c.at); got != c.offset {
			t.Errorf("%s (%d): offset %d, want %d", c.name, c.at, got, c.offset)
		}
	}
}

// A batch damaged on its way is refused, not given a new checksum.
func TestDamagedBatchIsRefused(t *testing.T) {
	b := start(t)
	createTopic(t, b, "lines", "LogAppendTime")
	batch := encode(-1, -1)
	batch[len(batch)-3] ^= 1
	resp := send(t, connect(t, b), batch)
	if resp.ErrorCode != kerr.CorruptMessage.Code {
		t.Errorf("error code %d, want %d", resp.ErrorCode, kerr.CorruptMessage.Code)
	}
	if resp.LogAppendTime != -1 {
		t.Errorf("append time %d of a batch that was refused", resp.LogAppendTime)
	}
}

func TestTransactionsOnAppendTimeTopic(t *testing.T) {
	b := start(t)
	createTopic(t, b, "lines", "LogAppendTime")
	ctx := testContext(t)
	cl := connect(t, b, kgo.TransactionalID("x"), kgo.DefaultProduceTopic("lines"))
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		value := map[kgo.TransactionEndTry]string{kgo.TryAbort: "aborted", kgo.TryCommit: "committed"}[end]
		if err := cl.ProduceSync(ctx, &kgo.Record{Value: []byte(value), Timestamp: longAgo}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	reader := connect(t, b, kgo.ConsumeTopics("lines"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	r := fetch(t, reader, 1)[0]
	if string(r.Value) != "committed" || time.Since(r.Timestamp) > time.Minute {
		t.Errorf("%q at %v", r.Value, r.Timestamp)
	}
}

// appended is what a Produce response says of a batch.
type appended struct{ BaseOffset, LogAppendTime int64 }

// produce appends one record with a time long ago to lines/0.
func produce(t *testing.T, cl *kgo.Client, producerID int64, sequence int32) appended {
	t.Helper()
	p := send(t, cl, encode(producerID, sequence))
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		t.Fatal(err)
	}
	return appended{p.BaseOffset, p.LogAppendTime}
}

func encode(producerID int64, sequence int32) []byte {
	record := kmsg.NewRecord()
	record.Value = []byte("hello")
	record.Length = int32(len(record.AppendTo(nil)) - 1)
	batch := kmsg.NewRecordBatch()
	batch.PartitionLeaderEpoch = -1
	batch.Magic = 2
	batch.FirstTimestamp, batch.MaxTimestamp = longAgo.UnixMilli(), longAgo.UnixMilli()
	batch.ProducerID, batch.ProducerEpoch, batch.FirstSequence = producerID, -1, sequence
	if producerID >= 0 {
		batch.ProducerEpoch = 0
	}
	batch.NumRecords = 1
	batch.Records = record.AppendTo(nil)
	b := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(b[batchLength:], uint32(len(b)-batchLength-4))
	binary.BigEndian.PutUint32(b[batchCRC:], crc(b))
	return b
}

func send(t *testing.T, cl *kgo.Client, batch []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "lines"
	partition := kmsg.NewProduceRequestTopicPartition()
	partition.Records = batch
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(testContext(t), cl)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].Partitions[0]
}

func offsetAt(t *testing.T, cl *kgo.Client, at int64) int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = "lines"
	partition := kmsg.NewListOffsetsRequestTopicPartition()
	partition.Timestamp, partition.CurrentLeaderEpoch = at, -1
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(testContext(t), cl)
	if err != nil {
		t.Fatal(err)
	}
	p := resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		t.Fatal(err)
	}
	return p.Offset
}

// nextMillisecond waits for the clock to leave this one.
func nextMillisecond() {
	for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; {
		time.Sleep(100 * time.Microsecond)
	}
}
