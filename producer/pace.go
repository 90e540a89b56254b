package producer

import (
	"context"
	"time"
)

const (
	// tick is the shortest sleep: at more lines a second than ticks, several lines are due after each. More ticks would not bring them to Kafka earlier.
	tick = linger
	// mostLate is how far the schedule may fall behind, because Kafka was away or the machine busy, and still catch up.
	mostLate = time.Second
	// most is how many lines are due at a time at most.
	most = 1024
)

// pace tells when lines are due: the first at once, then one every 1/rate seconds after the start by the monotonic clock, so
// that neither a slow line nor a late timer adds up. After more than a second's delay, the lines that were due before
// are left out, and the schedule goes on in its old rhythm.
type pace struct {
	rate  float64 // lines per second; 0: always due
	start time.Time
	next  int64 // the line that is due next, 0 is the first
}

// newPace starts the schedule now.
func newPace(rate float64) *pace { return &pace{rate: rate, start: time.Now()} }

// wait returns when lines are due, and how many: 1 to most. The error is ctx's.
func (p *pace) wait(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if p.rate == 0 {
		return most, nil
	}
	p.leaveOut()
	if early := p.due(p.next) - time.Since(p.start); early > 0 {
		timer := time.NewTimer(max(early, tick))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	until := p.lineAt(time.Since(p.start))
	n := max(min(until-p.next+1, most), 1)
	p.next += n
	return n, nil
}

// due is when a line is due, counted from the start.
func (p *pace) due(line int64) time.Duration {
	return time.Duration(float64(line) / p.rate * float64(time.Second))
}

// lineAt is the line that was due last, d after the start.
func (p *pace) lineAt(d time.Duration) int64 { return int64(d.Seconds() * p.rate) }

// leaveOut forgets the lines that were due more than mostLate ago.
func (p *pace) leaveOut() {
	if late := time.Since(p.start) - p.due(p.next); late > mostLate {
		p.next = max(p.next, p.lineAt(time.Since(p.start)-mostLate)+1)
	}
}
