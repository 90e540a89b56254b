package counter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"wordcount/internal/kafkaio"
)

// TestSupervise: what a task does after each end of an attempt. Attempts take a second.
func TestSupervise(t *testing.T) {
	fenced := fmt.Errorf("commit: %w", kafkaio.ErrFenced)
	stale := fmt.Errorf("commit: %w", kafkaio.ErrNotMember)
	refused := refusal{errors.New("where it was is lost")}
	forbidden := fmt.Errorf("produce: %w", kafka.TopicAuthorizationFailed)
	network := errors.New("connection refused")
	for _, c := range []struct {
		name      string
		attempts  []error
		heartbeat error
		want      []time.Duration // when attempts begin
		asked     int             // heartbeats
		failed    error
		waits     bool // for the generation's end
	}{
		{"stopped", []error{nil}, nil, []time.Duration{0}, 0, nil, false},
		{"network", []error{network, network, network, nil}, nil,
			[]time.Duration{0, 1050 * time.Millisecond, 2150 * time.Millisecond, 3350 * time.Millisecond}, 0, nil, false},
		{"fenced, still a member", []error{fenced, nil}, nil, []time.Duration{0, 1050 * time.Millisecond}, 1, nil, false},
		{"fenced, no member any more", []error{fenced}, kafkaio.ErrNotMember, []time.Duration{0}, 1, nil, true},
		{"fenced, cannot ask", []error{fenced, nil}, network, []time.Duration{0, 1050 * time.Millisecond}, 1, nil, false},
		{"the generation is over", []error{stale}, nil, []time.Duration{0}, 0, nil, true},
		{"refused", []error{network, refused}, nil, []time.Duration{0, 1050 * time.Millisecond}, 1, refused, false},
		{"refused by the broker", []error{forbidden}, nil, []time.Duration{0}, 1, forbidden, false},
		{"refused, and by the group", []error{forbidden}, kafka.GroupAuthorizationFailed, []time.Duration{0}, 1, forbidden, false},
		// Who was put out of the group sees what its successor did; that is no reason to fail.
		{"refused, no member any more", []error{refused}, kafkaio.ErrNotMember, []time.Duration{0}, 1, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				began := time.Now()
				var starts []time.Duration
				asked := 0
				var failed error
				task := task{
					job: &job{metrics: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler), fail: func(err error) { failed = err }, place: newPlace()},
				}
				here := assignment{heartbeat: func(context.Context) error {
					asked++
					return c.heartbeat
				}}
				task.place.move(here)
				over := make(chan struct{})
				go func() {
					defer close(over)
					task.supervise(ctx, func(context.Context) error {
						starts = append(starts, time.Since(began))
						if len(starts) > len(c.attempts) {
							cancel()
							return nil
						}
						time.Sleep(time.Second)
						return c.attempts[len(starts)-1]
					})
				}()
				time.Sleep(time.Minute)
				select {
				case <-over:
					if c.waits {
						t.Error("the task ended before its generation")
					}
				default:
					if !c.waits {
						t.Error("the task does not end")
					}
				}
				cancel()
				<-over
				if !slices.Equal(starts, c.want) || asked != c.asked || !errors.Is(failed, c.failed) || failed != nil && c.failed == nil {
					t.Errorf("attempts at %v, %d heartbeats, failed with %v; want %v, %d, %v", starts, asked, failed, c.want, c.asked, c.failed)
				}
			})
		})
	}
}

// The pause between attempts grows to 5 s, and begins anew after an attempt that lasted.
func TestSuperviseBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var pauses []time.Duration
		ended := time.Now()
		task := task{job: &job{metrics: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler)}}
		task.supervise(ctx, func(context.Context) error {
			pauses = append(pauses, time.Since(ended))
			switch len(pauses) {
			case 12:
				time.Sleep(2 * time.Minute)
			case 14:
				cancel()
			}
			ended = time.Now()
			return errors.New("connection refused")
		})
		const ms = time.Millisecond
		want := []time.Duration{0, 50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms, 5000 * ms, 5000 * ms, 50 * ms, 100 * ms}
		if !slices.Equal(pauses, want) {
			t.Errorf("paused %v, want %v", pauses, want)
		}
	})
}

// A transaction that is under way when the task is stopped has lastCommit to be completed.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		patience, done := patient(ctx, lastCommit)
		defer done()
		time.Sleep(time.Hour)
		if patience.Err() != nil {
			t.Error("ended before its parent")
		}
		stop()
		time.Sleep(lastCommit - time.Millisecond)
		if patience.Err() != nil {
			t.Errorf("ended less than %v after its parent", lastCommit)
		}
		time.Sleep(2 * time.Millisecond)
		if patience.Err() == nil {
			t.Errorf("did not end %v after its parent", lastCommit)
		}
		ended, done := patient(ctx, lastCommit)
		defer done()
		if time.Sleep(lastCommit / 2); ended.Err() != nil {
			t.Error("a parent that has ended leaves no time")
		}
	})
}

func TestPacker(t *testing.T) {
	p := packer{max: 1000}
	total := 0
	for n := range 200 {
		value := bytes.Repeat([]byte{'v'}, n%300)
		p.append(int64(n), []byte("key"), value)
		total++
	}
	records := 0
	for i, b := range p.all() {
		if b.Size() > 1000 || b.Len() == 0 {
			t.Errorf("batch %d has %d records and %d bytes", i, b.Len(), b.Size())
		}
		records += b.Len()
	}
	if records != total || len(p.batches) < 25 || p.bytes < 25_000 {
		t.Errorf("%d records of %d in %d batches, %d bytes", records, total, len(p.batches), p.bytes)
	}
	// What fits into no batch is sent alone: the broker says what is too large.
	p = packer{max: 100}
	p.append(0, nil, make([]byte, 500))
	p.append(0, nil, []byte("small"))
	if all := p.all(); len(all) != 2 || all[0].Len() != 1 {
		t.Errorf("%d batches", len(all))
	}
}

// Memory is used again: nothing of earlier batches is left in it.
func TestPackerAgain(t *testing.T) {
	p := packer{max: 5000}
	for round := range 5 {
		if len(p.all()) > 0 || p.bytes != 0 {
			t.Fatalf("round %d begins with %d batches, %d bytes", round, len(p.batches), p.bytes)
		}
		var want, got []string
		for n := range 400 {
			value := fmt.Sprintf("value %d of round %d", n, round)
			p.append(int64(n), nil, []byte(value))
			want = append(want, value)
		}
		for _, b := range p.all() {
			f := newFetched(topicPartition{}, 0, 0, int64(b.Len()), int64(b.Len()), time.Time{}, encodeBatch(b, batchHeader{appendTime: -1}), nil, nil)
			var rec kafkaio.Record
			for f.Next(&rec) {
				got = append(got, string(rec.Value))
			}
			if f.Err() != nil {
				t.Fatal(f.Err())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("round %d: %d values, want %d", round, len(got), len(want))
		}
		p.sent()
	}
}
