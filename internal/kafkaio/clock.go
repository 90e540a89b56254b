package kafkaio

import (
	"sync/atomic"
	"time"
)

// BrokerClock tells the broker's time: the append time in our latest produce answer plus the monotonic time since, our
// own clock before the first. It is behind the broker by at most the answer's way back, and never ahead. Safe for
// concurrent use; the zero value is ready.
type BrokerClock struct {
	latest atomic.Pointer[appendTime]
}

type appendTime struct {
	ms       int64
	received time.Time // with its monotonic reading
}

// Observe notes a produce answer's append time, in ms since the epoch. Negative ones (the topic has CreateTime) are ignored.
func (c *BrokerClock) Observe(ms int64, received time.Time) {
	if ms >= 0 {
		c.latest.Store(&appendTime{ms, received})
	}
}

// Known tells whether an answer was observed.
func (c *BrokerClock) Known() bool { return c.latest.Load() != nil }

// At returns the broker's time at the local instant t, in ms since the epoch.
func (c *BrokerClock) At(t time.Time) int64 {
	if a := c.latest.Load(); a != nil {
		return a.ms + t.Sub(a.received).Milliseconds()
	}
	return t.UnixMilli()
}

// Now returns the broker's time, in ms since the epoch.
func (c *BrokerClock) Now() int64 { return c.At(time.Now()) }
