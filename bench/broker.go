package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/e2e"
)

// Broker is what the programs are measured on.
type Broker struct {
	Addresses []string
	Describe  string // for the report
	// CPU returns the processor time that the broker has taken since its start; nil when that cannot be seen.
	CPU   func(ctx context.Context) (time.Duration, error)
	Close func() error
}

// StartContainer starts Kafka in a container, as the tests do.
func StartContainer(ctx context.Context) (*Broker, error) {
	kafka, err := e2e.StartKafka(ctx)
	if err != nil {
		return nil, err
	}
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, errors.Join(err, testcontainers.TerminateContainer(kafka))
	}
	id := kafka.GetContainerID()
	return &Broker{
		Addresses: []string{kafka.Address},
		Describe:  "container " + e2e.KafkaImage,
		CPU: func(ctx context.Context) (time.Duration, error) {
			return containerCPU(ctx, docker, id)
		},
		Close: func() error { return errors.Join(docker.Close(), testcontainers.TerminateContainer(kafka)) },
	}, nil
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

// topic makes an output topic, with the broker's clock for its records.
func (b *Broker) topic(ctx context.Context, name string, partitions int) error {
	return b.admin(func(a *kadm.Client) error {
		stamp := "LogAppendTime"
		_, err := a.CreateTopic(ctx, int32(partitions), 1, map[string]*string{"message.timestamp.type": &stamp}, name)
		return err
	})
}

// delete removes topics that are there.
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
