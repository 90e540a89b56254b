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
	"syscall"
	"time"

	"wordcount/bench"
	"wordcount/bench/text"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	cfg := bench.Config{Interval: 5 * time.Second}
	cases := flag.String("cases", strings.Join(bench.Cases(), ","), "what is measured")
	contenders := flag.String("contenders", strings.Join(bench.Contenders(), ","), "who drains")
	brokers := flag.String("brokers", "", "host:port of a running broker; else Kafka is started in a container")
	jars := flag.String("kafka-jars", "", "folder with the jars of a Kafka, to run it without a container")
	textFile := flag.String("text", "", "English text, plain or by gzip (make bench gets one)")
	vocabulary := flag.Int("vocabulary", 5_000_000, "words of the wide vocabulary")
	jsonFile := flag.String("json", "", "also write the report as JSON to this file")
	flag.Uint64Var(&cfg.Seed, "seed", 1, "of the lines")
	flag.IntVar(&cfg.Rounds, "rounds", 3, "rounds of drains, producing and printing; twice as many of the cost of a line")
	flag.IntVar(&cfg.WarmUp, "warm-up", 8, "rounds of drains, one by tight and three by the counter, before the first ones that count: for the broker's compiler")
	flag.Int64Var(&cfg.Bytes, "bytes", 1_000_000_000, "of the lines that are drained")
	flag.IntVar(&cfg.Windows, "windows", 60, "that they are spread over")
	flag.IntVar(&cfg.LatencyWindows, "latency-windows", 24, "windows that latency at load is taken of")
	flag.IntVar(&cfg.LabWindows, "lab-windows", 100, "windows that the lab's latency is taken of: of fewer the 99th percentile is the slowest")
	flag.IntVar(&cfg.LabWarmUp, "lab-warm-up", 30, "windows before those, in which the broker's JVM compiles what they have it do")
	flag.IntVar(&cfg.Rate, "rate", 50_000, "lines/s of the latency at load")
	flag.DurationVar(&cfg.LabInterval, "lab-interval", 2*time.Second, "from one line of the lab to the next")
	flag.Int64Var(&cfg.ProducedLines, "produced-lines", 20_000_000, "of the producer and its contender")
	flag.Int64Var(&cfg.CostBytes, "cost-bytes", 600_000_000, "of the lines in each shape of the work")
	costWindows := flag.Int("cost-windows", 12, "that they are spread over in the base")
	flag.Parse()

	cfg.Cases, cfg.Contenders = strings.Split(*cases, ","), strings.Split(*contenders, ",")
	if *costWindows < bench.MinCostWindows {
		return fmt.Errorf("--cost-windows %d: want %d or more", *costWindows, bench.MinCostWindows)
	}
	cfg.Shapes = bench.Shapes(*costWindows)
	cfg.Wide = func() text.Text { return text.NewZipf(1.05, *vocabulary) }
	if *textFile == "" {
		return errors.New("--text: want a file with English text; make bench gets one")
	}
	if cfg.English, err = text.ReadEnglish(*textFile); err != nil {
		return err
	}
	if cfg.Dir, err = os.MkdirTemp("", "wordcount-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(cfg.Dir)
	if cfg.Programs, err = bench.BuildPrograms(ctx, cfg.Dir); err != nil {
		return err
	}
	switch {
	case *brokers != "":
		cfg.Broker = bench.At(strings.Split(*brokers, ","))
	case *jars != "":
		cfg.Broker, err = bench.StartJVM(ctx, *jars, cfg.Dir)
	default:
		cfg.Broker, err = bench.StartContainer(ctx)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cfg.Broker.Close()) }()

	began := time.Now()
	cfg.Log = func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1f "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
	}
	report, err := bench.Run(ctx, cfg)
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
