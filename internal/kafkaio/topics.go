package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
)

// TopicSpec is a topic as EnsureTopics creates it.
type TopicSpec struct {
	Name              string
	Partitions        int
	Like              string // a topic that it has as many partitions as, where that exists; "": none
	ReplicationFactor int
	Settings          map[string]string // topic configs, as in kafka-topics --config
}

// EnsureTopic is EnsureTopics for one.
func (c *Client) EnsureTopic(ctx context.Context, spec TopicSpec) (partitions int, err error) {
	all, err := c.EnsureTopics(ctx, spec)
	if err != nil {
		return 0, err
	}
	return all[0], nil
}

// EnsureTopics creates those topics that do not exist, all in one request, waits until every partition has a leader, and returns how many
// partitions each topic has: those of an existing one are not changed.
func (c *Client) EnsureTopics(ctx context.Context, specs ...TopicSpec) (partitions []int, err error) {
	var names []string
	for _, spec := range specs {
		names = append(names, spec.Name)
	}
	err = retry(ctx, c.log, "create topic "+strings.Join(names, ", "), func() error {
		missing, err := c.missing(ctx, specs)
		if err != nil || len(missing) == 0 {
			return err
		}
		return c.createTopics(ctx, missing)
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		n, err := c.WaitTopic(ctx, name)
		if err != nil {
			return nil, err
		}
		partitions = append(partitions, n)
	}
	return partitions, nil
}

// missing returns the topics that do not exist, as they are to be created.
func (c *Client) missing(ctx context.Context, specs []TopicSpec) (missing []TopicSpec, err error) {
	for _, spec := range specs {
		if n, err := c.lookUp(ctx, spec.Name); err != nil {
			return nil, err
		} else if n > 0 {
			continue
		}
		if spec.Like != "" {
			n, err := c.lookUp(ctx, spec.Like)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				spec.Partitions = n
			}
		}
		missing = append(missing, spec)
	}
	return missing, nil
}

// lookUp returns how many partitions a topic has, 0 when there is no such topic now.
func (c *Client) lookUp(ctx context.Context, topic string) (partitions int, err error) {
	leaders, err := c.leaders(ctx, topic)
	if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
		return 0, fmt.Errorf("find topic %s: %w", topic, err)
	}
	return len(leaders), nil
}

func (c *Client) createTopics(ctx context.Context, specs []TopicSpec) error {
	req := &createtopics.Request{TimeoutMs: int32(requestTimeout.Milliseconds())}
	for _, spec := range specs {
		topic := createtopics.RequestTopic{
			Name:              spec.Name,
			NumPartitions:     int32(spec.Partitions),
			ReplicationFactor: int16(spec.ReplicationFactor),
		}
		for _, name := range slices.Sorted(maps.Keys(spec.Settings)) {
			topic.Configs = append(topic.Configs, createtopics.RequestConfig{Name: name, Value: spec.Settings[name]})
		}
		req.Topics = append(req.Topics, topic)
	}
	m, err := c.roundTrip(ctx, req, requestTimeout)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	var errs []error
	for _, answer := range m.(*createtopics.Response).Topics {
		i := slices.IndexFunc(specs, func(s TopicSpec) bool { return s.Name == answer.Name })
		if err := c.created(answer, specs[i]); err != nil {
			errs = append(errs, fmt.Errorf("create topic %s: %w", answer.Name, err))
		}
	}
	return errors.Join(errs...)
}

// created looks at the answer for one topic.
func (c *Client) created(answer createtopics.ResponseTopic, spec TopicSpec) error {
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
	Recompresses    bool // compression.type: what comes as LZ4 is written in another way, which must not exceed MaxMessageBytes either
}

// TopicSettings reads them from the broker.
func (c *Client) TopicSettings(ctx context.Context, topic string) (s TopicSettings, err error) {
	const resourceTopic = 2
	err = retry(ctx, c.log, "describe topic "+topic, func() error {
		m, err := c.roundTrip(ctx, &describeconfigs.Request{Resources: []describeconfigs.RequestResource{{
			ResourceType: resourceTopic,
			ResourceName: topic,
			ConfigNames:  []string{"message.timestamp.type", "max.message.bytes", "compression.type"},
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
				case "compression.type":
					s.Recompresses = e.ConfigValue != "producer" && e.ConfigValue != "lz4"
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
