package kafkaio

import (
	"sync"
	"sync/atomic"
	"time"
)

// BrokerClock tells the broker's time: the append time in a produce answer plus the monotonic time since, our own clock
// before the first. Of the answers of the last 15 s it goes by the one that had the shortest way: it is behind the broker by that at most. It
// is ahead only from when the broker's clock is set back until the next answer, or where several brokers differ. Safe for concurrent use; the
// zero value is ready.
type BrokerClock struct {
	mu     sync.Mutex
	recent []appendTime // those that may still be the best one, it first, each behind the one before
	best   atomic.Pointer[appendTime]
}

type appendTime struct {
	ms       int64
	received time.Time // with its monotonic reading
}

// at returns the broker's time at the local instant t, since the epoch.
func (a appendTime) at(t time.Time) time.Duration { return milliseconds(a.ms) + t.Sub(a.received) }

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

const clockMemory = 15 * time.Second

// Observe notes a produce answer's append time, in ms since the epoch, and when what was appended was sent, for the first time, and the answer came.
// Negative times (the topic has CreateTime) are ignored.
func (c *BrokerClock) Observe(ms int64, sent, received time.Time) {
	if ms < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.recent) > 0 && c.recent[0].at(sent) >= milliseconds(ms+1) { // it was not appended before it was sent: the clock is ahead
		c.recent = c.recent[:0]
	}
	for len(c.recent) > 0 && received.Sub(c.recent[0].received) >= clockMemory {
		c.recent = c.recent[1:]
	}
	for last := len(c.recent) - 1; last >= 0 && c.recent[last].at(received) <= milliseconds(ms); last-- {
		c.recent = c.recent[:last]
	}
	c.recent = append(c.recent, appendTime{ms, received})
	best := c.recent[0]
	c.best.Store(&best)
}

// Known tells whether an answer was observed.
func (c *BrokerClock) Known() bool { return c.best.Load() != nil }

// At returns the broker's time at the local instant t, in ms since the epoch.
func (c *BrokerClock) At(t time.Time) int64 {
	if a := c.best.Load(); a != nil {
		return a.at(t).Milliseconds()
	}
	return t.UnixMilli()
}

// Now returns the broker's time, in ms since the epoch.
func (c *BrokerClock) Now() int64 { return c.At(time.Now()) }
