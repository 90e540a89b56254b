// Command bench measures the services on a broker. Run it with make bench.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"wordcount/bench"
	"wordcount/bench/text"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	cases := flag.String("cases", strings.Join(bench.Cases(), ","), "what is measured")
	brokers := flag.String("brokers", "", "host:port of a running broker; else Kafka is started in a container")
	textFile := flag.String("text", "", "English text, plain or by gzip (see make bench)")
	size := flag.Int64("size", 1_000_000_000, "bytes of the lines that are drained")
	windows := flag.Int("windows", 60, "windows that they are spread over")
	vocabulary := flag.Int("vocabulary", 5_000_000, "words of the wide vocabulary")
	rounds := flag.Int("rounds", 3, "rounds of all contenders")
	contenders := flag.String("contenders", strings.Join(bench.Contenders(), ","), "who drains")
	seed := flag.Uint64("seed", 1, "of the lines")
	jsonFile := flag.String("json", "", "also write the report as JSON to this file")
	flag.Parse()

	if *textFile == "" {
		return errors.New("--text: want a file with English text; make bench downloads one")
	}
	english, err := text.ReadEnglish(*textFile)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "wordcount-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := bench.BuildPrograms(ctx, dir)
	if err != nil {
		return err
	}
	var broker *bench.Broker
	if *brokers != "" {
		broker = bench.At(strings.Split(*brokers, ","))
	} else if broker, err = bench.StartContainer(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()

	began := time.Now()
	report, err := bench.Run(ctx, bench.Config{
		Cases: strings.Split(*cases, ","), Broker: broker, Programs: programs,
		English: english, Wide: func() text.Text { return text.NewZipf(1.05, *vocabulary) }, Seed: *seed,
		Bytes: *size, Windows: *windows, Interval: 5 * time.Second, Rounds: *rounds, Contenders: strings.Split(*contenders, ","),
		Log: func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "%6.1f "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
		},
	})
	if report == nil {
		return err
	}
	if *jsonFile != "" {
		b, encoded := json.MarshalIndent(report, "", "  ")
		if encoded == nil {
			encoded = os.WriteFile(*jsonFile, append(b, '\n'), 0o644)
		}
		err = errors.Join(err, encoded)
	}
	return errors.Join(err, report.Markdown(os.Stdout))
}
