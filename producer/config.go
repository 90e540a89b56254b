package producer

import (
	"fmt"
	"time"

	"wordcount/internal/service"
)

// Settings are the producer's own.
type Settings struct {
	File     string         `default:"messages.txt" env:"FILE" placeholder:"FILE" help:"Text file whose lines are published, chosen at random. Blank lines don't count, nor does white space around a line."`
	Interval *time.Duration `env:"INTERVAL" placeholder:"DURATION" xor:"pace" help:"Time from one line to the next; 2s unless --rate is given."`
	Rate     *float64       `env:"RATE" placeholder:"N" xor:"pace" help:"Lines per second, in place of --interval; 0 is as fast as it can."`
	Count    int64          `default:"0" env:"COUNT" placeholder:"N" help:"Publish that many lines, then exit; 0 goes on until stopped."`
	Seed     int64          `default:"0" env:"SEED" placeholder:"N" help:"The same seed chooses the same lines again; 0 is a random one."`
}

// defaultInterval is the pace when none is asked for. It is no default of the flag, to kong that would look as if it was given.
const defaultInterval = 2 * time.Second

// maxRate is far beyond what one producer can do; it keeps a line's time from vanishing in rounding.
const maxRate = 1e8

// Validate returns a *service.UsageError for the first wrong setting. The file is looked at by Run.
func (s *Settings) Validate() error {
	if s.File == "" {
		return service.WrongValue("file", s.File, "the name of a text file")
	}
	if s.Interval != nil && s.Rate != nil {
		return service.Usagef("--interval and --rate can't be used together")
	}
	if s.Interval != nil && *s.Interval <= 0 {
		return service.WrongValue("interval", s.Interval.String(), "a positive duration such as 500ms or 2s; --rate 0 publishes as fast as it can")
	}
	if s.Rate != nil && !(*s.Rate >= 0 && *s.Rate <= maxRate) {
		return service.WrongValue("rate", fmt.Sprint(*s.Rate), fmt.Sprintf("0 (as fast as it can) to %.0f lines per second", maxRate))
	}
	if s.Count < 0 {
		return service.WrongValue("count", fmt.Sprint(s.Count), "0 (no limit) or a positive number of lines")
	}
	return nil
}

// linesPerSecond is the pace that is asked for, 0 for as fast as it can.
func (s *Settings) linesPerSecond() float64 {
	switch {
	case s.Rate != nil:
		return *s.Rate
	case s.Interval != nil:
		return 1 / s.Interval.Seconds()
	}
	return 1 / defaultInterval.Seconds()
}

// Config is what Run needs.
type Config struct {
	service.Process
	service.Kafka
	Settings
	Runtime service.Runtime `kong:"-"`

	// Acknowledged, when set, is called after Kafka has acknowledged a batch of lines, with the time at which the broker
	// appended it (on a topic with CreateTime: the time its newest line was chosen). Calls may be concurrent.
	Acknowledged func(appended time.Time) `kong:"-"`
}
