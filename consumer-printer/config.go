package printer

import (
	"strconv"
	"time"

	"wordcount/internal/service"
)

// Settings are the printer's own, as flags and environment variables.
type Settings struct {
	// Format is how a batch is shown: pprint, table, or json.
	Format string `default:"pprint" env:"FORMAT" placeholder:"FORMAT" help:"How a batch is shown: pprint, as Spark Streaming does; table, for people (on a terminal in colours, each batch over the one before); or json, one object a line."`
	// Num is how many words of a batch are shown, the most frequent ones; 0: all.
	Num int `default:"10" aliases:"top" env:"NUM" placeholder:"N" help:"Words shown of a batch, the most frequent ones; 0 shows all. --top is the same setting."`
	// Sort is the order in which they are shown: count (the most frequent first) or word.
	Sort string `default:"count" env:"SORT" placeholder:"ORDER" help:"Order of the words that are shown: count, the most frequent first, or word."`
	// Filter is which words are shown, between spaces; a word that ends in * stands for all that begin so. Empty: all.
	Filter string `env:"FILTER" placeholder:"WORDS" help:"Show only these words, with spaces between; one that ends in * stands for all that begin so: 'spark stream*'. A batch's totals are those of all words."`
	// TimeZone is the IANA name of the zone in which pprint and table show times; empty is Local.
	TimeZone string `default:"Local" env:"TIME_ZONE" placeholder:"ZONE" help:"Time zone of the times that pprint and table show: Local, UTC, or a name such as Europe/Berlin."`
	// HTTP is where the live page and its API are served, host:port; empty: nowhere.
	HTTP string `default:"127.0.0.1:8080" env:"HTTP" off:"empty" placeholder:"HOST:PORT" help:"Address of the live page and of the API behind it; empty turns them off. Whoever reaches it can read the words."`
}

// Config holds all settings of a printer, and what it gets from the process that runs it.
type Config struct {
	service.Process
	service.Kafka
	Settings
	// FromBeginning shows all batches that the topics hold, not just those that close from now on.
	FromBeginning bool `env:"FROM_BEGINNING" help:"Show all batches that the topics hold, and not only those that close from now on."`

	Runtime service.Runtime `kong:"-"`
	// SharedStdout says that others write to Runtime.Stdout, too: then a table is not drawn over the one before.
	SharedStdout bool `kong:"-"`
	// Serving, when it is set, is called with the page's URL when there is one.
	Serving func(url string) `kong:"-"`
	// Shown, when it is set, is called after a batch was written, with the end of its window.
	Shown func(windowEnd time.Time) `kong:"-"`
}

// Validate returns a *service.UsageError for the first wrong setting of the printer's own.
func (c Settings) Validate() error {
	switch c.Format {
	case "pprint", "table", "json":
	default:
		return service.WrongValue("format", c.Format, "pprint, table or json")
	}
	if c.Num < 0 {
		return service.WrongValue("num", strconv.Itoa(c.Num), "a number of words, or 0 for all")
	}
	if _, ok := wordOrders[c.Sort]; !ok {
		return service.WrongValue("sort", c.Sort, "count or word")
	}
	if c.HTTP != "" {
		if err := service.CheckListenAddr("http", c.HTTP); err != nil {
			return err
		}
	}
	_, err := c.zone()
	return err
}

func (c Settings) zone() (*time.Location, error) {
	name := c.TimeZone
	if name == "" {
		name = "Local" // to package time it would be UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, service.WrongValue("time-zone", name, "Local, UTC, or the name of a zone in the IANA database, such as Europe/Berlin")
	}
	return zone, nil
}

// formatter is for settings that are valid.
func (c Config) formatter(zone *time.Location) formatter {
	switch c.Format {
	case "pprint":
		return newPprint(zone)
	case "table":
		terminal := terminalOf(c.Runtime.Stdout)
		t := table{zone: zone, size: terminal.size, colours: terminal.colours, refresh: terminal.controllable && !c.SharedStdout}
		return t.format
	}
	return appendJSON
}
