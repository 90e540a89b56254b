package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"wordcount/internal/kafkaio"
)

// flushTime is for how long lines that were chosen are still sent once the producer is to stop.
const flushTime = 10 * time.Second

// pipeline takes lines from a source to Kafka: one goroutine chooses them, one has what has gathered sent.
type pipeline struct {
	source       Source
	kafka        *kafkaio.Producer
	rate         float64 // lines per second, 0: as fast as it can
	count        int64   // lines to publish, 0: no limit
	echo         *echo   // nil: lines are not shown
	few          *few    // when set, lines are shown only while they are few
	metrics      *metrics
	log          *slog.Logger
	acknowledged func(appended time.Time) // may be nil
	published    func(lines []byte)       // may be nil; as relay.send
	flushTime    time.Duration

	unread func() // nobody reads standard output any more
	lanes  []*lane
	shows  []*shown     // the chooser's room
	relay  *relay       // of published
	chosen int64        // the chooser's
	shown  int64        // the chooser's: how many of them will be shown
	unseen atomic.Int64 // how many won't, because they are not few
	lines  atomic.Int64
	bytes  atomic.Int64
}

// run publishes until the count is reached, the source ends, something fails, nobody reads what is shown, or ctx is over. Lines that were chosen are
// then still sent: in the last three cases for p.flushTime at most, else until Kafka has them. The error is nil only when every line that was chosen is acknowledged.
func (p *pipeline) run(ctx context.Context) error {
	choosing, stop := context.WithCancel(ctx)
	defer stop()
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(choosing, func() { time.AfterFunc(p.flushTime, giveUp) })()
	p.unread = sync.OnceFunc(func() {
		p.log.Info("stopping: nobody reads standard output any more")
		stop()
	})

	news := make(chan struct{}, 1)
	for i := range p.kafka.Partitions() {
		p.lanes = append(p.lanes, newLane(i, p.kafka.MaxBatchBytes(), news))
	}
	if p.published != nil {
		p.relay = newRelay(len(p.lanes), p.published)
		for _, l := range p.lanes {
			l.text = true
		}
	}
	refusals := make([]error, len(p.lanes))
	sender := &sender{lanes: p.lanes, news: news,
		send: func(batches []taken, answered func([]answer)) { p.send(sending, batches, answered) },
		refused: func(l *lane, err error) {
			if sending.Err() == nil {
				refusals[l.partition] = err
			}
			stop()
		}}
	closed := make(chan struct{})
	var sends sync.WaitGroup
	sends.Go(func() { sender.run(closed) })
	published := make(chan struct{})
	var reporter sync.WaitGroup
	reporter.Go(func() { p.report(published) })

	err := p.choose(choosing, sending)
	if err != nil {
		stop()
	}
	close(closed)
	sends.Wait()
	close(published)
	reporter.Wait()
	if errors.Is(err, choosing.Err()) {
		err = nil // it ended because ctx is over, or Kafka refused a batch
	}
	return p.outcome(cmp.Or(append(refusals, err)...))
}

// outcome is run's result, given what failed.
func (p *pipeline) outcome(failure error) error {
	missing := p.chosen - p.lines.Load()
	p.metrics.errors.Add(float64(missing))
	p.log.Info("published", "lines", p.lines.Load(), "bytes", p.bytes.Load(), "errors", missing)
	switch {
	case failure != nil && missing > 0:
		return fmt.Errorf("%w; %d of %d lines were not acknowledged", failure, missing, p.chosen)
	case missing > 0:
		return fmt.Errorf("%d of %d lines were not acknowledged by Kafka within %v of the stop", missing, p.chosen, p.flushTime)
	}
	return failure
}

// choose takes lines from the source at their pace and puts them into the partitions' lanes, in turn, until ctx ends. The
// lines that were chosen last still wait for room in their lanes then, until sending ends.
func (p *pipeline) choose(ctx, sending context.Context) error {
	pace := newPace(p.rate)
	for p.count == 0 || p.chosen < p.count {
		due, err := pace.wait(ctx)
		if err != nil {
			return err
		}
		if p.count > 0 {
			due = min(due, p.count-p.chosen)
		}
		for due > 0 {
			lines, err := p.source.Next(ctx, int(due))
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			due -= int64(len(lines))
			if err := p.put(sending, lines); err != nil {
				return nil // the refusal tells why
			}
		}
	}
	return nil
}

// put puts lines that were chosen now into the lanes, in turn.
func (p *pipeline) put(ctx context.Context, lines [][]byte) error {
	now := time.Now()
	p.shows = p.shows[:0]
	if p.echo != nil {
		for _, line := range lines {
			p.shows = append(p.shows, p.show(line, now))
		}
	}
	first := p.chosen
	p.chosen += int64(len(lines))
	for i := range min(len(lines), len(p.lanes)) {
		l := p.lanes[(first+int64(i))%int64(len(p.lanes))]
		if err := l.put(ctx, lines[i:], p.shows[min(i, len(p.shows)):], len(p.lanes), now); err != nil {
			return err
		}
	}
	return nil
}

// show decides whether a line that is chosen now will be shown, and returns nil if not.
func (p *pipeline) show(line []byte, now time.Time) *shown {
	if p.few != nil && !p.few.line(now) {
		p.unseen.Add(1)
		return nil
	}
	p.shown++
	return &shown{p.shown - 1, slices.Clone(line)}
}

// send sends batches together.
func (p *pipeline) send(ctx context.Context, batches []taken, answered func([]answer)) {
	outgoing := make([]kafkaio.Outgoing, len(batches))
	for i, t := range batches {
		outgoing[i] = kafkaio.Outgoing{Partition: t.partition, Batch: &t.batch.records}
	}
	p.kafka.Send(ctx, outgoing, func(deliveries []kafkaio.Delivery) {
		var some []answer
		for _, d := range deliveries {
			if d.Err == nil {
				d.Err = p.acknowledge(batches[d.Index], d.Ack)
			}
			some = append(some, answer{batches[d.Index], d.Err})
		}
		answered(some)
	})
}

// acknowledge counts, hands on and shows what Kafka has.
func (p *pipeline) acknowledge(t taken, ack kafkaio.Ack) error {
	b := t.batch
	p.metrics.publish.Observe(time.Since(b.first).Seconds())
	p.metrics.lines.Add(float64(b.records.Len()))
	p.metrics.bytes.Add(float64(b.bytes))
	p.lines.Add(int64(b.records.Len()))
	p.bytes.Add(int64(b.bytes))
	if p.acknowledged != nil {
		appended := b.last
		if ack.AppendTime >= 0 {
			appended = time.UnixMilli(ack.AppendTime)
		}
		p.acknowledged(appended)
	}
	if p.relay != nil {
		p.relay.acknowledged(t.partition, b.text)
	}
	if p.echo == nil {
		return nil
	}
	err := p.echo.acknowledged(b.shown)
	if errors.Is(err, syscall.EPIPE) {
		p.unread()
		return nil
	}
	return err
}

// report sums up in the log every few seconds in which lines were too many to be shown.
func (p *pipeline) report(done <-chan struct{}) {
	const every = 5 * time.Second
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	before, lines, unseen := time.Now(), int64(0), int64(0)
	for {
		select {
		case <-ticker.C:
		case <-done:
			return
		}
		now, total, hidden := time.Now(), p.lines.Load(), p.unseen.Load()
		if p.echo == nil || hidden > unseen {
			rate := float64(total-lines) / now.Sub(before).Seconds()
			p.log.Info("publishing", "lines", total, "lines_per_second", int64(rate+0.5), "bytes", p.bytes.Load())
		}
		before, lines, unseen = now, total, hidden
	}
}
