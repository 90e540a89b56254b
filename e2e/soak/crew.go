package soak

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"wordcount/e2e"
)

// Crew are the processes of a run, each in a seat.
type Crew struct {
	t        testing.TB
	cluster  *Cluster
	programs *e2e.Programs
	topics   Topics
	settings Settings
	interval time.Duration
	expected *Expected

	sitting   [seats]*e2e.Process // nil: nobody
	feeds     [seats]*life        // of producers
	published []*life             // all that ever were
	screens   [seats]*Printed     // of printers
	shown     []*Printed
}

// life is a producer's.
type life struct {
	*Feed
	acknowledged *Acknowledged
}

// Board starts everybody but the guest.
func (c *Crew) Board() {
	c.t.Helper()
	for seat := range guest {
		c.Start(seat)
	}
}

// Start lets somebody sit down.
func (c *Crew) Start(seat int) {
	c.t.Helper()
	replicas := fmt.Sprint(min(3, c.settings.Brokers))
	args := []string{"--brokers", c.cluster.Seat(seat), "--lines-topic", c.topics.Lines, "--counts-topic", c.topics.Counts,
		"--batches-topic", c.topics.Batches, "--metrics-addr", ""}
	switch Role(seat) {
	case "counter":
		c.sitting[seat] = c.programs.Start(c.t, nil, "counter", append(args, "--group", "soak", "--shuffle-topic", c.topics.Shuffle,
			"--batch-interval", c.interval.String(), "--replication-factor", replicas)...)
	case "producer":
		ports, err := e2e.FreePorts(1)
		if err != nil {
			c.t.Fatal(err)
		}
		address := "127.0.0.1:" + ports[0]
		l := &life{Feed: NewFeed(len(c.published))}
		l.acknowledged = Follow(l.Number, address)
		c.t.Cleanup(l.acknowledged.Close)
		c.published, c.feeds[seat] = append(c.published, l), l
		c.sitting[seat] = c.programs.StartTo(c.t, l.Feed, io.Discard, "producer", append(args, "--source", "stdin", "--listen", address,
			"--rate", fmt.Sprint(c.settings.Rate/producers), "--replication-factor", replicas)...)
	case "printer":
		p := c.expected.Printer(fmt.Sprintf("printer %d in seat %d", len(c.shown), seat))
		c.shown, c.screens[seat] = append(c.shown, p), p
		c.sitting[seat] = c.programs.StartTo(c.t, nil, p, "consumer-printer", append(args, "--format", "json", "--num", "0", "--http", "")...)
	}
}

// Screens are the outputs of the printers that sit there now.
func (c *Crew) Screens() (now []*Printed) {
	for _, p := range c.screens {
		if p != nil {
			now = append(now, p)
		}
	}
	return now
}

// Begin begins a fault.
func (c *Crew) Begin(f Fault) {
	c.t.Helper()
	switch f.Kind {
	case Kill:
		c.sitting[f.Target].Kill()
		if l := c.feeds[f.Target]; l != nil {
			l.acknowledged.Gone()
		}
		c.sitting[f.Target] = nil
	case Freeze:
		c.sitting[f.Target].Signal(syscall.SIGSTOP)
	case Stop:
		c.broker(f.Target, "stop", 30*time.Second)
	case Crash:
		c.broker(f.Target, "kill", 0)
	case Cut:
		c.cluster.Network(f.Target, Network{Cut: true})
	case Silence:
		c.cluster.Network(f.Target, Network{Silent: true})
	case Latency:
		c.cluster.Network(f.Target, Network{Latency: f.Delay})
	case Join:
		c.Start(f.Target)
	case Leave:
		c.sitting[f.Target].Stop()
		c.sitting[f.Target] = nil
	}
}

// End ends it.
func (c *Crew) End(f Fault) {
	c.t.Helper()
	switch f.Kind {
	case Kill:
		c.Start(f.Target)
	case Freeze:
		c.sitting[f.Target].Signal(syscall.SIGCONT)
	case Stop, Crash:
		if err := c.cluster.brokers[f.Target].Start(c.t.Context()); err != nil {
			c.t.Fatalf("start broker %d again: %v", f.Target+1, err)
		}
	case Cut, Silence, Latency:
		c.cluster.Network(f.Target, Network{})
	}
}

func (c *Crew) broker(n int, what string, grace time.Duration) {
	c.t.Helper()
	if err := c.cluster.brokers[n].Stop(c.t.Context(), &grace); err != nil {
		c.t.Fatalf("%s broker %d: %v", what, n+1, err)
	}
}

// Alive demands that nobody has ended by itself.
func (c *Crew) Alive() {
	c.t.Helper()
	for seat, p := range c.sitting {
		if p != nil && !p.Running() {
			c.t.Fatalf("the %s in seat %d has ended by itself with status %d", Role(seat), seat, p.Exit(time.Second))
		}
	}
}

// StopProducers lets every producer publish what it has read, and end by itself.
func (c *Crew) StopProducers() {
	c.t.Helper()
	for seat, l := range c.feeds {
		if l == nil {
			continue
		}
		l.Stop()
		if status := c.sitting[seat].Exit(30 * time.Second); status != 0 {
			c.t.Errorf("the producer in seat %d ended with status %d", seat, status)
		}
		if said := c.sitting[seat].Stderr.String(); !strings.Contains(said, fmt.Sprintf("msg=published lines=%d ", l.Sent())) {
			c.t.Errorf("the producer in seat %d did not publish %d lines", seat, l.Sent())
		}
		c.sitting[seat] = nil
	}
}

// StopOthers stops whoever still sits as it should be.
func (c *Crew) StopOthers() {
	c.t.Helper()
	for seat, p := range c.sitting {
		if p != nil {
			p.Stop()
			c.sitting[seat] = nil
		}
	}
}
