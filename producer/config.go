package producer

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"wordcount/internal/service"
)

// Settings are the producer's own. A pointer tells what was given from what was not: not every setting goes with every source.
type Settings struct {
	Source   string         `default:"file" env:"SOURCE" placeholder:"SOURCE" help:"Where lines come from: file; stdin, to its end; or tcp://HOST:PORT, a socket server such as nc -lk 7777."`
	File     *string        `env:"FILE" unset:"messages.txt" placeholder:"FILE" help:"Text file whose lines are published. Blank lines don't count, nor does white space around a line."`
	Order    *string        `env:"ORDER" unset:"random" placeholder:"ORDER" help:"Order of the file's lines: random, without end, or sequential, to the last one."`
	Loop     bool           `env:"LOOP" help:"With --order sequential: begin again after the file's last line."`
	Interval *time.Duration `env:"INTERVAL" unset:"2s for a file" placeholder:"DURATION" xor:"pace" help:"Time from one line to the next. Lines of a socket or of stdin are published as they come unless this or --rate is given."`
	Rate     *float64       `env:"RATE" placeholder:"N" xor:"pace" help:"Lines per second, in place of --interval; 0 is as fast as it can."`
	Count    int64          `default:"0" env:"COUNT" placeholder:"N" help:"Publish that many lines, then exit; 0 goes on until stopped, or until the source ends."`
	Seed     int64          `default:"0" env:"SEED" placeholder:"N" help:"The same seed chooses the same lines again; 0 is a random one."`
	Listen   string         `env:"LISTEN" off:"empty" placeholder:"HOST:PORT" help:"Also send each published line to every socket client that connects to this address, such as :9999."`
}

// The values of --source that are no address, and of --order.
const (
	fromFile   = "file"
	fromStdin  = "stdin"
	fromSocket = "tcp://" // the address follows
	random     = "random"
	sequential = "sequential"
)

// What nil means. As defaults in the tags they would look to kong as if they were given.
const (
	defaultFile     = "messages.txt"
	defaultOrder    = random
	defaultInterval = 2 * time.Second
)

// maxRate is far beyond what one producer can do; it keeps a line's time from vanishing in rounding.
const maxRate = 1e8

// Validate returns a *service.UsageError for the first wrong setting. The file is looked at by Run.
func (s *Settings) Validate() error {
	if err := s.checkSource(); err != nil {
		return err
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
	if s.Listen != "" {
		return service.CheckListenAddr("listen", s.Listen)
	}
	return nil
}

// checkSource refuses a source that there isn't, and settings of another one, which would do nothing.
func (s *Settings) checkSource() error {
	switch {
	case s.Source != fromFile:
		if addr, ok := s.socket(); s.Source != fromStdin && !(ok && plausibleServer(addr)) {
			return service.WrongValue("source", s.Source, "file, stdin, or tcp://host:port with a port from 1 to 65535, such as tcp://localhost:7777")
		}
		switch {
		case s.File != nil:
			return service.Usagef("--file is read with --source file only, and --source is %s", s.Source)
		case s.Order != nil:
			return service.Usagef("--order is for --source file only: lines of --source %s are published in the order in which they come", s.Source)
		case s.Loop:
			return service.Usagef("--loop is for --source file only, and --source is %s", s.Source)
		case s.Seed != 0:
			return service.Usagef("--seed chooses lines of --source file only, and --source is %s", s.Source)
		}
		return nil
	case s.file() == "":
		return service.WrongValue("file", "", "the name of a text file")
	case s.order() != random && s.order() != sequential:
		return service.WrongValue("order", s.order(), "random or sequential")
	case s.Loop && s.order() == random:
		return service.Usagef("--loop needs --order sequential: random lines never end")
	case s.Seed != 0 && s.order() == sequential:
		return service.Usagef("--seed chooses random lines, and --order is sequential")
	}
	return nil
}

// plausibleServer tells whether one could dial the address.
func plausibleServer(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && service.CheckListenAddr("source", addr) == nil
}

// socket is the address of the server that lines come from, if they come from one.
func (s *Settings) socket() (addr string, ok bool) { return strings.CutPrefix(s.Source, fromSocket) }

func (s *Settings) file() string {
	if s.File == nil {
		return defaultFile
	}
	return *s.File
}

func (s *Settings) order() string {
	if s.Order == nil {
		return defaultOrder
	}
	return *s.Order
}

// linesPerSecond is the pace that is asked for, 0 for as fast as it can.
func (s *Settings) linesPerSecond() float64 {
	switch {
	case s.Rate != nil:
		return *s.Rate
	case s.Interval != nil:
		return 1 / s.Interval.Seconds()
	case s.Source != fromFile:
		return 0
	}
	return 1 / defaultInterval.Seconds()
}

// asTheyCome tells whether the pace is left to whoever writes the lines.
func (s *Settings) asTheyCome() bool {
	return s.Source != fromFile && s.Rate == nil && s.Interval == nil
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
