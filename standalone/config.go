package standalone

import (
	printer "wordcount/consumer-printer"
	"wordcount/counter"
	"wordcount/internal/service"
	"wordcount/producer"
)

// Config holds the settings of the three services, less those about a broker elsewhere, and the address of this one.
type Config struct {
	service.Process

	BrokerAddr string `default:"127.0.0.1:9092" env:"BROKER_ADDR" placeholder:"HOST:PORT" help:"Address of the broker in memory; Kafka's tools and other programs can use it, too."`

	Producer producer.Settings `embed:""`
	Counter  counter.Settings  `embed:""`
	Printer  printer.Settings  `embed:""`

	// As in service.Kafka, which a test checks.
	LinesTopic   string `group:"kafka" default:"lines" env:"LINES_TOPIC" placeholder:"TOPIC" help:"Topic of the lines."`
	CountsTopic  string `group:"kafka" default:"word-counts" env:"COUNTS_TOPIC" placeholder:"TOPIC" help:"Topic of the counts of each batch."`
	BatchesTopic string `group:"kafka" default:"batches" env:"BATCHES_TOPIC" placeholder:"TOPIC" help:"Topic of the batches that were closed."`
	Partitions   int    `group:"kafka" default:"4" env:"PARTITIONS" placeholder:"N" help:"Partitions of the lines topic when it is created."`

	Runtime service.Runtime `kong:"-"`

	// Started, when set, is called with the broker's address once the broker serves.
	Started func(brokerAddr string) `kong:"-"`
}

// Validate returns a *service.UsageError for the first wrong setting; the services' Settings check their own.
func (c *Config) Validate() error {
	if err := service.CheckListenAddr("broker-addr", c.BrokerAddr); err != nil {
		return err
	}
	counting := c.counter("localhost:9092") // the real address is known once the broker has started
	if err := counting.Kafka.Validate(); err != nil {
		return err
	}
	return counting.Validate()
}

func (c *Config) kafka(brokerAddr string) service.Kafka {
	return service.Kafka{
		Brokers:           []string{brokerAddr},
		LinesTopic:        c.LinesTopic,
		CountsTopic:       c.CountsTopic,
		BatchesTopic:      c.BatchesTopic,
		Partitions:        c.Partitions,
		ReplicationFactor: 1,
	}
}

func (c *Config) producer(brokerAddr string) producer.Config {
	return producer.Config{Process: c.Process, Kafka: c.kafka(brokerAddr), Settings: c.Producer}
}

func (c *Config) counter(brokerAddr string) counter.Config {
	return counter.Config{Process: c.Process, Kafka: c.kafka(brokerAddr), Settings: c.Counter}
}

func (c *Config) printer(brokerAddr string) printer.Config {
	return printer.Config{Process: c.Process, Kafka: c.kafka(brokerAddr), Settings: c.Printer, FromBeginning: true}
}
