package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/internal/kafkaio"
)

// clientID is how the benchmark's own clients name themselves.
const clientID = "wordcount-bench"

// Broker is what the programs are measured on.
type Broker struct {
	Addresses []string
	Describe  string // for the report
	// CPU returns the processor time that the broker has taken since its start; nil when that cannot be seen.
	CPU   func(ctx context.Context) (time.Duration, error)
	Close func() error
}

// KafkaImage is the broker that the promises are made for.
const KafkaImage = "apache/kafka:4.3.1"

// StartContainer starts Kafka in a container that shares this machine's network: through Docker's proxy for published ports every byte would
// be copied twice more, on the processors that are measured. So the engine must run on this machine, on Linux.
func StartContainer(ctx context.Context) (b *Broker, err error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("localhost:%d", ports[0])
	env := map[string]string{"KAFKA_HEAP_OPTS": strings.Join(heap, " ")}
	for name, value := range brokerSettings(address, fmt.Sprintf("localhost:%d", ports[1])) {
		env["KAFKA_"+strings.ToUpper(strings.ReplaceAll(name, ".", "_"))] = value
	}
	kafka, err := testcontainers.Run(ctx, KafkaImage,
		testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) { hc.NetworkMode = "host" }),
		testcontainers.WithEnv(env),
		testcontainers.WithWaitStrategy(wait.ForLog("Kafka Server started").WithStartupTimeout(time.Minute)))
	defer func() {
		if err != nil && kafka != nil {
			err = errors.Join(err, testcontainers.TerminateContainer(kafka))
		}
	}()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", KafkaImage, err)
	}
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, err
	}
	return &Broker{
		Addresses: []string{address},
		Describe:  "container " + KafkaImage + ", " + heapReads + ", on the same machine",
		CPU: func(ctx context.Context) (time.Duration, error) {
			return containerCPU(ctx, docker, kafka.GetContainerID())
		},
		Close: func() error { return errors.Join(docker.Close(), testcontainers.TerminateContainer(kafka)) },
	}, nil
}

// heap is the broker's memory: of Kafka's own size, with a quarter for what is new. By itself G1 leaves a twentieth for that, to stop for 20 ms at
// most; it stops for 20 to 40 and not 50 to 90, but five times as often, and a window that closes then is late.
var heap = []string{"-Xms1g", "-Xmx1g", "-Xmn256m"}

const heapReads = "1 GiB of heap, 256 MiB of it for what is new" // in a report

// removeAfter is how long the files of a topic stay that was deleted.
const removeAfter = time.Second

// brokerSettings are those of one node that is broker and controller. What makes it faster or slower has Kafka's defaults, but for the heap.
func brokerSettings(address, controller string) map[string]string {
	return map[string]string{
		"node.id":                        "1",
		"process.roles":                  "broker,controller",
		"listeners":                      "BROKER://" + address + ",CONTROLLER://" + controller,
		"advertised.listeners":           "BROKER://" + address,
		"listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":     "BROKER",
		"controller.listener.names":      "CONTROLLER",
		"controller.quorum.voters":       "1@" + controller,
		// One node: its internal topics cannot have the three replicas that are Kafka's default.
		"offsets.topic.replication.factor":         "1",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr":            "1",
		// It delays only the start of the first counter of a group.
		"group.initial.rebalance.delay.ms": "0",
		// After a minute, as by default, the files of topics that one program made would be removed while another one is measured.
		"log.segment.delete.delay.ms": fmt.Sprint(removeAfter.Milliseconds()),
	}
}

// freePorts returns ports that nobody listened on just now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func containerCPU(ctx context.Context, docker *testcontainers.DockerClient, id string) (time.Duration, error) {
	answer, err := docker.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return 0, fmt.Errorf("read the container's CPU time: %w", err)
	}
	defer answer.Body.Close()
	var stats container.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return 0, fmt.Errorf("read the container's CPU time: %w", err)
	}
	return time.Duration(stats.CPUStats.CPUUsage.TotalUsage), nil
}

// At takes a broker that runs already.
func At(addresses []string) *Broker {
	return &Broker{Addresses: addresses, Describe: "running before", Close: func() error { return nil }}
}

// version asks which Kafka it is.
func (b *Broker) version(ctx context.Context) (string, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addresses...))
	if err != nil {
		return "", err
	}
	defer c.Close()
	versions, err := kadm.NewClient(c).ApiVersions(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the broker for its version: %w", err)
	}
	for _, v := range versions {
		if v.Err == nil {
			return v.VersionGuess(), nil
		}
	}
	return "unknown", nil
}

// topic makes an output topic, with the broker's clock for its records, and waits until it can be written.
func (b *Broker) topic(ctx context.Context, name string, partitions int) error {
	c := kafkaio.NewClient(kafkaio.Config{Brokers: b.Addresses, ClientID: clientID})
	defer c.Close()
	_, err := c.EnsureTopic(ctx, kafkaio.TopicSpec{Name: name, Partitions: partitions, ReplicationFactor: 1,
		Settings: map[string]string{"message.timestamp.type": "LogAppendTime"}})
	return err
}

// records is how many records a topic holds that has no transactions.
func (b *Broker) records(ctx context.Context, topic string) (n int64, err error) {
	err = b.admin(func(a *kadm.Client) error {
		ends, err := a.ListEndOffsets(ctx, topic)
		ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
		return errors.Join(err, ends.Error())
	})
	return n, err
}

// delete removes topics, those of them that are there.
func (b *Broker) delete(ctx context.Context, names ...string) error {
	return b.admin(func(a *kadm.Client) error {
		_, err := a.DeleteTopics(ctx, names...)
		return err
	})
}

func (b *Broker) admin(do func(*kadm.Client) error) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addresses...))
	if err != nil {
		return err
	}
	defer c.Close()
	return do(kadm.NewClient(c))
}
