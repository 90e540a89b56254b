package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
)

// TopicSpec is a topic as EnsureTopic creates it.
type TopicSpec struct {
	Name              string
	Partitions        int
	ReplicationFactor int
	Settings          map[string]string // topic configs, as in kafka-topics --config
}

// EnsureTopic creates the topic unless it exists, waits until every partition has a leader, and returns how many
// partitions there are: those of an existing topic are not changed.
func (c *Client) EnsureTopic(ctx context.Context, spec TopicSpec) (partitions int, err error) {
	err = retry(ctx, c.log, "create topic "+spec.Name, func() error {
		if _, err := c.leaders(ctx, spec.Name); !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return err
		}
		return c.createTopic(ctx, spec)
	})
	if err != nil {
		return 0, fmt.Errorf("create topic %s: %w", spec.Name, err)
	}
	return c.WaitTopic(ctx, spec.Name)
}

func (c *Client) createTopic(ctx context.Context, spec TopicSpec) error {
	topic := createtopics.RequestTopic{
		Name:              spec.Name,
		NumPartitions:     int32(spec.Partitions),
		ReplicationFactor: int16(spec.ReplicationFactor),
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Settings)) {
		topic.Configs = append(topic.Configs, createtopics.RequestConfig{Name: name, Value: spec.Settings[name]})
	}
	m, err := c.roundTrip(ctx, &createtopics.Request{
		Topics:    []createtopics.RequestTopic{topic},
		TimeoutMs: int32(requestTimeout.Milliseconds()),
	}, requestTimeout)
	if err != nil {
		return err
	}
	answer := m.(*createtopics.Response).Topics[0]
	switch code := kafka.Error(answer.ErrorCode); code {
	case 0:
		c.log.Info("created topic", "topic", spec.Name, "partitions", spec.Partitions, "replication_factor", spec.ReplicationFactor)
		return nil
	case kafka.TopicAlreadyExists: // by another instance, just now
		return nil
	case kafka.InvalidReplicationFactor:
		// A cluster that is starting has fewer brokers than it will have; the log tells who waits for what.
		return fmt.Errorf("%w (replication factor %d: are that many brokers up?): %s", kafka.BrokerNotAvailable, spec.ReplicationFactor, answer.ErrorMessage)
	default:
		return fmt.Errorf("%w: %s", code, answer.ErrorMessage)
	}
}

// WaitTopic waits until the topic exists and every partition has a leader, and returns how many partitions there are.
func (c *Client) WaitTopic(ctx context.Context, name string) (partitions int, err error) {
	return c.findTopic(ctx, name, func(leaders []int32) bool { return !slices.Contains(leaders, noLeader) })
}

// Partitions waits until the topic exists, and returns how many partitions there are, with a leader or without.
func (c *Client) Partitions(ctx context.Context, name string) (partitions int, err error) {
	return c.findTopic(ctx, name, func([]int32) bool { return true })
}

// findTopic waits until the topic exists and its partitions' leaders will do.
func (c *Client) findTopic(ctx context.Context, name string, ready func(leaders []int32) bool) (partitions int, err error) {
	err = retry(ctx, c.log, "find topic "+name, func() error {
		leaders, err := c.leaders(ctx, name)
		if err == nil && !ready(leaders) {
			err = kafka.LeaderNotAvailable
		}
		partitions = len(leaders)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("find topic %s: %w", name, err)
	}
	return partitions, nil
}

// TopicSettings are the settings of an existing topic that matter here.
type TopicSettings struct {
	LogAppendTime   bool // message.timestamp.type
	MaxMessageBytes int  // max.message.bytes: the largest record batch the broker takes
}

// TopicSettings reads them from the broker.
func (c *Client) TopicSettings(ctx context.Context, topic string) (s TopicSettings, err error) {
	const resourceTopic = 2
	err = retry(ctx, c.log, "describe topic "+topic, func() error {
		m, err := c.roundTrip(ctx, &describeconfigs.Request{Resources: []describeconfigs.RequestResource{{
			ResourceType: resourceTopic,
			ResourceName: topic,
			ConfigNames:  []string{"message.timestamp.type", "max.message.bytes"},
		}}}, requestTimeout)
		if err != nil {
			return err
		}
		for _, r := range m.(*describeconfigs.Response).Resources {
			if r.ErrorCode != 0 {
				return fmt.Errorf("%w: %s", kafka.Error(r.ErrorCode), r.ErrorMessage)
			}
			for _, e := range r.ConfigEntries {
				switch e.ConfigName {
				case "message.timestamp.type":
					s.LogAppendTime = e.ConfigValue == "LogAppendTime"
				case "max.message.bytes":
					if s.MaxMessageBytes, err = strconv.Atoi(e.ConfigValue); err != nil {
						return finalError{err}
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("describe topic %s: %w", topic, err)
	}
	if s.MaxMessageBytes == 0 {
		s.MaxMessageBytes = 1048588 // Kafka's default
	}
	return s, nil
}
