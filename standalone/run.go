package standalone

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	printer "wordcount/consumer-printer"
	"wordcount/counter"
	"wordcount/internal/service"
	"wordcount/producer"
	"wordcount/standalone/embedded"
)

const (
	// drainMargin is how much longer than interval + grace each batch up to the last may take.
	drainMargin = 10 * time.Second
	// stopMargin is how long the services may take to stop; the producer alone may need 10 s.
	stopMargin = 20 * time.Second
)

// Run starts the broker and the services, and returns when ctx ends, --count lines are published or the source has ended,
// and everything that was published has been shown. When the broker or a service fails, everything stops, and the error is that one.
func Run(ctx context.Context, cfg Config) error {
	log := cfg.Runtime.Log
	broker, err := embedded.Start(cfg.BrokerAddr, log.With("service", "broker"))
	if err != nil {
		return err
	}
	defer broker.Close()
	log.Info("started a Kafka broker in memory: what its topics hold is gone when this process ends", "broker", broker.Addr())
	if cfg.Started != nil {
		cfg.Started(broker.Addr())
	}

	p := start(cfg, broker)
	err = p.run(ctx)
	if stopErr := p.stop(); err == nil {
		err = stopErr
	}
	return err
}

// pipeline is the three services at work.
type pipeline struct {
	log      *slog.Logger
	progress *progress
	patience time.Duration // for the next batch, until that of the last line is there
	down     <-chan error  // the broker's failure

	producer, counter, printer *running
	ended                      chan *running // each when it has ended
}

// running is a service that was started.
type running struct {
	name string
	stop context.CancelFunc
	done chan struct{}
	err  error // once done
}

func start(cfg Config, broker *embedded.Broker) *pipeline {
	p := &pipeline{
		log:      cfg.Runtime.Log,
		progress: newProgress(),
		patience: cfg.Counter.BatchInterval + cfg.Counter.Grace + drainMargin,
		down:     broker.Failed(),
		ended:    make(chan *running, 3),
	}
	stdout := newOutput(cfg.Runtime.Stdout)
	runtime := func(name string) service.Runtime {
		rt := cfg.Runtime
		rt.Log = slog.New(quiet{cfg.Runtime.Log.Handler()}).With("service", name)
		rt.Stdout = stdout
		return rt
	}

	counting := cfg.counter(broker.Addr())
	counting.Runtime = runtime("counter")
	p.counter = p.start("counter", func(ctx context.Context) error { return counter.Run(ctx, counting) })

	printing := cfg.printer(broker.Addr())
	printing.Runtime = runtime("consumer-printer")
	printing.SharedStdout = true
	printing.Serving = func(url string) { p.log.Info("serving the live page", "url", url) }
	printing.Shown = p.progress.printed
	p.printer = p.start("consumer-printer", func(ctx context.Context) error { return printer.Run(ctx, printing) })

	producing := cfg.producer(broker.Addr())
	producing.Runtime = runtime("producer")
	producing.Acknowledged = p.progress.acknowledged
	p.producer = p.start("producer", func(ctx context.Context) error { return producer.Run(ctx, producing) })
	return p
}

func (p *pipeline) start(name string, run func(context.Context) error) *running {
	ctx, stop := context.WithCancel(context.Background())
	r := &running{name: name, stop: stop, done: make(chan struct{})}
	go func() {
		r.err = run(ctx)
		close(r.done)
		p.ended <- r
	}()
	return r
}

// run returns when everything that was published, until ctx ended or the producer was done, has been shown; or when
// something fails.
func (p *pipeline) run(ctx context.Context) error {
	stopping := ctx.Done()
	for published := false; !published; {
		select {
		case <-stopping:
			p.producer.stop()
			stopping = nil
		case r := <-p.ended:
			// The printer ends without an error when nobody reads its output any more: then nobody waits for a batch.
			published = r == p.producer
			if r.err != nil || !published {
				return r.err
			}
		case err := <-p.down:
			return brokerFailed(err)
		}
	}
	return p.drain()
}

// drain waits until the batch of the last line is shown. Of lines that were published faster than they are counted, such as
// a whole file's, that may be many batches later.
func (p *pipeline) drain() error {
	if !p.progress.done() {
		p.log.Info("no more lines are published; the last batch is still to come")
	}
	late := time.NewTimer(p.patience)
	defer late.Stop()
	for !p.progress.done() {
		select {
		case <-p.progress.changed:
			late.Reset(p.patience)
		case r := <-p.ended:
			return r.err
		case err := <-p.down:
			return brokerFailed(err)
		case <-late.C:
			return fmt.Errorf("the batch of the last line is missing, and none was shown for %v; --log-level debug tells more", p.patience)
		}
	}
	return nil
}

// stop ends the services and waits for them. The error is that of one that failed.
func (p *pipeline) stop() error {
	services := []*running{p.producer, p.counter, p.printer}
	for _, r := range services {
		r.stop()
	}
	late := time.NewTimer(stopMargin)
	defer late.Stop()
	var err error
	for _, r := range services {
		select {
		case <-r.done:
			err = cmp.Or(err, r.err)
		case <-late.C:
			return cmp.Or(err, fmt.Errorf("the %s has not stopped within %v", r.name, stopMargin))
		}
	}
	return err
}

func brokerFailed(err error) error {
	return fmt.Errorf("the broker in memory no longer serves: %w", err)
}
