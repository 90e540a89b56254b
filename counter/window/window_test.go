package window

import "testing"

func TestWindow(t *testing.T) {
	const second = 1000
	for _, c := range []struct {
		interval   Interval
		at         int64
		number     int64
		start, end int64
	}{
		{5 * second, 0, 0, 0, 5000},
		{5 * second, 4999, 0, 0, 5000},
		{5 * second, 5000, 1, 5000, 10000},
		{5 * second, 1769030725000, 353806145, 1769030725000, 1769030730000}, // 2026-01-21T21:25:25Z
		{5 * second, 1769030729999, 353806145, 1769030725000, 1769030730000},
		{5 * second, 1769030730000, 353806146, 1769030730000, 1769030735000},
		{3600 * second, 1769030725000, 491397, 1769029200000, 1769032800000}, // 21:00 to 22:00
		{100, 99, 0, 0, 100},
		{100, 100, 1, 100, 200},
		{1, 7, 7, 7, 8},
		{5 * second, -1, -1, -5000, 0},
		{5 * second, -5000, -1, -5000, 0},
		{5 * second, -5001, -2, -10000, -5000},
	} {
		if got := c.interval.Of(c.at); got != c.number {
			t.Errorf("interval %d: %d is in window %d, want %d", c.interval, c.at, got, c.number)
		}
		if got := c.interval.Start(c.number); got != c.start {
			t.Errorf("interval %d: window %d starts at %d, want %d", c.interval, c.number, got, c.start)
		}
		if got := c.interval.End(c.number); got != c.end {
			t.Errorf("interval %d: window %d ends at %d, want %d", c.interval, c.number, got, c.end)
		}
		if got := c.interval.Floor(c.at); got != c.start {
			t.Errorf("interval %d: the window of %d starts at %d, want %d", c.interval, c.at, got, c.start)
		}
	}
}

// Windows follow each other without a gap, and every time is in the one that Of names.
func FuzzWindow(f *testing.F) {
	f.Add(int64(5000), int64(1769030725000))
	f.Add(int64(100), int64(-1))
	f.Fuzz(func(t *testing.T, interval, at int64) {
		if interval < 1 || interval > 1<<40 || at < -1<<50 || at > 1<<50 {
			t.Skip()
		}
		i := Interval(interval)
		k := i.Of(at)
		if at < i.Start(k) || at >= i.End(k) || i.End(k) != i.Start(k+1) || i.Of(i.Start(k)) != k || i.Of(i.End(k)-1) != k {
			t.Errorf("interval %d: %d is in window %d, [%d, %d)", interval, at, k, i.Start(k), i.End(k))
		}
	})
}
