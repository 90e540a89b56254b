package counter

import (
	"fmt"
	"hash/fnv"
	"time"

	"wordcount/counter/tokenize"
	"wordcount/counter/window"
	"wordcount/internal/service"
)

// Settings are the counter's own, as flags and environment variables.
type Settings struct {
	BatchInterval     time.Duration `default:"5s" env:"BATCH_INTERVAL" help:"Length of a batch, 100ms to 1h."`
	Grace             time.Duration `default:"250ms" env:"GRACE" help:"How long after a batch's end a partition where nothing arrives is waited for, 0 to 1m."`
	Group             string        `default:"counter" env:"GROUP" help:"Consumer group. A second group needs its own --counts-topic and --batches-topic."`
	ShuffleTopic      string        `env:"SHUFFLE_TOPIC" help:"Internal topic between the two stages (default: <group>-shuffle)."`
	ShufflePartitions int           `default:"4" env:"SHUFFLE_PARTITIONS" help:"Partitions of the shuffle, counts and batches topics when they are created; the most counters that have work."`
	Tokenizer         string        `default:"space" env:"TOKENIZER" help:"What a word is: space (as line.split(\" \") of Python), fields (white space), words (letters and digits, lower case), regexp:PATTERN (RE2; what matches is a word)."`
	ReportEmpty       time.Duration `default:"1h" env:"REPORT_EMPTY" help:"Of a run of empty batches report the first of this length, skip the rest."`
}

// Config is what Run needs.
type Config struct {
	service.Process
	service.Kafka
	Settings
	AvailableNow bool `env:"AVAILABLE_NOW" help:"Count what is there at the start, close its batches, exit."`

	Runtime service.Runtime `kong:"-"`
}

// Validate returns a *service.UsageError for the first wrong setting of the counter's own.
func (s *Settings) Validate() error {
	if s.BatchInterval < 100*time.Millisecond || s.BatchInterval > time.Hour || s.BatchInterval%time.Millisecond != 0 {
		return service.WrongValue("batch-interval", s.BatchInterval.String(), "100ms to 1h in whole milliseconds")
	}
	if s.Grace < 0 || s.Grace > time.Minute || s.Grace%time.Millisecond != 0 {
		return service.WrongValue("grace", s.Grace.String(), "0s to 1m in whole milliseconds")
	}
	if err := service.CheckTopicName("group", s.Group); err != nil { // the group's name is part of a topic's
		return err
	}
	if s.ShufflePartitions < 1 || s.ShufflePartitions > 1024 {
		return service.WrongValue("shuffle-partitions", fmt.Sprint(s.ShufflePartitions), "1 to 1024")
	}
	if _, err := tokenize.New(s.Tokenizer); err != nil {
		return service.WrongValue("tokenizer", s.Tokenizer, tokenize.Names)
	}
	if s.ReportEmpty < 0 {
		return service.WrongValue("report-empty", s.ReportEmpty.String(), "0s or more")
	}
	return service.CheckTopicName("shuffle-topic", s.shuffleTopic())
}

// Validate returns a *service.UsageError when settings do not go together; Kafka and Settings check their own.
func (c *Config) Validate() error {
	for _, other := range []string{c.LinesTopic, c.CountsTopic, c.BatchesTopic} {
		if service.TopicsCollide(c.shuffleTopic(), other) {
			return service.WrongValue("shuffle-topic", c.shuffleTopic(), "a topic of its own, not "+other)
		}
	}
	return nil
}

func (s *Settings) shuffleTopic() string {
	if s.ShuffleTopic != "" {
		return s.ShuffleTopic
	}
	return s.Group + "-shuffle"
}

func (s *Settings) interval() window.Interval { return window.Interval(s.BatchInterval.Milliseconds()) }

// shared stands for the settings, beside interval and partitions, without which two counters would not count alike.
func (s *Settings) shared() string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s", s.ReportEmpty, s.Tokenizer)
	return fmt.Sprintf("%016x", h.Sum64())
}

// maxEmpty is how many windows of an empty run are reported.
func (s *Settings) maxEmpty() int64 { return int64(s.ReportEmpty / s.BatchInterval) }
