package printer

import (
	"strconv"
	"time"

	"wordcount/internal/service"
)

// Settings are the printer's own, as flags and environment variables.
type Settings struct {
	// Format is how a batch is shown: pprint, or json.
	Format string `default:"pprint" env:"FORMAT" placeholder:"FORMAT" help:"How a batch is shown: pprint, as Spark Streaming does, or json, one object a line."`
	// Num is how many words of a batch are shown; 0: all.
	Num int `default:"10" env:"NUM" placeholder:"N" help:"Words shown of a batch, the most frequent ones; 0 shows all."`
	// TimeZone is the IANA name of the zone in which pprint shows times; empty is Local.
	TimeZone string `default:"Local" env:"TIME_ZONE" placeholder:"ZONE" help:"Time zone of the times that pprint shows: Local, UTC, or a name such as Europe/Berlin."`
}

// Config holds all settings of a printer, and what it gets from the process that runs it.
type Config struct {
	service.Process
	service.Kafka
	Settings
	// FromBeginning shows all batches that the topics hold, not just those that close from now on.
	FromBeginning bool `env:"FROM_BEGINNING" help:"Show all batches that the topics hold, and not only those that close from now on."`

	Runtime service.Runtime `kong:"-"`
	// Shown, when it is set, is called after a batch was written, with the end of its window.
	Shown func(windowEnd time.Time) `kong:"-"`
}

// Validate returns a *service.UsageError for the first wrong setting of the printer's own.
func (c Settings) Validate() error {
	if _, err := c.formatter(); err != nil {
		return err
	}
	if c.Num < 0 {
		return service.WrongValue("num", strconv.Itoa(c.Num), "a number of words, or 0 for all")
	}
	return nil
}

func (c Settings) formatter() (formatter, error) {
	name := c.TimeZone
	if name == "" {
		name = "Local" // to package time it would be UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, service.WrongValue("time-zone", name, "Local, UTC, or the name of a zone in the IANA database, such as Europe/Berlin")
	}
	switch c.Format {
	case "pprint":
		return newPprint(zone), nil
	case "json":
		return appendJSON, nil
	}
	return nil, service.WrongValue("format", c.Format, "pprint or json")
}
