// Package embedded runs a Kafka broker inside this process: franz-go's kfake,
// in memory, for trying the pipeline out and for tests. Nothing outlives the
// process; what must last belongs on a real Kafka.
//
// It adds to kfake what the pipeline and people's tools rely on:
//
//   - message.timestamp.type=LogAppendTime means what it says (appendtime.go);
//   - a transaction holds up the offsets that it commits, no others (openoffsets.go);
//   - Kafka 4.3's Java tools work, as do kcat and every client we tried (versions.go);
//   - requests that would crash kfake close their connection instead (conn.go);
//   - the broker can be made unreachable for a while (listener.go).
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is a Kafka cluster of one broker, id 0.
type Broker struct {
	cluster  *kfake.Cluster
	listener *listener
}

// Start listens on addr (host:port; port 0 takes a free one) and serves Kafka's
// protocol there. Clients are told the address that was listened on, or
// localhost when the host is empty or unspecified (":9092", "0.0.0.0:9092").
// A nil log is silent.
func Start(addr string, log *slog.Logger) (*Broker, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := listen(addr)
	if err != nil {
		return nil, startError(addr, err)
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ClusterID("wordcount-embedded"),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return l, nil }),
		kfake.MaxVersions(versions()),
		kfake.DefaultNumPartitions(1),
		kfake.GroupMinSessionTimeout(6*time.Second), // as Kafka's default
		kfake.BrokerConfigs(map[string]string{
			// What is deleted is freed by whole segments.
			"log.segment.bytes": "16777216",
		}),
		kfake.WithLogger(logger{log}),
	)
	if err != nil {
		l.Close()
		return nil, startError(addr, err)
	}
	l.appendTimes.stampOnArrival(cluster)
	l.openOffsets.askForAll(cluster)
	return &Broker{cluster: cluster, listener: l}, nil
}

func startError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("start the embedded broker: %s is in use, by a Kafka perhaps: stop that, or choose another address with --broker-addr (BROKER_ADDR)", addr)
	}
	return fmt.Errorf("start the embedded broker on %q (--broker-addr, BROKER_ADDR): %w", addr, err)
}

// Addr is the address that clients connect to, host:port.
func (b *Broker) Addr() string { return b.listener.Addr().String() }

// Cluster is the kfake cluster behind the broker, for tests that inject faults
// (Fault, ControlKey) or look at partitions.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Failed is sent the error when the broker stops serving by itself.
func (b *Broker) Failed() <-chan error { return b.listener.failed }

// SetReachable(false) closes every connection and refuses new ones, as a broker
// does that is down; SetReachable(true) serves again, with all data still there.
func (b *Broker) SetReachable(reachable bool) { b.listener.setReachable(reachable) }

// Close stops the broker, closes its connections and forgets its data.
func (b *Broker) Close() {
	b.listener.Close()
	b.cluster.Close()
}

// logger passes kfake's messages on, all of them at debug level but errors:
// they describe requests, which are the clients' to complain about.
type logger struct{ log *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	if level == kfake.LogLevelError {
		to = slog.LevelError
	}
	l.log.Log(context.Background(), to, "embedded broker: "+fmt.Sprintf(format, args...))
}
