// Package printer shows the batches of the word count: as Spark Streaming's pprint would, as a table, or as JSON; and on a live page
// (package page). It reads the topics word-counts and batches, committed records only, puts together what belongs to one window
// (see Joiner), and writes each complete batch to standard output with one Write, in order of time. It has no consumer group and
// commits nothing: every printer shows everything, from the batches that close after its start, or from the oldest that the topics
// hold.
//
// A record that cannot be parsed, or that contradicts another, ends the printer with an error that says where it stands and what to
// do: the topics are the counters' alone, and totals that may be wrong are worse than none.
//
// # Metrics
//
//	wordcount_printer_batches_total          batches that were shown
//	wordcount_printer_end_to_end_seconds     histogram: from the end of a batch's window until it was shown
//	wordcount_printer_rows_total             records of the counts topic that were read
//	wordcount_printer_skipped_batches_total  batches that were not shown because retention had removed part of them
package printer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"syscall"
	"time"

	"wordcount/consumer-printer/page"
	"wordcount/internal/kafkaio"
	"wordcount/internal/service"
	"wordcount/internal/wire"
)

// printer carries records from Kafka to the Joiner and batches from there to standard output, all in one goroutine.
type printer struct {
	cfg     Config
	log     *slog.Logger
	client  *kafkaio.Client
	format  formatter
	metrics *metrics
	page    *page.Page // nil: none is served

	clockSkew  int64 // milliseconds; see defaultClockSkew
	partitions int   // of both topics when the printer started

	reader *kafkaio.Reader
	joiner *Joiner
	ready  bool
	row    wire.CountRow
	text   []byte
}

// Run shows batches until ctx ends or nobody reads standard output any more; then it returns nil. A batch whose writing has begun is
// written to its end. Any other end is an error, a *service.UsageError if a setting is to blame.
func Run(ctx context.Context, cfg Config) error {
	p, err := newPrinter(cfg)
	if err != nil {
		return err
	}
	defer p.client.Close()
	stop, err := p.servePage()
	if err != nil {
		return err
	}
	defer stop()
	err = p.run(ctx)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil
	case errors.Is(err, syscall.EPIPE):
		p.log.Info("stopping: nobody reads standard output any more")
		return nil
	}
	return err
}

// newPrinter connects to nothing yet.
func newPrinter(cfg Config) (*printer, error) {
	if err := cfg.Settings.Validate(); err != nil {
		return nil, err
	}
	zone, err := cfg.zone()
	if err != nil {
		return nil, err
	}
	client, err := cfg.ClientConfig("consumer-printer", cfg.Runtime.Log)
	if err != nil {
		return nil, err
	}
	cfg.Runtime.Health.SetReady("printer", false)
	return &printer{
		cfg:       cfg,
		log:       cfg.Runtime.Log,
		client:    kafkaio.NewClient(client),
		format:    cfg.formatter(zone),
		metrics:   newMetrics(cfg.Runtime.Metrics),
		clockSkew: defaultClockSkew,
	}, nil
}

// servePage serves the live page, if there is to be one, until stop is called.
func (p *printer) servePage() (stop func(), err error) {
	if p.cfg.HTTP == "" {
		return func() {}, nil
	}
	p.page = page.New(wordPartition)
	endpoint, err := service.Listen("http", p.cfg.HTTP, p.page, p.log)
	if err != nil {
		return nil, err
	}
	url := endpoint.URL() + "/"
	p.log.Info("serving the live page", "url", url)
	if p.cfg.Serving != nil {
		p.cfg.Serving(url)
	}
	return func() {
		p.page.Close()
		endpoint.Close(lastRequests)
	}, nil
}

// lastRequests is how long a graceful end waits for requests to the page.
const lastRequests = time.Second

func (p *printer) run(ctx context.Context) error {
	if err := p.checkTopics(ctx); err != nil {
		return err
	}
	begin := p.fromNow
	if p.cfg.FromBeginning {
		begin = p.fromBeginning
	}
	s, err := begin(ctx)
	if err != nil {
		return err
	}
	return p.follow(ctx, s)
}

// follow reads and shows from a start on.
func (p *printer) follow(ctx context.Context, s start) error {
	p.joiner = NewJoiner(len(s.counts), p.cfg.Num, s.after)
	p.joiner.filter = parseFilter(p.cfg.Filter)
	if p.page != nil {
		p.joiner.page = &pageKeeper{limit: page.KeptBytes}
	}
	p.reader = p.client.NewReader(p.positions(s))
	defer p.reader.Close()
	p.log.Info("reading", "counts_topic", p.cfg.CountsTopic, "batches_topic", p.cfg.BatchesTopic, "partitions", len(s.counts), "batches", s)
	for {
		if err := p.read(ctx); err != nil {
			return err
		}
		if err := p.show(ctx); err != nil {
			return err
		}
		p.hold()
	}
}

// hold lets partitions wait that are too far ahead of the others.
func (p *printer) hold() {
	for q := range int32(p.partitions) {
		p.reader.Pause(p.cfg.CountsTopic, q, p.joiner.CountsAhead(q))
		p.reader.Pause(p.cfg.BatchesTopic, q, p.joiner.BatchesAhead(q))
	}
}

// checkTopics waits for the topics, which must have the same number of partitions.
func (p *printer) checkTopics(ctx context.Context) error {
	counts, err := p.client.WaitTopic(ctx, p.cfg.CountsTopic)
	if err != nil {
		return err
	}
	batches, err := p.client.WaitTopic(ctx, p.cfg.BatchesTopic)
	if err != nil {
		return err
	}
	if counts != batches {
		return service.Usagef("topic %s has %d partitions and topic %s has %d: they are not one counter group's; set --counts-topic and --batches-topic to two that are",
			p.cfg.CountsTopic, counts, p.cfg.BatchesTopic, batches)
	}
	p.partitions = counts
	return nil
}

// show writes the batches that are complete.
func (p *printer) show(ctx context.Context) error {
	var cut cutBatches
	defer func() { cut.report(p.log) }()
	for ctx.Err() == nil {
		b, ok := p.joiner.Next()
		if !ok {
			return nil
		}
		if b.Cut != "" {
			cut.add(&b)
			p.metrics.skippedBatches.Inc()
			continue
		}
		cut.report(p.log)
		if err := p.write(&b); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *printer) write(b *Batch) error {
	const keep = 1 << 20 // bytes; a larger batch leaves its memory to the collector
	slices.SortFunc(b.Top, wordOrders[p.cfg.Sort])
	text := p.format(p.text[:0], b)
	if p.text = text; cap(text) > keep {
		p.text = nil
	}
	if _, err := p.cfg.Runtime.Stdout.Write(text); err != nil {
		return fmt.Errorf("write the batch ending %s to standard output: %w", formatTime(b.WindowEnd), err)
	}
	end := time.UnixMilli(b.WindowEnd)
	p.metrics.batches.Inc()
	p.metrics.endToEnd.Observe(max(time.Since(end), 0).Seconds())
	if p.page != nil {
		addToPage(p.page, b)
	}
	if p.cfg.Shown != nil {
		p.cfg.Shown(end)
	}
	return nil
}

func formatTime(ms int64) string { return string(wire.AppendTime(nil, ms)) }
