package kafkaio

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	firstBackoff = 5 * time.Millisecond
	maxBackoff   = time.Second
	endBackoff   = 20 * time.Millisecond  // of who waits for a transaction's end (RETRY_BACKOFF of Kafka's TransactionManager)
	quiet        = 500 * time.Millisecond // a failure that passes within it is not worth a line
	sayAgain     = 10 * time.Second       // how often a lasting failure is logged
)

// retriable tells whether the same request may succeed later: the broker is away, restarting, or not the right one now.
// Protocol errors are looked at first: kafka.Error also implements net.Error.
func retriable(err error) bool {
	var code kafka.Error
	if errors.As(err, &code) {
		switch code {
		case kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition, kafka.RequestTimedOut,
			kafka.BrokerNotAvailable, kafka.ReplicaNotAvailable, kafka.NetworkException, kafka.GroupLoadInProgress,
			kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup, kafka.NotEnoughReplicas,
			kafka.NotEnoughReplicasAfterAppend, kafka.NotController, kafka.ConcurrentTransactions, kafka.KafkaStorageError,
			kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch, kafka.OffsetNotAvailable, kafka.UnstableOffsetCommit,
			kafka.ThrottlingQuotaExceeded:
			return true
		}
		return false
	}
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var unknown x509.UnknownAuthorityError
	var op *net.OpError // with "remote error": the broker's TLS alert, such as a certificate that it does not take
	var final finalError
	if errors.As(err, &cert) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &unknown) || errors.As(err, &final) ||
		errors.As(err, &op) && op.Op == "remote error" {
		return false
	}
	return true // dial, read, write, time out
}

// finalError marks an error of ours that no retry mends.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// retry calls try until it succeeds, fails for good, or ctx ends (then it returns ctx's error). A failure that lasts is
// logged after half a second and then every 10 s as "<operation>: waiting", its end as "<operation>: goes on".
func retry(ctx context.Context, log *slog.Logger, operation string, try func() error) error {
	wait := waiting{log: log, operation: operation}
	for {
		err := try()
		switch {
		case err == nil:
			wait.over()
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !retriable(err):
			return err
		}
		if err := wait.backoff(ctx, err); err != nil {
			return err
		}
	}
}

// waiting is a failure that is being waited out.
type waiting struct {
	log       *slog.Logger
	operation string

	attempts int
	since    time.Time
	said     time.Time
	until    time.Time // when to try again
}

// backoff notes a failure and sleeps: 5 ms, doubled up to 1 s, give or take a quarter; up to 20 ms where a transaction's markers
// are being written.
func (w *waiting) backoff(ctx context.Context, err error) error {
	w.note(err)
	return sleep(ctx, time.Until(w.until))
}

// over ends the wait.
func (w *waiting) over() {
	if !w.said.IsZero() {
		w.log.Info(w.operation+": goes on", "after", time.Since(w.since).Round(time.Millisecond))
	}
	*w = waiting{log: w.log, operation: w.operation}
}

// sleep waits for d or until ctx ends, and then returns its error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// note counts a failure and sets until, for somebody else to wait; it logs as backoff does.
func (w *waiting) note(err error) {
	now := time.Now()
	if w.attempts == 0 {
		w.since = now
	}
	w.attempts++
	longest := maxBackoff
	if errors.Is(err, kafka.ConcurrentTransactions) {
		longest = endBackoff
	}
	d := min(firstBackoff<<min(w.attempts-1, 10), longest)
	w.until = now.Add(d + time.Duration((rand.Float64()-0.5)/2*float64(d)))
	if now.Sub(w.since) >= quiet && now.Sub(w.said) >= sayAgain {
		w.said = now
		w.log.Warn(w.operation+": waiting", "since", now.Sub(w.since).Round(time.Millisecond), "error", err)
	}
}
