package producer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// quietLog is a log whose lines a test looks at, without their time.
func quietLog() (*slog.Logger, *output) {
	out := &output{}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}})), out
}

// stdin returns the lines of r, of at most 8 bytes.
func stdin(t *testing.T, r io.Reader) (*streamSource, *output, *prometheus.Registry) {
	t.Helper()
	log, out := quietLog()
	registry := prometheus.NewRegistry()
	s := newStdin(r, log, newMetrics(registry))
	if err := s.Limit(8); err != nil {
		t.Fatal(err)
	}
	return s, out, registry
}

// rest returns the lines until an error, which is io.EOF in the end.
func rest(ctx context.Context, s Source) (lines []string, err error) {
	for {
		next, err := s.Next(ctx, 1000)
		if err != nil {
			return lines, err
		}
		for _, line := range next {
			lines = append(lines, string(line))
		}
	}
}

// one returns the next line.
func one(ctx context.Context, s Source) ([]byte, error) {
	lines, err := s.Next(ctx, 1)
	if err != nil {
		return nil, err
	}
	if len(lines) != 1 {
		return nil, fmt.Errorf("%d lines, not one: %q", len(lines), lines)
	}
	return lines[0], nil
}

func TestStdinEnds(t *testing.T) {
	s, log, _ := stdin(t, strings.NewReader("a\n\n b \r\nlast"))
	lines, err := rest(t.Context(), s)
	if got := fmt.Sprintf("%q", lines); got != `["a" "" " b " "last"]` || err != io.EOF {
		t.Errorf("%s, %v", got, err)
	}
	if s.Close(); log.String() != "" {
		t.Errorf("logged: %s", log)
	}
}

func TestStdinFails(t *testing.T) {
	broken := errors.New("input/output error")
	s, _, _ := stdin(t, io.MultiReader(strings.NewReader("a\nb"), failing{broken}))
	lines, err := rest(t.Context(), s)
	if got := fmt.Sprintf("%q", lines); got != `["a" "b"]` || !errors.Is(err, broken) || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("%s, %v", got, err)
	}
	s.Close()
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A line is there as soon as it was typed; a context that ends ends the wait for the next one, though the read goes on.
func TestStreamDoesNotWaitForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		s, log, _ := stdin(t, r)
		go func() {
			time.Sleep(time.Minute)
			w.Write([]byte("typed\nhalf"))
		}()
		begin := time.Now()
		if line, err := one(t.Context(), s); string(line) != "typed" || err != nil || time.Since(begin) != time.Minute {
			t.Errorf("%q, %v after %v", line, err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if line, err := one(ctx, s); err != context.DeadlineExceeded || time.Since(begin) != 2*time.Minute {
			t.Errorf("%q, %v after %v", line, err, time.Since(begin))
		}
		s.Close()
		if want := "level=WARN msg=\"stopped before everything that was read is published\" source=\"standard input\" bytes=4\n"; log.String() != want {
			t.Errorf("logged: %s", log)
		}
		r.Close() // the read that could not be interrupted
	})
}

// Lines that were read together come together, as many as are asked for, and no other is waited for. What comes in with the end of a line that
// was begun before leaves that line as it is.
func TestStreamGivesWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		s, _, _ := stdin(t, r)
		go func() {
			defer w.Close()
			for _, chunk := range []string{"abc", "def\nsecond\nthird\n123", "456\n123456789\nx\ny\n", "end"} {
				w.Write([]byte(chunk))
				time.Sleep(time.Minute)
			}
		}()
		var got []string
		begin := time.Now()
		for _, n := range []int{10, 2, 10, 10, 10} {
			lines, err := s.Next(t.Context(), n)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%.0f %s", time.Since(begin).Minutes(), lines))
		}
		if want := []string{"1 [abcdef second third]", "2 [123456 x]", "2 [y]", "4 [end]"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		s.Close()
	})
}

// No line comes after the context's end, though some were read.
func TestStreamStops(t *testing.T) {
	s, log, _ := stdin(t, strings.NewReader("a\nb\nc\n"))
	ctx, cancel := context.WithCancel(t.Context())
	if line, err := one(ctx, s); string(line) != "a" || err != nil {
		t.Fatal(string(line), err)
	}
	cancel()
	if line, err := one(ctx, s); err != context.Canceled {
		t.Errorf("%q, %v", line, err)
	}
	if s.Close(); !strings.Contains(log.String(), "bytes=4") {
		t.Errorf("logged: %s", log)
	}
}

// Lines that are too long are left out and counted, and one line of the log in ten seconds says so.
func TestStreamRefusesLongLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		s, log, registry := stdin(t, r)
		go func() {
			w.Write([]byte("a\n123456789\nb\n" + strings.Repeat("x", 2*streamBuffer) + "\n123456789\nc\n"))
			time.Sleep(complainAgain)
			w.Write([]byte("1234567890\r\nd"))
			w.Close()
		}()
		lines, err := rest(t.Context(), s)
		if got := fmt.Sprintf("%q", lines); got != `["a" "b" "c" "d"]` || err != io.EOF {
			t.Errorf("%s, %v", got, err)
		}
		const said = "level=WARN msg=\"a line was left out: it is longer than the topic takes; shorten it, or raise the topic's max.message.bytes\" source=\"standard input\" "
		if want := said + "line=2 bytes=9 most=8 others_since_last_said=0\n" + said + "line=7 bytes=10 most=8 others_since_last_said=2\n"; log.String() != want {
			t.Errorf("logged: %s\nwant %s", log, want)
		}
		if n := values(t, registry)["wordcount_producer_refused_lines_total"]; n != 4 {
			t.Errorf("%v lines counted", n)
		}
		s.Close()
	})
}

// endless is a writer of lines who counts what is taken.
type endless struct{ taken int }

func (e *endless) Read(p []byte) (int, error) {
	e.taken += len(p)
	return copy(p, bytes.Repeat([]byte("1234567\n"), len(p)/8)), nil
}

// While nobody takes lines, nothing is read beyond the buffers.
func TestStreamReadsNoMoreThanItsBuffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endless{}
		s, _, _ := stdin(t, e)
		for buffers := range 10 {
			synctest.Wait() // the reader waits for a free buffer
			if most := (max(buffers, 1) - 1 + streamBuffers) * streamBuffer; e.taken != most {
				t.Fatalf("%d bytes read, want %d", e.taken, most)
			}
			for range streamBuffer / 8 {
				if line, err := one(t.Context(), s); string(line) != "1234567" || err != nil {
					t.Fatal(string(line), err)
				}
			}
		}
		s.Close()
	})
}

func BenchmarkStream(b *testing.B) {
	s := newStdin(&endless{}, slog.New(slog.DiscardHandler), newMetrics(prometheus.NewRegistry()))
	s.Limit(1 << 20)
	defer s.Close()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.SetBytes(8)
	var lines [][]byte
	for b.Loop() {
		if len(lines) == 0 {
			var err error
			if lines, err = s.Next(ctx, most); err != nil {
				b.Fatal(err)
			}
		}
		lines = lines[1:]
	}
}
