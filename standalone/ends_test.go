package standalone

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// services are three that do nothing, and end when and how a test tells them to.
type services struct {
	*pipeline
	end  map[string]chan error
	down chan error
}

func fake() *services {
	s := &services{end: make(map[string]chan error), down: make(chan error, 1)}
	s.pipeline = &pipeline{
		log: slog.New(slog.DiscardHandler), progress: newProgress(), patience: 15 * time.Second,
		down: s.down, ended: make(chan *running, 3),
	}
	start := func(name string) *running {
		end := make(chan error, 1)
		s.end[name] = end
		return s.start(name, func(ctx context.Context) error {
			select {
			case err := <-end:
				return err
			case <-ctx.Done():
				return nil
			}
		})
	}
	s.producer, s.counter, s.printer = start("producer"), start("counter"), start("printer")
	return s
}

func TestEnds(t *testing.T) {
	broken := errors.New("broken")
	at := func(seconds int) time.Time { return time.Unix(int64(1_000_000+seconds), 0) }
	for _, c := range []struct {
		name  string
		steps func(s *services, stop func())
		took  time.Duration // until run ends
		want  string
	}{
		{"nothing was published", func(s *services, stop func()) { stop() }, 0, ""},
		{"the producer is done", func(s *services, stop func()) { s.end["producer"] <- nil }, 0, ""},
		{"the last window was shown before", func(s *services, stop func()) {
			s.progress.acknowledged(at(3))
			s.progress.printed(at(5))
			stop()
		}, 0, ""},
		{"the last window is still to come", func(s *services, stop func()) {
			s.progress.acknowledged(at(6))
			s.progress.acknowledged(at(5)) // by another partition
			s.progress.printed(at(5))
			stop()
			time.Sleep(time.Second)
			s.progress.printed(at(6)) // ends when the line was appended: the line is in the next one
			time.Sleep(time.Second)
			s.progress.printed(at(7))
		}, 2 * time.Second, ""},
		{"the last window never comes", func(s *services, stop func()) {
			s.progress.acknowledged(at(6))
			stop()
			time.Sleep(s.patience)
		}, 15 * time.Second, "none was shown for 15s"},
		{"many windows are still to come", func(s *services, stop func()) {
			s.progress.acknowledged(at(60))
			stop()
			for i := range 12 {
				time.Sleep(10 * time.Second)
				s.progress.printed(at(5 * (i + 2)))
			}
		}, 2 * time.Minute, ""},
		{"some of them never come", func(s *services, stop func()) {
			s.progress.acknowledged(at(60))
			stop()
			time.Sleep(10 * time.Second)
			s.progress.printed(at(5))
			time.Sleep(s.patience)
		}, 25 * time.Second, "none was shown for 15s"},
		{"the producer fails", func(s *services, stop func()) { s.end["producer"] <- broken }, 0, "broken"},
		{"the producer fails when stopping", func(s *services, stop func()) {
			s.producer.stop = func() { s.end["producer"] <- broken }
			stop()
		}, 0, "broken"},
		{"the counter fails", func(s *services, stop func()) { s.end["counter"] <- broken }, 0, "broken"},
		{"the counter fails in the end", func(s *services, stop func()) {
			s.progress.acknowledged(at(6))
			stop()
			time.Sleep(time.Second)
			s.end["counter"] <- broken
		}, time.Second, "broken"},
		{"nobody reads the output", func(s *services, stop func()) {
			s.progress.acknowledged(at(6))
			s.end["printer"] <- nil
		}, 0, ""},
		{"the broker fails", func(s *services, stop func()) { s.down <- broken }, 0, "the broker in memory no longer serves: broken"},
		{"the broker fails in the end", func(s *services, stop func()) {
			s.progress.acknowledged(at(6))
			stop()
			time.Sleep(time.Second)
			s.down <- broken
		}, time.Second, "broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := fake()
				ctx, cancel := context.WithCancel(t.Context())
				begin := time.Now()
				ended := make(chan error, 1)
				var took time.Duration
				go func() {
					err := s.run(ctx)
					took = time.Since(begin)
					ended <- err
				}()
				synctest.Wait()
				select {
				case err := <-ended:
					t.Fatalf("ended at once: %v", err)
				default:
				}
				c.steps(s, cancel)
				err := <-ended
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				cancel()
				s.stop()
			})
		})
	}
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake()
		if err := s.stop(); err != nil {
			t.Error(err)
		}

		s = fake()
		s.counter.stop = func() { s.end["counter"] <- errors.New("broken") }
		if err := s.stop(); err == nil || err.Error() != "broken" {
			t.Errorf("error %v", err)
		}

		s = fake()
		stop := s.printer.stop
		s.printer.stop = func() {} // it hangs
		if err := s.stop(); err == nil || !strings.Contains(err.Error(), "printer has not stopped") {
			t.Errorf("error %v", err)
		}
		stop()
	})
}

func TestServicesLogIsQuiet(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelInfo:  "level=WARN msg=problem service=counter g.a=1\n",
		slog.LevelDebug: "level=DEBUG msg=joined service=counter\nlevel=WARN msg=problem service=counter g.a=1\n",
	} {
		var out strings.Builder
		h := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		log := slog.New(quiet{h}).With("service", "counter")
		log.Info("joined")
		log.WithGroup("g").Warn("problem", "a", 1)
		if out.String() != want {
			t.Errorf("at %v:\n%s", level, out.String())
		}
	}
}
