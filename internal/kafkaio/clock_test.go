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
		c.Observe(4_000_000, time.Now()) // it steps back: the latest answer counts
		if got := c.Now(); got != 4_000_000 {
			t.Errorf("after a step back: %d", got)
		}
	})
}
