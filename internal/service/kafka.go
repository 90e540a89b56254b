package service

import (
	"net"
	"strconv"
	"strings"
)

// Kafka holds what a service must know to reach Kafka, and the topics that services share.
type Kafka struct {
	Brokers      []string `group:"kafka" default:"localhost:9092" env:"KAFKA_BROKERS" placeholder:"HOST:PORT" help:"Brokers to ask first; the others are found through them."`
	LinesTopic   string   `group:"kafka" default:"lines" env:"LINES_TOPIC" placeholder:"TOPIC" help:"Topic of the lines."`
	CountsTopic  string   `group:"kafka" default:"word-counts" env:"COUNTS_TOPIC" placeholder:"TOPIC" help:"Topic of the counts of each batch."`
	BatchesTopic string   `group:"kafka" default:"batches" env:"BATCHES_TOPIC" placeholder:"TOPIC" help:"Topic of the batches that were closed."`
	// Partitions is how many the lines topic gets when it is created; it says nothing of a topic that exists.
	Partitions int `group:"kafka" default:"4" env:"PARTITIONS" placeholder:"N" help:"Partitions of the lines topic when it is created."`
	// ReplicationFactor is what every topic gets that is created.
	ReplicationFactor int `group:"kafka" default:"1" env:"REPLICATION_FACTOR" placeholder:"N" help:"Replicas of each topic that is created."`

	TLS  TLS  `embed:""`
	SASL SASL `embed:""`
}

// Limits that only catch slips; the cluster has its own.
const (
	maxPartitions        = 100_000
	maxReplicationFactor = 1_000
)

// Validate returns a *UsageError for the first wrong setting. It reads the files that TLS and SASL settings name.
func (k *Kafka) Validate() error {
	if len(k.Brokers) == 0 {
		return WrongValue("brokers", "", wantBrokers)
	}
	for _, broker := range k.Brokers {
		if err := checkBroker(broker); err != nil {
			return err
		}
	}
	if err := k.checkTopics(); err != nil {
		return err
	}
	if k.Partitions < 1 || k.Partitions > maxPartitions {
		return WrongValue("partitions", strconv.Itoa(k.Partitions), "1 to "+strconv.Itoa(maxPartitions))
	}
	if k.ReplicationFactor < 1 || k.ReplicationFactor > maxReplicationFactor {
		return WrongValue("replication-factor", strconv.Itoa(k.ReplicationFactor), "1 to "+strconv.Itoa(maxReplicationFactor))
	}
	if _, err := k.TLS.config(); err != nil {
		return err
	}
	_, err := k.SASL.mechanism()
	return err
}

const wantBrokers = "host:port, several separated by commas, such as kafka-1:9092,kafka-2:9092"

func checkBroker(broker string) error {
	host, port, err := net.SplitHostPort(broker)
	if err != nil || host == "" || !plausibleHost(host) {
		return WrongValue("brokers", broker, wantBrokers)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return WrongValue("brokers", broker, wantBrokers+"; a port is from 1 to 65535")
	}
	return nil
}

func (k *Kafka) checkTopics() error {
	topics := []struct{ flag, name string }{
		{"lines-topic", k.LinesTopic},
		{"counts-topic", k.CountsTopic},
		{"batches-topic", k.BatchesTopic},
	}
	for i, topic := range topics {
		if err := CheckTopicName(topic.flag, topic.name); err != nil {
			return err
		}
		for _, other := range topics[:i] {
			if TopicsCollide(topic.name, other.name) {
				return Usagef("--%s: %q is not accepted: --%s is %q; want a topic of its own (to Kafka . and _ are the same in a topic's name)",
					topic.flag, topic.name, other.flag, other.name)
			}
		}
	}
	return nil
}

// CheckTopicName returns a *UsageError when name, the value of the flag (its name without dashes), isn't a legal topic name
// (org.apache.kafka.common.internals.Topic).
func CheckTopicName(flag, name string) error {
	legal := len(name) >= 1 && len(name) <= 249 && name != "." && name != ".."
	for i := 0; legal && i < len(name); i++ {
		legal = strings.IndexByte(topicNameLetters, name[i]) >= 0
	}
	if !legal {
		return WrongValue(flag, name, "a topic name: 1 to 249 of a-z A-Z 0-9 . _ - but not . or .. alone")
	}
	return nil
}

const topicNameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// TopicsCollide tells whether a cluster refuses to have both topics, or they are one: Kafka's metric names have _ for a
// topic's dots, so it takes a.b and a_b for the same.
func TopicsCollide(a, b string) bool {
	return strings.ReplaceAll(a, ".", "_") == strings.ReplaceAll(b, ".", "_")
}
