package kafkaio_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"wordcount/internal/kafkaio/kafkaiotest"
)

func TestConformanceOfKfake(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(6*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	kafkaiotest.Run(t, kafkaiotest.Broker{Addr: broker.ListenAddrs()[0]})
}

// TestConformanceOfKafka runs on the broker in KAFKA_BROKERS_FOR_TESTS (localhost:port), which the e2e module sets. With
// KAFKA_CONTAINER_FOR_TESTS (a docker container's id or name) it also restarts it.
func TestConformanceOfKafka(t *testing.T) {
	addr := os.Getenv("KAFKA_BROKERS_FOR_TESTS")
	if addr == "" {
		t.Skip("KAFKA_BROKERS_FOR_TESTS is not set")
	}
	b := kafkaiotest.Broker{Addr: addr, AppendTime: true, Strict: true}
	if id := os.Getenv("KAFKA_CONTAINER_FOR_TESTS"); id != "" {
		b.Restart = func(ctx context.Context) error { return restart(ctx, id, addr) }
	}
	kafkaiotest.Run(t, b)
}

// restart kills the broker. It does not stop it in peace: Kafka 4.1 to 4.3 loses a transaction that is committed while a
// partition has no leader, as all have on the way down of a single broker ("Couldn't find leader endpoint for partitions …
// these partitions are likely deleted already and hence can be skipped": its markers are not written, and the producer's
// next transaction decides for both).
func restart(ctx context.Context, container, addr string) error {
	for _, args := range [][]string{{"kill", container}, {"start", container}} {
		if out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker %v: %w: %s", args, err, out)
		}
	}
	for ctx.Err() == nil {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return ctx.Err()
}
