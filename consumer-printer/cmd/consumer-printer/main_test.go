package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/internal/wire"
)

// The tests run this very program: the test binary, which is told by the environment to be it.
const runMain = "CONSUMER_PRINTER_TEST_RUNS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

func command(t *testing.T, arguments []string, variables ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"--metrics-addr=", "--http="}, arguments...)...)
	cmd.Env = append(os.Environ(), append(variables, runMain+"=1")...)
	return cmd
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		arguments, variables []string
		want                 string // on standard error
	}{
		{[]string{"--format=csv"}, nil, `--format: "csv" is not accepted: want pprint, table or json`},
		{nil, []string{"FORMAT=xml"}, `--format: "xml" is not accepted: want pprint, table or json`},
		{nil, []string{"FORMAT=xml"}, "environment variable FORMAT"},
		{[]string{"--num=-1"}, nil, `--num: "-1" is not accepted`},
		{nil, []string{"NUM=ten"}, `NUM`},
		{[]string{"--top=-1"}, nil, `--num: "-1" is not accepted`},
		{[]string{"--sort=length"}, nil, `--sort: "length" is not accepted: want count or word`},
		{[]string{"--time-zone=Mars/Olympus"}, nil, `--time-zone: "Mars/Olympus" is not accepted`},
		{nil, []string{"TIME_ZONE=Mars"}, `--time-zone: "Mars" is not accepted`},
		{nil, []string{"FROM_BEGINNING=perhaps"}, `FROM_BEGINNING`},
		{[]string{"--brokers=nonsense"}, nil, `--brokers: "nonsense" is not accepted`},
		{[]string{"--http=8080"}, nil, `--http: "8080" is not accepted`},
	} {
		cmd := command(t, tc.arguments, tc.variables...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		got := stderr.String()
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(got, tc.want) || strings.Count(got, "\n") != 1 {
			t.Errorf("%v %v: %v, %q; want status 2 and %q", tc.variables, tc.arguments, err, got, tc.want)
		}
	}
}

func TestHelp(t *testing.T) {
	out, err := command(t, []string{"--help"}).Output()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{
		"--format=FORMAT", "[default: pprint; env: FORMAT]", "--num=N", "[default: 10; env: NUM]", "--from-beginning",
		"[default: false; env: FROM_BEGINNING]", "--time-zone=ZONE", "[default: Local; env: TIME_ZONE]", "--http=HOST:PORT", "[default: 127.0.0.1:8080; env: HTTP]", "env: COUNTS_TOPIC", "env: BATCHES_TOPIC",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// startKafka starts a broker with the printer's topics, and a client of it.
func startKafka(t *testing.T) (*kfake.Cluster, *kgo.Client) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "word-counts", "batches"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return cluster, client
}

// TestPipes runs the program as in consumer-printer | head -3, and stops it with a signal.
func TestPipes(t *testing.T) {
	cluster, client := startKafka(t)
	end := time.UnixMilli(1769030730000)
	closeBatch := func() {
		value := wire.AppendBatch(nil, wire.Batch{WindowStart: end.Add(-5 * time.Second), WindowEnd: end, Partitions: 1, ClosedAt: end})
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "batches", Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		end = end.Add(5 * time.Second)
	}
	closeBatch()

	for _, signalled := range []bool{false, true} {
		cmd := command(t, []string{"--from-beginning", "--brokers=" + cluster.ListenAddrs()[0]}, "TIME_ZONE=Asia/Tokyo")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		const want = "-------------------------------------------\nTime: 2026-01-22 06:25:30\n-------------------------------------------\n\n"
		got := make([]byte, len(want))
		if _, err := io.ReadFull(stdout, got); err != nil || string(got) != want {
			t.Errorf("printed %q, %v, want %q; logs:\n%s", got, err, want, &stderr)
		}
		if signalled {
			err = cmd.Process.Signal(syscall.SIGTERM)
		} else if err = stdout.Close(); err == nil {
			closeBatch() // so that it writes into the closed pipe
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("signalled %t: %v; logs:\n%s", signalled, err, &stderr)
		}
	}
}
