package kafkaiotest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"wordcount/internal/kafkaio"
)

func testEnsureTopic(f *fixture) {
	// Several instances start at once.
	var starting sync.WaitGroup
	for range 8 {
		starting.Go(func() {
			if n, err := f.connect(f.Addr).EnsureTopic(f.ctx, kafkaio.TopicSpec{Name: f.id + "-race", Partitions: 2, ReplicationFactor: 1}); n != 2 || err != nil {
				f.Errorf("one of several: %d partitions, %v", n, err)
			}
		})
	}
	starting.Wait()

	topic := f.topic("t", 3, "message.timestamp.type", "LogAppendTime", "max.message.bytes", "2000000")
	settings, err := f.client.TopicSettings(f.ctx, topic)
	f.must(err)
	if want := (kafkaio.TopicSettings{LogAppendTime: true, MaxMessageBytes: 2_000_000}); settings != want {
		f.Errorf("settings %+v, want %+v", settings, want)
	}

	// An existing topic stays as it is.
	n, err := f.client.EnsureTopic(f.ctx, kafkaio.TopicSpec{Name: topic, Partitions: 7, ReplicationFactor: 1})
	f.must(err)
	if n != 3 {
		f.Errorf("an existing topic has %d partitions, want 3", n)
	}
	again, err := f.client.TopicSettings(f.ctx, topic)
	f.must(err)
	if again != settings {
		f.Errorf("settings were changed: %+v", again)
	}

	// Several at once, some of which are there; what is to be like another one is like it whether that is there or is made with it.
	specs := []kafkaio.TopicSpec{
		{Name: topic, Partitions: 2, ReplicationFactor: 1}, {Name: f.id + "-as-3", Partitions: 2, Like: topic, ReplicationFactor: 1},
		{Name: f.id + "-new", Partitions: 2, ReplicationFactor: 1}, {Name: f.id + "-as-2", Partitions: 2, Like: f.id + "-new", ReplicationFactor: 1},
	}
	for range 2 {
		if all, err := f.client.EnsureTopics(f.ctx, specs...); err != nil || !slices.Equal(all, []int{3, 3, 2, 2}) {
			f.Errorf("several at once: %d partitions, %v", all, err)
		}
	}

	plain, err := f.client.TopicSettings(f.ctx, f.topic("plain", 1))
	f.must(err)
	if plain.LogAppendTime || plain.MaxMessageBytes < 1_000_000 || plain.MaxMessageBytes > 1_100_000 || plain.Recompresses {
		f.Errorf("settings of a topic without any: %+v", plain)
	}

	for compression, recompresses := range map[string]bool{"lz4": false, "uncompressed": true} {
		settings, err := f.client.TopicSettings(f.ctx, f.topic(compression, 1, "compression.type", compression))
		f.must(err)
		if settings.Recompresses != recompresses {
			f.Errorf("compression.type=%s: recompresses %t", compression, settings.Recompresses)
		}
	}

	if !f.Strict {
		return
	}
	_, err = f.client.EnsureTopic(f.ctx, kafkaio.TopicSpec{Name: "not a topic's name!", Partitions: 1, ReplicationFactor: 1})
	if !errors.Is(err, kafka.InvalidTopic) || !strings.Contains(err.Error(), "not a topic's name!") {
		f.Errorf("invalid name: %v", err)
	}
}

// testTopicID: a topic that is made anew is another one.
func testTopicID(f *fixture) {
	topic := f.topic("t", 1)
	id := func() kafkaio.TopicID {
		f.Helper()
		id, err := f.client.TopicID(f.ctx, topic)
		f.must(err)
		return id
	}
	first := id()
	if again := id(); again != first || first == (kafkaio.TopicID{}) {
		f.Errorf("the same topic has the ids %x and %x", first, again)
	}
	admin := &kafka.Client{Addr: kafka.TCP(f.Addr)}
	if answer, err := admin.DeleteTopics(f.ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}}); err != nil || answer.Errors[topic] != nil {
		f.Fatal(err, answer.Errors)
	}
	for {
		_, err := f.client.TopicID(f.ctx, topic)
		if errors.Is(err, kafka.UnknownTopicOrPartition) {
			break
		}
		f.must(err)
		f.must(f.ctx.Err())
		time.Sleep(10 * time.Millisecond) // the broker takes a moment to delete it
	}
	// With a client of its own: this one's metadata may still have the old topic.
	_, err := f.connect(f.Addr).EnsureTopic(f.ctx, kafkaio.TopicSpec{Name: topic, Partitions: 1, ReplicationFactor: 1})
	f.must(err)
	if other := id(); other == first {
		f.Errorf("the topic made anew has the id %x, too", first)
	}
}

func testWaitTopic(f *fixture) {
	type found struct {
		partitions int
		err        error
	}
	waiting := make(chan found, 1)
	waiter, p := f.behind()
	go func() {
		n, err := waiter.WaitTopic(f.ctx, f.id+"-later")
		waiting <- found{n, err}
	}()
	for connections := 0; connections == 0; time.Sleep(time.Millisecond) { // it has asked
		_, connections = p.counts(0)
	}
	select {
	case got := <-waiting:
		f.Fatalf("found a topic that is not there: %+v", got)
	case <-time.After(100 * time.Millisecond):
	}
	f.topic("later", 2)
	if n, err := f.client.Partitions(f.ctx, f.id+"-later"); n != 2 || err != nil {
		f.Errorf("got %d partitions, %v, want 2", n, err)
	}
	if got := <-waiting; got.err != nil || got.partitions != 2 {
		f.Errorf("got %+v, want 2 partitions", got)
	}

	short, cancel := context.WithTimeout(f.ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := f.client.WaitTopic(short, f.id+"-never"); !errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("a topic that never comes: %v", err)
	}
	if _, err := f.client.Partitions(short, f.id+"-never"); !errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("the partitions of a topic that never comes: %v", err)
	}
}

// testOtherTopic: a client for some topics says so when asked for another, and does not wait for it for ever.
func testOtherTopic(f *fixture) {
	topic := f.topic("t", 1)
	c := kafkaio.NewClient(kafkaio.Config{Brokers: []string{f.Addr}, Topics: []string{topic}})
	defer c.Close()
	if n, err := c.WaitTopic(f.ctx, topic); n != 1 || err != nil {
		f.Errorf("got %d, %v", n, err)
	}
	if _, err := c.WaitTopic(f.ctx, "another"); err == nil || f.ctx.Err() != nil {
		f.Errorf("another topic: %v", err)
	}
}
