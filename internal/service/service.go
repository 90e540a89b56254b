package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Exit statuses of a process.
const (
	exitGraceful    = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// Runtime is what a service gets from the process that runs it; tests and the standalone process give their own.
type Runtime struct {
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Health  *Health // may be nil
	Stdin   io.Reader
	Stdout  io.Writer
}

// Main is the whole main function of a service, and doesn't return: it parses flags and environment into cfg, starts the
// log and the metrics endpoint, fills rt, calls run, and exits. See the package comment for the exit statuses.
//
// cfg points to a struct with kong's tags which embeds Process; process and rt point into it. defaults are kong variables,
// among them metrics_addr. The context of run ends with the first SIGINT or SIGTERM and when --duration is over; run then
// stops gracefully and returns nil. Its error is shown once, on one line, and a *UsageError makes the status 2.
func Main(name, description string, cfg any, process *Process, rt *Runtime, defaults map[string]string, run func(ctx context.Context) error) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGPIPE) // a write to a closed pipe (| head) returns an error in place of killing the process
	p := program{name: name, description: description, config: cfg, process: process, runtime: rt, defaults: defaults, run: run}
	os.Exit(p.start(host{
		args:      os.Args[1:],
		lookupEnv: os.LookupEnv,
		stdin:     os.Stdin,
		stdout:    os.Stdout,
		stderr:    os.Stderr,
		signals:   signals,
	}))
}

// program is what Main was given.
type program struct {
	name, description string
	config            any
	process           *Process
	runtime           *Runtime
	defaults          map[string]string
	run               func(ctx context.Context) error
}

// host is what the operating system gives to a process; tests give their own.
type host struct {
	args           []string
	lookupEnv      func(string) (string, bool)
	stdin          io.Reader
	stdout, stderr io.Writer
	signals        <-chan os.Signal
}

// start does all that Main does but exit, and returns the exit status.
func (p program) start(h host) int {
	settings, err := newSettings(p, h.lookupEnv)
	if err != nil {
		panic(err) // wrong tags in p.config: no user can do anything about it
	}
	asked, err := settings.parse(h.args)
	if err != nil {
		return p.complain(h, err)
	}
	switch asked {
	case showHelp:
		if err := settings.printHelp(h.stdout); err != nil {
			return p.complain(h, err)
		}
		return exitGraceful
	case showVersion:
		version, revision := build()
		fmt.Fprintf(h.stdout, "%s %s (%s)\n", p.name, version, revision)
		return exitGraceful
	case checkHealth:
		err := p.process.checkMetricsAddr()
		if err == nil {
			err = askHealth(p.process.MetricsAddr)
		}
		if err != nil {
			return p.complain(h, err)
		}
		return exitGraceful
	}
	log, err := p.process.logger(h.stderr)
	if err != nil {
		return p.complain(h, err)
	}
	if err := p.serve(h, log); err != nil {
		return p.report(h, log, err)
	}
	return exitGraceful
}

var errInterrupted = errors.New("interrupted a second time: leaving at once")

// serve runs the service until it ends. The error is run's, the endpoint's, or errInterrupted.
func (p program) serve(h host, log *slog.Logger) error {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)

	registry := newRegistry()
	health := &Health{}
	health.endWith(ctx)
	version, revision := build()
	log.Info("starting", "service", p.name, "version", version, "revision", revision)
	wait := lastRequests
	if p.process.MetricsAddr != "" {
		endpoint, err := Listen("metrics-addr", p.process.MetricsAddr, newRoutes(registry, health, p.process.Pprof, log), log)
		if err != nil {
			return err
		}
		defer func() { endpoint.Close(wait) }()
		log.Info("serving metrics and health", "url", endpoint.URL()+"/metrics")
	}

	// A deadline on ctx would do as well, but clients make timeouts of requests from it.
	if p.process.Duration > 0 {
		timer := time.AfterFunc(p.process.Duration, func() {
			log.Info("stopping: --duration is over", "duration", p.process.Duration)
			stop(context.DeadlineExceeded)
		})
		defer timer.Stop()
	}

	*p.runtime = Runtime{Log: log, Metrics: registry, Health: health, Stdin: h.stdin, Stdout: h.stdout}
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	for signalled := false; ; signalled = true {
		select {
		case err := <-ended:
			stop(nil)
			return err
		case sig := <-h.signals:
			if signalled {
				wait = 0
				return errInterrupted
			}
			log.Info("stopping; a second signal leaves at once", "signal", sig.String())
			stop(context.Canceled)
		}
	}
}

// report shows why a process whose log has started ends, and returns its exit status.
func (p program) report(h host, log *slog.Logger, err error) int {
	var usage *UsageError
	json, _ := p.process.json()
	switch {
	case errors.Is(err, errInterrupted):
		log.Warn(err.Error())
		return exitInterrupted
	case errors.As(err, &usage) && !json:
		return p.complain(h, err)
	case errors.As(err, &usage):
		log.Error(oneLine(err))
		return exitUsage
	}
	log.Error("failed", "service", p.name, "err", oneLine(err))
	return exitFailed
}

// complain shows a person why the process ends, and returns its exit status.
func (p program) complain(h host, err error) int {
	fmt.Fprintf(h.stderr, "%s: %s\n", p.name, oneLine(err))
	var usage *UsageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
