package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// untilDone is a service that stops when it is told to, and does so in stop.
func untilDone(stop func() error) func(context.Context, *sampleConfig) error {
	return func(ctx context.Context, config *sampleConfig) error {
		config.Runtime.Health.SetReady("group", true)
		config.Runtime.Log.Info("at work")
		<-ctx.Done()
		return stop()
	}
}

func TestStopBySignal(t *testing.T) {
	release := make(chan struct{})
	p, _ := sample(untilDone(func() error { <-release; return nil }))
	r := launch(t, p, nil, "--metrics-addr=127.0.0.1:0")
	url := r.url()
	r.line("at work")
	if status, body := get(t, url+"/readyz"); status != 200 {
		t.Errorf("at work: /readyz is %d %q", status, body)
	}
	r.signals <- syscall.SIGTERM
	r.line("stopping; a second signal leaves at once")
	// The log line comes first, and then ctx ends. /readyz must follow it with no delay: see TestReadinessEndsWithTheContext.
	deadline := time.Now().Add(patience)
	for status, body := 0, ""; body != "not ready: stopping\n"; status, body = get(t, url+"/readyz") {
		if time.Now().After(deadline) {
			t.Fatalf("stopping: /readyz is %d %q", status, body)
		}
	}
	if status, body := get(t, url+"/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("stopping: /healthz is %d %q", status, body)
	}
	if status, _ := get(t, url+"/metrics"); status != 200 {
		t.Errorf("stopping: /metrics is %d", status)
	}
	close(release)
	if status, stderr := r.end(); status != exitGraceful || len(stderr) > 0 {
		t.Errorf("status %d: %q", status, stderr)
	}
	if connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		connection.Close()
		t.Error("the endpoint is still there")
	}
}

func TestReadinessEndsWithTheContext(t *testing.T) {
	var before, after []string
	p, config := sample(nil)
	p.run = func(ctx context.Context) error {
		config.Runtime.Health.SetReady("group", true)
		before = config.Runtime.Health.NotReady()
		config.Runtime.Log.Info("at work")
		<-ctx.Done()
		after = config.Runtime.Health.NotReady()
		return nil
	}
	r := launch(t, p, nil, "--metrics-addr=")
	r.line("at work")
	r.signals <- os.Interrupt
	if status, stderr := r.end(); status != exitGraceful {
		t.Errorf("status %d: %q", status, stderr)
	}
	if len(before) != 0 || len(after) != 1 || after[0] != "stopping" {
		t.Errorf("before the end not ready: %q, after: %q", before, after)
	}
	if waiting := config.Runtime.Health.NotReady(); len(waiting) == 0 {
		t.Error("ready when all is over")
	}
}

func TestSecondSignal(t *testing.T) {
	stuck := make(chan struct{})
	defer close(stuck)
	p, _ := sample(untilDone(func() error { <-stuck; return nil }))
	r := launch(t, p, nil, "--metrics-addr=127.0.0.1:0")
	r.line("at work")
	r.signals <- os.Interrupt
	r.line("stopping")
	r.signals <- syscall.SIGTERM
	if status, stderr := r.end(); status != exitInterrupted || len(stderr) != 1 || !strings.Contains(stderr[0], "interrupted a second time") {
		t.Errorf("status %d: %q", status, stderr)
	}
}

func TestDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		p, _ := sample(func(ctx context.Context, _ *sampleConfig) error {
			if _, ok := ctx.Deadline(); ok {
				t.Error("the context has a deadline: clients would cut their requests' timeouts")
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		})
		began := time.Now()
		status := p.start(host{args: []string{"--duration=1h", "--metrics-addr="}, lookupEnv: variables{}.lookup, stdout: io.Discard, stderr: io.Discard})
		if ran := time.Since(began); status != exitGraceful || ran != time.Hour || cause != context.DeadlineExceeded {
			t.Errorf("status %d after %v, cause %v", status, ran, cause)
		}
	})
}

func TestNoDurationRunsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal)
		p, _ := sample(func(ctx context.Context, _ *sampleConfig) error {
			select {
			case <-ctx.Done():
				t.Error("the context ended by itself")
			case <-time.After(1000 * time.Hour):
			}
			return nil
		})
		if status := p.start(host{args: []string{"--metrics-addr="}, lookupEnv: variables{}.lookup, stdout: io.Discard, stderr: io.Discard, signals: signals}); status != exitGraceful {
			t.Errorf("status %d", status)
		}
	})
}

func TestHowARunEnds(t *testing.T) {
	tests := []struct {
		what   string
		err    error
		args   []string
		status int
		stderr string // regular expression of the one line
	}{
		{"done", nil, nil, exitGraceful, ``},
		{"failure", errors.New("fetch lines/3: gone"), nil, exitFailed, `^time=\S+ level=ERROR msg=failed service=sample err="fetch lines/3: gone"$`},
		{"failure of several lines", errors.Join(errors.New("fetch"), errors.New("close")), nil, exitFailed, `level=ERROR msg=failed service=sample err="fetch; close"$`},
		{"failure as JSON", errors.New("fetch\nclose"), []string{"--log-format=JSON"}, exitFailed, `^{"time":"[^"]+","level":"ERROR","msg":"failed","service":"sample","err":"fetch; close"}$`},
		{"the context's error is no graceful end", context.Canceled, nil, exitFailed, `err="context canceled"`},
		{"wrong setting", Usagef("--group: %q runs with other settings: %w", "g", io.EOF), nil, exitUsage, `^sample: --group: "g" runs with other settings: EOF$`},
		{"wrong setting, wrapped", fmt.Errorf("join: %w", Usagef("--group")), nil, exitUsage, `^sample: join: --group$`},
		{"wrong setting as JSON", Usagef("--group"), []string{"--log-format=json"}, exitUsage, `"level":"ERROR","msg":"--group"}$`},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			p, _ := sample(func(context.Context, *sampleConfig) error { return test.err })
			r := launch(t, p, nil, append(test.args, "--metrics-addr=", "--log-level=Error")...)
			status, stderr := r.end()
			if status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			if test.stderr == "" && len(stderr) > 0 || test.stderr != "" && (len(stderr) != 1 || !regexp.MustCompile(test.stderr).MatchString(stderr[0])) {
				t.Errorf("stderr %q, want one line as %s", stderr, test.stderr)
			}
		})
	}
}

func TestWrongSettingsEndTheProcess(t *testing.T) {
	for _, test := range []struct {
		args []string
		env  variables
		want string
	}{
		{[]string{"--partitions=0"}, nil, `sample: --partitions: "0" is not accepted: want 1 to 100000`},
		{nil, variables{"LOG_FORMAT": "xml"}, `sample: --log-format: "xml" is not accepted: want text or json (environment variable LOG_FORMAT)`},
		{[]string{"--colour"}, nil, `sample: unknown flag --colour; see sample --help`},
		{[]string{"now"}, nil, `sample: unexpected argument now; see sample --help`},
	} {
		p, _ := sample(unused)
		r := launch(t, p, test.env, test.args...)
		if status, stderr := r.end(); status != exitUsage || len(stderr) != 1 || stderr[0] != test.want || r.stdout.Len() > 0 {
			t.Errorf("%q: status %d, stderr %q, stdout %q, want %s", test.args, status, stderr, r.stdout, test.want)
		}
	}
}

func TestRuntime(t *testing.T) {
	p, _ := sample(func(_ context.Context, config *sampleConfig) error {
		typed, err := io.ReadAll(config.Runtime.Stdin)
		if err != nil {
			return err
		}
		config.Runtime.Log.Debug("seen", "typed", string(typed))
		_, err = io.WriteString(config.Runtime.Stdout, "shown")
		return err
	})
	r := launch(t, p, variables{"LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json"}, "--metrics-addr=")
	var entry struct{ Level, Msg, Typed string }
	if err := json.Unmarshal([]byte(r.line("seen")), &entry); err != nil || entry.Level != "DEBUG" || entry.Typed != "typed" {
		t.Errorf("log entry %+v, error %v", entry, err)
	}
	if status, _ := r.end(); status != exitGraceful || r.stdout.String() != "shown" {
		t.Errorf("status %d, stdout %q", status, r.stdout)
	}
}

func TestVersion(t *testing.T) {
	t.Cleanup(func() { Version, Revision = "", "" })
	Version, Revision = "v1.2.3", "abc"
	p, _ := sample(unused)
	r := launch(t, p, variables{"PARTITIONS": "0"}, "--version")
	if status, stderr := r.end(); status != exitGraceful || len(stderr) > 0 || r.stdout.String() != "sample v1.2.3 (abc)\n" {
		t.Errorf("status %d, stdout %q, stderr %q", status, r.stdout, stderr)
	}
}
