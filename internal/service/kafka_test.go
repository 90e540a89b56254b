package service

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	topicRule  = "want a topic name: 1 to 249 of a-z A-Z 0-9 . _ - but not . or .. alone"
	brokerRule = "want host:port, several separated by commas, such as kafka-1:9092,kafka-2:9092"
)

func TestWrongKafkaSettings(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--brokers=kafka", `--brokers: "kafka" is not accepted: ` + brokerRule},
		{"--brokers=a:9092,kafka:", `--brokers: "kafka:" is not accepted: ` + brokerRule + "; a port is from 1 to 65535"},
		{"--brokers=kafka:0", `--brokers: "kafka:0" is not accepted: ` + brokerRule + "; a port is from 1 to 65535"},
		{"--brokers=kafka:65536", `--brokers: "kafka:65536" is not accepted: ` + brokerRule + "; a port is from 1 to 65535"},
		{"--brokers=kafka:http", `--brokers: "kafka:http" is not accepted: ` + brokerRule + "; a port is from 1 to 65535"},
		{"--brokers=:9092", `--brokers: ":9092" is not accepted: ` + brokerRule},
		{"--brokers=kafka://a:9092", `--brokers: "kafka://a:9092" is not accepted: ` + brokerRule},
		{"--brokers=a/b:9092", `--brokers: "a/b:9092" is not accepted: ` + brokerRule},
		{"--brokers=,", `--brokers: "" is not accepted: ` + brokerRule},
		{"--lines-topic=", `--lines-topic: "" is not accepted: ` + topicRule},
		{"--lines-topic=.", `--lines-topic: "." is not accepted: ` + topicRule},
		{"--lines-topic=..", `--lines-topic: ".." is not accepted: ` + topicRule},
		{"--counts-topic=a/b", `--counts-topic: "a/b" is not accepted: ` + topicRule},
		{"--batches-topic=é", `--batches-topic: "é" is not accepted: ` + topicRule},
		{"--batches-topic=" + strings.Repeat("b", 250), fmt.Sprintf("--batches-topic: %q is not accepted: %s", strings.Repeat("b", 250), topicRule)},
		{"--counts-topic=lines", `--counts-topic: "lines" is not accepted: --lines-topic is "lines"; want a topic of its own (to Kafka . and _ are the same in a topic's name)`},
		{"--batches-topic=a.b --lines-topic=a_b", `--batches-topic: "a.b" is not accepted: --lines-topic is "a_b"; want a topic of its own (to Kafka . and _ are the same in a topic's name)`},
		{"--partitions=0", `--partitions: "0" is not accepted: want 1 to 100000`},
		{"--partitions=100001", `--partitions: "100001" is not accepted: want 1 to 100000`},
		{"--replication-factor=0", `--replication-factor: "0" is not accepted: want 1 to 1000`},
		{"--replication-factor=-1", `--replication-factor: "-1" is not accepted: want 1 to 1000`},
		{"--tls-ca=x.pem", `--tls-ca is "x.pem", but connections are plain: add --tls`},
		{"--sasl-username=bob", `--sasl-username is set, but no mechanism: set --sasl-mechanism to plain, scram-sha-256 or scram-sha-512`},
	}
	for _, test := range tests {
		_, _, err := parse(t, nil, strings.Fields(test.args)...)
		if got := fmt.Sprint(err); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.args, got, test.want)
		}
		if usage := new(UsageError); err != nil && !errors.As(err, &usage) {
			t.Errorf("%s: %T is no *UsageError", test.args, err)
		}
	}
}

func TestWrongKafkaVariablesAreNamed(t *testing.T) {
	tests := []struct {
		env  variables
		want string
	}{
		{variables{"KAFKA_BROKERS": "kafka"}, "(environment variable KAFKA_BROKERS)"},
		{variables{"COUNTS_TOPIC": "lines"}, "(environment variable COUNTS_TOPIC)"},
		{variables{"COUNTS_TOPIC": "x", "LINES_TOPIC": "x"}, "(environment variables COUNTS_TOPIC, LINES_TOPIC)"},
		{variables{"REPLICATION_FACTOR": "0"}, "(environment variable REPLICATION_FACTOR)"},
		{variables{"KAFKA_TLS_KEY": "k"}, "(environment variable KAFKA_TLS_KEY)"},
		{variables{"KAFKA_SASL_MECHANISM": "gssapi"}, "(environment variable KAFKA_SASL_MECHANISM)"},
	}
	for _, test := range tests {
		if _, _, err := parse(t, test.env); !strings.HasSuffix(fmt.Sprint(err), " "+test.want) {
			t.Errorf("%v: got %v, want it to end with %s", test.env, err, test.want)
		}
	}
}

func TestKafkaSettingsThatAreAccepted(t *testing.T) {
	for _, args := range []string{
		"--brokers=kafka-1.example.com:9092,10.0.0.1:1,[::1]:65535",
		"--lines-topic=" + strings.Repeat("a", 249),
		"--lines-topic=... --counts-topic=A-Za_z.0-9",
		"--partitions=1 --replication-factor=3",
		"--tls",
		"--sasl-mechanism=PLAIN --sasl-username=u --sasl-password=p",
		"--sasl-mechanism=Scram-SHA-256 --sasl-username=u --sasl-password=p",
	} {
		if _, _, err := parse(t, nil, strings.Fields(args)...); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}
