package kafkaio

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBrokerClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c BrokerClock
		if got, want := c.Now(), time.Now().UnixMilli(); got != want {
			t.Errorf("before the first answer: %d, want our own %d", got, want)
		}
		c.Observe(-1, time.Now()) // CreateTime
		if got, want := c.Now(), time.Now().UnixMilli(); got != want {
			t.Errorf("after an answer without append time: %d, want our own %d", got, want)
		}

		answered := time.Now()
		c.Observe(5_000_000, answered) // a broker decades behind
		time.Sleep(1500 * time.Millisecond)
		if got := c.Now(); got != 5_001_500 {
			t.Errorf("1.5 s after 5000000: %d", got)
		}
		if got := c.At(answered.Add(-700 * time.Millisecond)); got != 4_999_300 {
			t.Errorf("0.7 s before 5000000: %d", got)
		}
		c.Observe(-1, time.Now())
		if got := c.Now(); got != 5_001_500 {
			t.Errorf("after another answer without append time: %d", got)
		}
	})
}

// The answer that had the shortest way counts, for 15 s; so after that a clock that was set back is known.
func TestBrokerClockTakesTheQuickest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c BrokerClock
		began := time.Now()
		// What the answers say of the broker's time when the first came, in ms, and what holds then.
		for i, a := range []struct {
			at        time.Duration
			says, now int64
		}{
			{0, -40, -40},
			{time.Second, -3, -3},
			{2 * time.Second, -30, -3},
			{3 * time.Second, -5, -3},
			{4 * time.Second, -4, -3}, // -30 and -5 will never count any more
			{15999 * time.Millisecond, -20, -3},
			{16 * time.Second, -50, -4}, // -3 is 15 s old
			{18 * time.Second, -21, -4},
			{20 * time.Second, -60_000, -20}, // set back
			{30 * time.Second, -60_001, -20},
			{31 * time.Second, -60_002, -21},
			{34 * time.Second, -60_003, -60_000},
			{34001 * time.Millisecond, 7, 7}, // and on
		} {
			time.Sleep(a.at - time.Since(began))
			c.Observe(1_000_000+a.at.Milliseconds()+a.says, time.Now())
			if got := c.Now() - 1_000_000 - a.at.Milliseconds(); got != a.now {
				t.Errorf("answer %d, after %v: %d, want %d", i, a.at, got, a.now)
			}
		}
	})
}
