package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"wordcount/bench/loop"
	"wordcount/bench/text"
	printer "wordcount/consumer-printer"
	"wordcount/counter"
	"wordcount/internal/service"
	"wordcount/producer"
	"wordcount/standalone/embedded"
)

const (
	// programVariable makes this test binary one of the programs, so that no test has to build them.
	programVariable = "BENCH_TEST_PROGRAM"
	// wrongVariable makes a loop count other windows than it was asked for.
	wrongVariable = "BENCH_TEST_WRONG"
)

func TestMain(m *testing.M) {
	switch os.Getenv(programVariable) {
	case counterProgram:
		var cfg counter.Config
		service.Main(counterProgram, "", &cfg, &cfg.Process, &cfg.Runtime, map[string]string{"metrics_addr": ""},
			func(ctx context.Context) error { return counter.Run(ctx, cfg) })
	case producerProgram:
		var cfg producer.Config
		service.Main(producerProgram, "", &cfg, &cfg.Process, &cfg.Runtime, map[string]string{"metrics_addr": ""},
			func(ctx context.Context) error { return producer.Run(ctx, cfg) })
	case printerProgram:
		var cfg printer.Config
		service.Main(printerProgram, "", &cfg, &cfg.Process, &cfg.Runtime, map[string]string{"metrics_addr": ""},
			func(ctx context.Context) error { return printer.Run(ctx, cfg) })
	case loopProgram:
		args := os.Args[1:]
		if os.Getenv(wrongVariable) != "" {
			args = append(args, "--batch-interval", "100ms")
		}
		if err := loop.Command(context.Background(), args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testPrograms are all this binary.
func testPrograms(t *testing.T) Programs {
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Programs{
		Command: func(name string) (string, []string) {
			// A program with the race detector waits for a second at its end unless it is told not to.
			return file, []string{programVariable + "=" + name, "GORACE=atexit_sleep_ms=0 halt_on_error=1"}
		},
		Versions: map[string]string{"franz-go": "v1.2.3"},
	}
}

func startBroker(t *testing.T) *Broker {
	broker, err := embedded.Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return At([]string{broker.Addr()})
}

const prose = `It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife.
However little known the feelings or views of such a man may be on his first entering a neighbourhood, this truth is so well
fixed in the minds of the surrounding families, that he is considered the rightful property of some one or other of their
daughters. "My dear Mr. Bennet," said his lady to him one day, "have you heard that Netherfield Park is let at last?"`

func testConfig(t *testing.T) Config {
	english, err := text.NewEnglish("Pride and Prejudice", []byte(prose))
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Broker: startBroker(t), Programs: testPrograms(t), Dir: t.TempDir(),
		English: english, Wide: func() text.Text { return text.NewZipf(1.05, 5000) },
		Seed: 1, Interval: 200 * time.Millisecond, Rounds: 1, WarmUp: 1, Log: t.Logf,
		Bytes: 200_000, Windows: 5, Contenders: Contenders(),
		LatencyWindows: 3, LabWindows: 4, LabWarmUp: 2, Rate: 1000, LabInterval: 20 * time.Millisecond,
		ProducedLines: 5000, CostBytes: 20_000, Shapes: []Shape{{4, 2, 1}, {1, 5, 2}},
	}
}

// All cases run on the embedded broker, their own checks hold, and the report has a part of each.
func TestCases(t *testing.T) {
	cfg := testConfig(t)
	cfg.Cases = Cases()
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Drains) != 2 || len(r.Drains[0].Runs) != 3 || r.Drains[1].WarmUp != 0 || len(r.Latencies) != 2 || len(r.Producing.Runs) != 2 || r.Producing.WarmUp != 1 || len(r.Printing.Runs) != 1 || len(r.Cost.Runs) != 5 {
		t.Errorf("%+v", r)
	}
	for _, d := range r.Drains {
		if d.Totals.Words < 30_000 || d.Totals.Rows < 5*50 {
			t.Errorf("%s: %+v", d.Name, d.Totals)
		}
	}
	for i, l := range r.Latencies {
		if len(l.All) != []int{cfg.LatencyWindows, cfg.LabWindows}[i] || l.Windows != len(l.All) || l.P50 <= 0 || l.P99 < l.P50 || l.LinesPerSecond <= 0 {
			t.Errorf("%+v", l)
		}
	}
	var table bytes.Buffer
	if err := r.Markdown(&table); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Drain: english", "Drain: wide", "| tight |", "| naive |", "| counter |", "| load: ", "| lab: ",
		"did not count: 1", "| kafka-go-writer |", "| producer |", "| consumer-printer |", "Cost of a line", "Kafka ", "franz-go v1.2.3"} {
		if !strings.Contains(table.String(), part) {
			t.Errorf("the report has no %q:\n%s", part, table.String())
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestUnknownCase(t *testing.T) {
	if _, err := Run(t.Context(), Config{Cases: []string{"english", "narrow"}}); err == nil || !strings.Contains(err.Error(), `"narrow"`) {
		t.Error(err)
	}
}

// A run that counted something else fails.
func TestDrainComparesTotals(t *testing.T) {
	cfg := testConfig(t)
	cfg.Cases, cfg.Contenders, cfg.WarmUp = []string{"english"}, []string{"tight", "naive"}, 0
	right, runs := cfg.Programs, 0
	cfg.Programs = Programs{Command: func(name string) (string, []string) {
		file, env := right.Command(name)
		if runs++; runs == 2 {
			env = append(env, wrongVariable+"=1")
		}
		return file, env
	}}
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "naive counted") {
		t.Errorf("error %v", err)
	}
}
