package service

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// serviceUnderTest names the service that this test binary is when a test starts it as a process of its own.
const serviceUnderTest = "SERVICE_UNDER_TEST"

func TestMain(m *testing.M) {
	behave, ok := map[string]func(context.Context, *sampleConfig) error{
		"graceful": untilDone(func() error { return nil }),
		"stuck":    untilDone(func() error { select {} }),
		"failing":  func(context.Context, *sampleConfig) error { return errors.New("fetch lines/3: gone") },
		"refused":  func(context.Context, *sampleConfig) error { return Usagef("--group is taken") },
		"done":     func(context.Context, *sampleConfig) error { return nil },
	}[os.Getenv(serviceUnderTest)]
	if ok {
		var config sampleConfig
		Main("sample", "Takes samples, for tests.", &config, &config.Process, &config.Runtime, map[string]string{"metrics_addr": "127.0.0.1:0"},
			func(ctx context.Context) error { return behave(ctx, &config) })
		panic("Main returned")
	}
	os.Exit(m.Run())
}

// command returns this binary as a service, which is killed when it takes too long. The environment is env and nothing else.
func command(t *testing.T, service string, env []string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(env, serviceUnderTest+"="+service)
	return cmd
}

func TestProcessesExit(t *testing.T) {
	tests := []struct {
		service        string
		env, args      []string
		status         int
		stdout, stderr string // contained
	}{
		{service: "done", status: 0},
		{service: "graceful", args: []string{"--duration=10ms", "--interval=1ms"}, status: 0, stderr: "stopping: --duration is over"},
		{service: "failing", status: 1, stderr: `err="fetch lines/3: gone"`},
		{service: "refused", status: 2, stderr: "sample: --group is taken\n"},
		{service: "done", args: []string{"--colour"}, status: 2, stderr: "sample: unknown flag --colour; see sample --help\n"},
		{service: "done", env: []string{"PARTITIONS=x"}, status: 2, stderr: "(environment variable PARTITIONS)\n"},
		{service: "done", args: []string{"--help"}, status: 0, stdout: "KAFKA_BROKERS"},
		{service: "graceful", args: []string{"--healthcheck", "--metrics-addr=127.0.0.1:1"}, status: 1, stderr: "connection refused"},
	}
	for _, test := range tests {
		cmd := command(t, test.service, test.env, test.args...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if status := cmd.ProcessState.ExitCode(); status != test.status || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%s %v %q: status %d, want %d\nstdout %s\nstderr %s", test.service, test.env, test.args, status, test.status, &stdout, &stderr)
		}
	}
}

func TestProcessesAndSignals(t *testing.T) {
	tests := []struct {
		service string
		signals []os.Signal
		status  int
	}{
		{"graceful", []os.Signal{syscall.SIGTERM}, 0},
		{"graceful", []os.Signal{os.Interrupt}, 0},
		{"stuck", []os.Signal{os.Interrupt, os.Interrupt}, 130},
		{"stuck", []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, 130},
		{"stuck", []os.Signal{os.Interrupt, syscall.SIGTERM}, 130},
	}
	for _, test := range tests {
		cmd := command(t, test.service, nil)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r := &running{t: t, lines: make(chan string, 100)}
		go r.read(stderr)
		url := r.url()
		r.line("at work")
		if status, _ := get(t, url+"/readyz"); status != 200 {
			t.Errorf("%s: /readyz is %d", test.service, status)
		}
		addr := "--metrics-addr=" + strings.TrimPrefix(url, "http://")
		if output, err := command(t, "done", nil, "--healthcheck", addr).CombinedOutput(); err != nil {
			t.Errorf("%s: --healthcheck: %v: %s", test.service, err, output)
		}
		for i, signal := range test.signals {
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				r.line("stopping")
			}
		}
		for range r.lines { // until its stderr is closed
		}
		cmd.Wait()
		if cmd.ProcessState.ExitCode() != test.status {
			t.Errorf("%s, %v: %v, want %d", test.service, test.signals, cmd.ProcessState, test.status)
		}
	}
}
