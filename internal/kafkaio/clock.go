package kafkaio

import (
	"sync/atomic"
	"time"
)

// BrokerClock tells the broker's time: the append time in one of our produce answers plus the monotonic time since, our
// own clock before the first. It is behind the broker by at most the way back of the quickest answer, and never ahead; but for what the
// clocks drift apart, and a step back of the broker's, until the next answer shows it. Safe for concurrent use; the zero value is ready.
type BrokerClock struct {
	quickest atomic.Pointer[appendTime]
}

type appendTime struct {
	ms       int64
	received time.Time // with its monotonic reading
}

func (a *appendTime) at(t time.Time) int64 { return a.ms + t.Sub(a.received).Milliseconds() }

// Observe notes a produce answer's append time, in ms since the epoch, with when it was asked for and received. Negative ones (the topic
// has CreateTime) are ignored. An answer that was slow does not set the clock back; one that says that the clock was ahead when it was
// asked for does.
func (c *BrokerClock) Observe(ms int64, sent, received time.Time) {
	if ms < 0 {
		return
	}
	for {
		known := c.quickest.Load()
		if known != nil && ms <= known.at(received) && ms >= known.at(sent) {
			return
		}
		if c.quickest.CompareAndSwap(known, &appendTime{ms, received}) {
			return
		}
	}
}

// Known tells whether an answer was observed.
func (c *BrokerClock) Known() bool { return c.quickest.Load() != nil }

// At returns the broker's time at the local instant t, in ms since the epoch.
func (c *BrokerClock) At(t time.Time) int64 {
	if a := c.quickest.Load(); a != nil {
		return a.at(t)
	}
	return t.UnixMilli()
}

// Now returns the broker's time, in ms since the epoch.
func (c *BrokerClock) Now() int64 { return c.At(time.Now()) }
