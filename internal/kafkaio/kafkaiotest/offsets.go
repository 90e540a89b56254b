package kafkaiotest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"wordcount/internal/kafkaio"
)

// testOutOfRange: a position that DeleteRecords has overtaken, or that the topic never had, is an error that says where
// to go on.
func testOutOfRange(f *fixture) {
	topic := f.topic("t", 2)
	p := f.producer(f.client, topic)
	for n := range 10 {
		f.send(p, 0, fmt.Sprint(n))
	}
	f.must(f.client.DeleteRecords(f.ctx, topic, 0, 6))
	r := f.client.NewReader([]kafkaio.Position{{Topic: topic, Offset: 2}, {Topic: topic, Partition: 1, Offset: 77}})
	defer r.Close()
	var got []string
	gone := make(map[int32]kafkaio.OffsetOutOfRangeError)
	for len(got) < 4 {
		fetched, err := r.Poll(f.ctx, 100*time.Millisecond)
		f.must(err)
		for _, one := range fetched {
			var rec kafkaio.Record
			for one.Next(&rec) {
				got = append(got, string(rec.Value))
			}
			var e *kafkaio.OffsetOutOfRangeError
			switch {
			case errors.As(one.Err(), &e):
				gone[one.Partition] = *e
				if one.CaughtUp() {
					f.Errorf("%s/%d: caught up and out of range", one.Topic, one.Partition)
				}
				r.Seek(e.Topic, e.Partition, e.LogStart)
			case one.Err() != nil:
				f.Fatal(one.Err())
			case one.Partition == 0 && one.LogStart != 6:
				f.Errorf("the log starts at %d, want 6", one.LogStart)
			}
		}
	}
	if !slices.Equal(got, []string{"6", "7", "8", "9"}) {
		f.Errorf("read %q", got)
	}
	for partition, want := range []kafkaio.OffsetOutOfRangeError{
		{Topic: topic, Partition: 0, Offset: 2, LogStart: 6, LogEnd: 10},
		{Topic: topic, Partition: 1, Offset: 77, LogStart: 0, LogEnd: 0},
	} {
		if gone[int32(partition)] != want {
			f.Errorf("partition %d: %+v, want %+v", partition, gone[int32(partition)], want)
		}
	}
	if earliest, err := f.client.Offsets(f.ctx, topic, kafkaio.Earliest); err != nil || !slices.Equal(earliest, []int64{6, 0}) {
		f.Errorf("earliest offsets %v, %v", earliest, err)
	}
	if err := f.client.DeleteRecords(f.ctx, topic, 0, 1000); err == nil {
		f.Error("deleted records that are not there")
	}
}

func testOffsets(f *fixture) {
	topic := f.topic("t", 3)
	p := f.producer(f.client, topic)
	start := time.Now().Add(-time.Hour).UnixMilli()
	b := new(kafkaio.RecordBatch)
	for n := range int64(5) { // offsets 0 to 4 at start, start+1000 …
		b.Append(start+1000*n, nil, []byte("x"))
	}
	if _, err := p.SendOne(f.ctx, 1, b); err != nil {
		f.Fatal(err)
	}
	f.abandon("id", output(topic, 1, "open"))
	for _, test := range []struct{ at, want int64 }{
		{kafkaio.Earliest, 0}, {kafkaio.Latest, 5},
		{0, 0}, {start, 0}, {start + 1, 1}, {start + 1000, 1}, {start + 3999, 4}, {start + 4000, 4},
		{start + 4001, 5}, // only the open transaction has such a time
		{time.Now().Add(time.Hour).UnixMilli(), 5},
	} {
		got, err := f.client.Offsets(f.ctx, topic, test.at)
		f.must(err)
		if !slices.Equal(got, []int64{0, test.want, 0}) {
			f.Errorf("offsets at %d: %v, want %d in partition 1", test.at, got, test.want)
		}
	}
	if !f.AppendTime {
		return
	}
	appended := f.topic("appended", 1, "message.timestamp.type", "LogAppendTime")
	p = f.producer(f.client, appended)
	first := f.send(p, 0, "a", "b")
	for time.Now().UnixMilli() <= first.AppendTime+5 { // another time for the next
		time.Sleep(time.Millisecond)
	}
	second := f.send(p, 0, "c")
	for _, test := range []struct{ at, want int64 }{{first.AppendTime, 0}, {first.AppendTime + 1, 2}, {second.AppendTime, 2}, {second.AppendTime + 1, 3}} {
		if got, err := f.client.Offsets(f.ctx, appended, test.at); err != nil || got[0] != test.want {
			f.Errorf("offset at append time %d: %v, %v, want %d", test.at, got, err, test.want)
		}
	}
	r := f.client.NewReader([]kafkaio.Position{{Topic: appended}})
	defer r.Close()
	for records := 0; records < 3; {
		fetched, err := r.Poll(f.ctx, time.Second)
		f.must(err)
		for _, one := range fetched {
			var rec kafkaio.Record
			for one.Next(&rec) {
				want := first.AppendTime
				if rec.Offset == 2 {
					want = second.AppendTime
				}
				if rec.Time != want {
					f.Errorf("offset %d has time %d, want the append time %d", rec.Offset, rec.Time, want)
				}
				records++
			}
		}
	}
}
