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
		c.Observe(-1, time.Now(), time.Now()) // CreateTime
		if got, want := c.Now(), time.Now().UnixMilli(); got != want {
			t.Errorf("after an answer without append time: %d, want our own %d", got, want)
		}

		answered := time.Now()
		c.Observe(5_000_000, answered.Add(-time.Second), answered) // a broker decades behind
		time.Sleep(1500 * time.Millisecond)
		if got := c.Now(); got != 5_001_500 {
			t.Errorf("1.5 s after 5000000: %d", got)
		}
		if got := c.At(answered.Add(-700 * time.Millisecond)); got != 4_999_300 {
			t.Errorf("0.7 s before 5000000: %d", got)
		}
		c.Observe(-1, time.Now(), time.Now())
		if got := c.Now(); got != 5_001_500 {
			t.Errorf("after another answer without append time: %d", got)
		}
	})
}

// The answer that had the shortest way counts, for 15 s. One that shows that the clock is ahead counts at once.
func TestBrokerClockTakesTheQuickest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c BrokerClock
		began := time.Now()
		// What the answers say of the broker's time when the first came, in ms, how long they were under way, and what holds then.
		for i, a := range []struct {
			at        time.Duration
			says, way int64
			now       int64
		}{
			{0, -40, 100, -40},
			{time.Second, -3, 10, -3},
			{2 * time.Second, -30, 100, -3},
			{3 * time.Second, -5, 10, -3},
			{4 * time.Second, -4, 2, -3}, // -30 and -5 will never count any more
			{15999 * time.Millisecond, -20, 100, -3},
			{16 * time.Second, -50, 100, -4}, // -3 is 15 s old
			{18 * time.Second, -21, 100, -4},
			{19 * time.Second, -5, 100, -5},         // -4 is 15 s old
			{20 * time.Second, -60_000, 5, -60_000}, // set back
			{21 * time.Second, -60_002, 5, -60_000},
			{22 * time.Second, -60_003, 3, -60_000}, // it may have been appended when it was sent
			{23 * time.Second, -60_004, 3, -60_004}, // and this one not when it was sent, if -60000 were right
			{24 * time.Second, 7, 5, 7},             // and on
		} {
			time.Sleep(a.at - time.Since(began))
			c.Observe(1_000_000+a.at.Milliseconds()+a.says, time.Now().Add(-time.Duration(a.way)*time.Millisecond), time.Now())
			if got := c.Now() - 1_000_000 - a.at.Milliseconds(); got != a.now {
				t.Errorf("answer %d, after %v: %d, want %d", i, a.at, got, a.now)
			}
		}
	})
}
