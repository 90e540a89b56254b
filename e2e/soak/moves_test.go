package soak

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"wordcount/e2e"
)

// Three brokers. A partition of lines that has no leader, for its only replica is away, is not taken for idle: its windows wait
// for it, and the log names it. And when the broker that coordinates the group and its transactions goes away, another does so.
func TestLeadersMove(t *testing.T) {
	if os.Getenv("SOAK") != "full" {
		t.Skip("make soak, as a whole, runs it")
	}
	e2e.UseLocalEngine()
	cluster, err := StartCluster(t.Context(), 3, 1, "")
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Logf("remove the brokers: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p := e2e.NewPipeline(t, e2e.NewPrograms(t.TempDir()), cluster.brokers[0].Address, time.Second, "space")
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(cluster.Direct, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	createLines(t, client, p.Lines, [][]int32{{3}, {1}, {1}, {1}})
	publish := func(partitions ...int32) {
		t.Helper()
		var records []*kgo.Record
		for _, partition := range partitions {
			for n := range 100 {
				records = append(records, &kgo.Record{Topic: p.Lines, Partition: partition, Value: fmt.Appendf(nil, "line %d", n)})
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	counter := p.MeteredCounter("--replication-factor", "3", "--brokers", cluster.Direct)
	publish(0, 1, 2, 3)
	p.Watch.Counted(time.Minute)

	stop(t, cluster.brokers[2])
	counter.Stderr.Wait(t, time.Minute, "that it waits for the partition without leader", func(text string) bool {
		return strings.Contains(text, "fetch "+p.Lines+"/0: waiting")
	})
	publish(1, 2, 3)
	before := len(p.Watch.Reported())
	time.Sleep(5 * time.Second) // nothing may happen, of which there is no signal
	if now := len(p.Watch.Reported()); now != before {
		t.Errorf("%d windows were closed while a partition had no leader", now-before)
	}
	start(t, cluster.brokers[2])
	publish(0)
	p.Watch.Counted(time.Minute)

	coordinator := kadm.NewClient(client).FindGroupCoordinators(t.Context(), p.Group)[p.Group]
	if coordinator.Err != nil {
		t.Fatal(coordinator.Err)
	}
	broker := cluster.brokers[coordinator.NodeID-1]
	stop(t, broker)
	if coordinator.NodeID != 1 { // who leads the lines
		publish(1, 2, 3)
		p.Watch.Batches(2)
	}
	start(t, broker)
	publish(0, 1, 2, 3)
	p.Watch.Counted(time.Minute)
	counter.Stop()
	p.Watch.Check()
}

// createLines makes the topic with these replicas of its partitions.
func createLines(t *testing.T, client *kgo.Client, name string, replicas [][]int32) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	for partition, brokers := range replicas {
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(partition), Replicas: brokers})
	}
	for setting, value := range map[string]string{"message.timestamp.type": "LogAppendTime", "min.insync.replicas": "1"} {
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: setting, Value: &value})
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 10_000
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
}

func stop(t *testing.T, broker testcontainers.Container) {
	t.Helper()
	grace := 30 * time.Second
	if err := broker.Stop(t.Context(), &grace); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, broker testcontainers.Container) {
	t.Helper()
	if err := broker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
