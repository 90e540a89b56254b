package kafkaio

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segmentio/kafka-go"
)

func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestRetryBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		start := time.Now()
		err := retry(t.Context(), slog.New(slog.DiscardHandler), "try", func() error {
			tries = append(tries, time.Since(start))
			if len(tries) < 20 {
				return io.ErrUnexpectedEOF
			}
			return nil
		})
		if err != nil || len(tries) != 20 || tries[0] != 0 {
			t.Fatalf("err %v, tries %v", err, tries)
		}
		for i := 1; i < len(tries); i++ {
			want := min(firstBackoff<<(i-1), maxBackoff)
			if got := tries[i] - tries[i-1]; got < want*3/4 || got > want*5/4 {
				t.Errorf("wait %d is %v, want %v give or take a quarter", i, got, want)
			}
		}
	})
}

func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, final := range []error{kafka.TopicAuthorizationFailed, fmt.Errorf("x: %w", kafka.MessageSizeTooLarge), finalError{errors.New("ours")}} {
			tries := 0
			err := retry(t.Context(), slog.New(slog.DiscardHandler), "try", func() error { tries++; return final })
			if !errors.Is(err, final) || tries != 1 {
				t.Errorf("%v: got %v after %d tries", final, err, tries)
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start := time.Now()
		err := retry(ctx, slog.New(slog.DiscardHandler), "try", func() error { return kafka.LeaderNotAvailable })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 7*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

// TestWaitingIsSaidOnce: short failures are nobody's business, lasting ones are logged every 10 s, and their end.
func TestWaitingIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		failing := func(d time.Duration) {
			start := time.Now()
			if err := retry(t.Context(), logTo(&log), "find topic lines", func() error {
				if time.Since(start) < d {
					return kafka.UnknownTopicOrPartition
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
		failing(quiet / 2)
		if log.Len() > 0 {
			t.Errorf("logged a short failure: %s", &log)
		}
		failing(25 * time.Second)
		if waiting, ends := strings.Count(log.String(), "find topic lines: waiting"), strings.Count(log.String(), "find topic lines: goes on"); waiting != 3 || ends != 1 {
			t.Errorf("said %d times that it waits, %d times that it goes on, want 3 and 1:\n%s", waiting, ends, &log)
		}
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "Unknown Topic") {
			t.Errorf("log: %s", &log)
		}
	})
}

func TestRetriable(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{io.ErrUnexpectedEOF, true},
		{io.EOF, true},
		{context.DeadlineExceeded, true}, // of one request
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, true},
		{kafka.LeaderNotAvailable, true},
		{kafka.ConcurrentTransactions, true},
		{fmt.Errorf("produce: %w", kafka.NotLeaderForPartition), true},
		{kafka.TopicAuthorizationFailed, false}, // a net.Error too
		{kafka.SASLAuthenticationFailed, false},
		{kafka.ProducerFenced, false},
		{kafka.MessageSizeTooLarge, false},
		{kafka.OutOfOrderSequenceNumber, false},
		{fmt.Errorf("x: %w", finalError{io.EOF}), false},
		{x509.UnknownAuthorityError{}, false},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{}}, false},
		{tls.RecordHeaderError{}, false},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, false},
	} {
		if got := retriable(test.err); got != test.want {
			t.Errorf("retriable(%T %v) = %v", test.err, test.err, got)
		}
	}
}
