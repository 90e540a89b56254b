package producer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The first line is due at once; what publishing takes, and late timers, do not add up.
func TestIntervalDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1 / (2 * time.Second).Seconds())
		start := time.Now()
		for i := range 100 {
			n, err := p.wait(t.Context())
			if err != nil || n != 1 {
				t.Fatalf("line %d: %d lines due, %v", i, n, err)
			}
			if at, want := time.Since(start), time.Duration(i)*2*time.Second; at != want {
				t.Fatalf("line %d at %v, want %v", i, at, want)
			}
			time.Sleep(time.Duration(i) * 10 * time.Millisecond)
		}
	})
}

func TestRateIsKept(t *testing.T) {
	for _, rate := range []float64{0.1, 1, 3, 7.5, 10, 99, 1000, 12_345, 1e5, 1e6} {
		synctest.Test(t, func(t *testing.T) {
			const seconds = 100
			ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
			defer cancel()
			p := newPace(rate)
			var lines, calls, before int64
			for {
				n, err := p.wait(ctx)
				if err != nil {
					break
				}
				if n < 1 || n > most {
					t.Fatalf("%v lines/s: %d lines due", rate, n)
				}
				lines += n
				calls++
				// Never early, and late by no more than a tick.
				if due := p.due(lines - 1); due > time.Since(p.start)+time.Nanosecond || due < time.Since(p.start)-2*tick && calls > 1 {
					t.Fatalf("%v lines/s: line %d is due at %v, was at %v", rate, lines-1, due, time.Since(p.start))
				}
				before = lines
			}
			if want := rate * seconds; float64(before) < want*0.999-1 || float64(before) > want*1.001+1 {
				t.Errorf("%v lines/s: %d lines in %d s", rate, before, seconds)
			}
			if limit := int64(seconds * (1.5/tick.Seconds() + 1 + rate/most)); calls > limit {
				t.Errorf("%v lines/s: waited %d times in %d s", rate, calls, seconds)
			}
		})
	}
}

// After a delay, up to a second's lines come at once; the others are left out, and the rhythm stays.
func TestAfterADelay(t *testing.T) {
	for _, c := range []struct {
		name  string
		rate  float64
		delay time.Duration
		burst int64         // lines at once after the delay
		next  time.Duration // when the next one is due, after the start
	}{
		{"every 2 s, 0.5 s late", 0.5, 2500 * time.Millisecond, 1, 4 * time.Second},
		{"every 2 s, a minute late", 0.5, 61 * time.Second, 0, 62 * time.Second},
		{"every 2 s, a little late", 0.5, 60*time.Second + 300*time.Millisecond, 1, 62 * time.Second},
		{"100/s, 0.5 s late", 100, 510 * time.Millisecond, 51, 520 * time.Millisecond},
		{"100/s, 10 s late", 100, 10 * time.Second, 100, 10010 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPace(c.rate)
				start := time.Now()
				if n, err := p.wait(t.Context()); n != 1 || err != nil {
					t.Fatal(n, err)
				}
				time.Sleep(c.delay)
				var burst int64
				for {
					n, err := p.wait(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if time.Since(start) > c.delay {
						break
					}
					burst += n
				}
				if at := time.Since(start).Round(time.Millisecond); burst != c.burst || at != c.next {
					t.Errorf("%d lines at once, the next at %v; want %d and %v", burst, at, c.burst, c.next)
				}
			})
		})
	}
}

func TestPaceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := newPace(1.0 / 3600)
		p.wait(ctx)
		if n, err := p.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d lines, %v", n, err)
		}
		if n, err := newPace(0).wait(ctx); err == nil {
			t.Errorf("as fast as it can: %d lines after the end", n)
		}
	})
}
