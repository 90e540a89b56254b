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
		ways := []string{"kill", "stop"}
		b.Restart = func(ctx context.Context) error {
			how := ways[0]
			ways = append(ways[1:], how)
			return restart(ctx, how, id, addr)
		}
	}
	kafkaiotest.Run(t, b)
}

// restart ends the broker the way it is told and starts it again.
func restart(ctx context.Context, how, container, addr string) error {
	for _, args := range [][]string{{how, container}, {"start", container}} {
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
