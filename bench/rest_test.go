package bench

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRest(t *testing.T) {
	type result struct {
		after time.Duration
		fails bool
	}
	const period = 2 * removeAfter
	gone := errors.New("gone")
	for _, c := range []struct {
		name string
		cpu  func(running time.Duration) (time.Duration, error) // nil: not seen
		want result
	}{
		{"unseen", nil, result{0, false}},
		{"idle", func(running time.Duration) (time.Duration, error) { return running / 25, nil }, result{period, false}},
		{"removes files after a second", func(running time.Duration) (time.Duration, error) {
			return min(max(0, running-removeAfter), 300*time.Millisecond), nil
		}, result{2 * period, false}},
		{"takes a third for itself", func(running time.Duration) (time.Duration, error) { return running / 3, nil }, result{3 * period, false}},
		{"busy", func(running time.Duration) (time.Duration, error) { return running / 2, nil }, result{time.Minute, true}},
		{"gone", func(time.Duration) (time.Duration, error) { return 0, gone }, result{0, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				b := &bench{Config: Config{Broker: new(Broker)}}
				if c.cpu != nil {
					b.Broker.CPU = func(context.Context) (time.Duration, error) { return c.cpu(time.Since(began)) }
				}
				err := b.rest(t.Context())
				if got := (result{time.Since(began), err != nil}); got != c.want {
					t.Errorf("%+v, %v; want %+v", got, err, c.want)
				}
			})
		})
	}
}
