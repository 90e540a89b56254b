package loop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"
)

// Command runs a loop by its name with flags, as a process of its own does: naive or tight.
func Command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("loop", flag.ContinueOnError)
	brokers := flags.String("brokers", "localhost:9092", "host:port, several separated by commas")
	var cfg Config
	flags.StringVar(&cfg.Lines, "lines-topic", "lines", "topic to count")
	flags.StringVar(&cfg.Counts, "counts-topic", "word-counts", "topic to write")
	flags.DurationVar(&cfg.Interval, "batch-interval", 5*time.Second, "length of a window")
	file := flags.String("file", "", "lines to produce, of "+KafkaGoWriter)
	count := flags.Int64("count", 0, "how many")
	if len(args) == 0 {
		return errors.New("which loop? want naive, tight or " + KafkaGoWriter + ", then flags")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	cfg.Brokers = strings.Split(*brokers, ",")
	switch args[0] {
	case "naive":
		return Naive(ctx, cfg)
	case "tight":
		return Tight(ctx, cfg)
	case KafkaGoWriter:
		return Produce(ctx, cfg.Brokers, cfg.Lines, *file, *count)
	}
	return fmt.Errorf("no loop is called %q: want naive, tight or %s", args[0], KafkaGoWriter)
}
