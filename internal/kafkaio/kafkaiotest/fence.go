package kafkaiotest

import (
	"errors"

	"github.com/segmentio/kafka-go/protocol"

	"wordcount/internal/kafkaio"
)

// testFencing: of two producers of one id the older writes nothing more.
func testFencing(f *fixture) {
	topic := f.topic("t", 1)
	older := f.transactional(f.client, "id")
	f.commit(older, []kafkaio.Output{output(topic, 0, "older")}, kafkaio.Offset{Topic: topic, Offset: 1})
	newer := f.transactional(f.connect(f.Addr), "id")
	offset := []kafkaio.Offset{{Topic: topic, Offset: 99}}
	for _, outputs := range [][]kafkaio.Output{{output(topic, 0, "zombie")}, nil} {
		if _, err := older.Commit(f.ctx, Place{f.outsider()}, outputs, offset); !errors.Is(err, kafkaio.ErrFenced) {
			f.Errorf("the older commits %d outputs and an offset: %v", len(outputs), err)
		}
	}
	f.commit(newer, []kafkaio.Output{output(topic, 0, "newer")}, kafkaio.Offset{Topic: topic, Offset: 2})
	if _, err := older.Commit(f.ctx, Place{f.outsider()}, []kafkaio.Output{output(topic, 0, "zombie")}, offset); !errors.Is(err, kafkaio.ErrFenced) {
		f.Errorf("the older again: %v", err)
	}
	f.transactional(f.client, "id")
	f.wantOffset(topic, 2, "")
	f.wantCommitted(topic, []string{"older", "newer"})
}

// testFencingMidway: a producer that stops at any request of a transaction, and wakes up when it has a successor, has
// written nothing.
func testFencingMidway(f *fixture) {
	for _, key := range commitRequests {
		f.fenceMidway(key, key.String(), false)
	}
	for _, key := range []protocol.ApiKey{protocol.Produce, protocol.TxnOffsetCommit, protocol.EndTxn} {
		f.fenceMidway(key, "prepared-"+key.String(), true)
	}
}

func (f *fixture) fenceMidway(key protocol.ApiKey, name string, prepared bool) {
	topic := f.topic(name, 1)
	c, proxy := f.behind()
	older := f.transactional(c, name)
	if prepared {
		f.prepare(older, kafkaio.Offset{Topic: topic, Offset: 98})
	}
	reached, release := proxy.hold(key)
	done := make(chan error, 1)
	go func() {
		_, err := older.Commit(f.ctx, Place{f.outsider()}, []kafkaio.Output{output(topic, 0, "zombie")}, []kafkaio.Offset{{Topic: topic, Offset: 99}})
		done <- err
	}()
	<-reached
	newer := f.transactional(f.client, name)
	f.wantOffset(topic, -1, "")
	f.commit(newer, []kafkaio.Output{output(topic, 0, "newer")}, kafkaio.Offset{Topic: topic, Offset: 2})
	release()
	if err := <-done; !errors.Is(err, kafkaio.ErrFenced) {
		f.Errorf("%s: got %v", name, err)
	}
	f.commit(newer, []kafkaio.Output{output(topic, 0, "newer still")})
	f.transactional(f.client, name)
	f.wantOffset(topic, 2, "")
	f.wantCommitted(topic, []string{"newer", "newer still"})
}
