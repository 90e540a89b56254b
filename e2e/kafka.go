package e2e

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/wait"
)

// KafkaImage is the broker that the promises are made for.
const KafkaImage = "apache/kafka:4.3.1"

// Kafka is a broker of one node in a container.
type Kafka struct {
	testcontainers.Container
	// Address is localhost:port, the same after a restart, for clients on this machine and for the tools in the container.
	Address string
}

// StartKafka runs the image. A broker must know the address it is reached at before it starts, and a port that Docker chooses
// changes when the container is stopped and started: so a free one is picked here and bound, with three tries.
func StartKafka(ctx context.Context) (k *Kafka, err error) {
	for range 3 {
		var port string
		if port, err = freePort(); err != nil {
			return nil, err
		}
		k = &Kafka{Address: "localhost:" + port}
		k.Container, err = testcontainers.Run(ctx, KafkaImage,
			testcontainers.WithExposedPorts(port+"/tcp"),
			testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) {
				hc.PortBindings = network.PortMap{network.MustParsePort(port + "/tcp"): {{
					HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: port}}}
			}),
			testcontainers.WithEnv(map[string]string{
				"KAFKA_NODE_ID":                        "1",
				"KAFKA_PROCESS_ROLES":                  "broker,controller",
				"KAFKA_LISTENERS":                      "BROKER://:" + port + ",CONTROLLER://:9093",
				"KAFKA_ADVERTISED_LISTENERS":           "BROKER://" + k.Address,
				"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
				"KAFKA_INTER_BROKER_LISTENER_NAME":     "BROKER",
				"KAFKA_CONTROLLER_LISTENER_NAMES":      "CONTROLLER",
				"KAFKA_CONTROLLER_QUORUM_VOTERS":       "1@localhost:9093",
				// One node: its internal topics cannot have the three replicas that are Kafka's default.
				"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR":         "1",
				"KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
				"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR":            "1",
				// Fewer of them make a start and a recovery quicker.
				"KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS":         "4",
				"KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
				"KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS":     "0",
				"KAFKA_HEAP_OPTS":                            "-Xmx512m",
			}),
			// The port opens once the broker serves; a line of the log would match again after a restart.
			testcontainers.WithWaitStrategy(wait.ForListeningPort(port+"/tcp").WithStartupTimeout(50*time.Second)))
		if err == nil {
			return k, nil
		}
		err = fmt.Errorf("run %s at port %s: %w", KafkaImage, port, err)
		if k.Container != nil {
			_ = testcontainers.TerminateContainer(k.Container)
		}
	}
	return nil, err
}

// Tool runs one of Kafka's command-line tools in the container and returns what it printed on both outputs.
func (k *Kafka) Tool(ctx context.Context, stdin string, name string, args ...string) (string, error) {
	// The tools need half a second of processor time to start when the JVM stops at its first compiler.
	command := []string{"env", "KAFKA_HEAP_OPTS=-Xmx256m -XX:TieredStopAtLevel=1", "/opt/kafka/bin/" + name, "--bootstrap-server", k.Address}
	command = append(command, args...)
	if stdin != "" {
		command = append([]string{"sh", "-c", `printf '%s' "$0" | "$@"`, stdin}, command...)
	}
	status, out, err := k.Exec(ctx, command, exec.Multiplexed())
	if err != nil {
		return "", fmt.Errorf("run %s: %w", name, err)
	}
	text, err := io.ReadAll(out)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s %s: status %d", name, strings.Join(args, " "), status)
	}
	return string(text), err
}

// Restart stops the broker, within grace or by SIGKILL for 0, and starts it again.
func (k *Kafka) Restart(ctx context.Context, grace time.Duration) error {
	if err := k.Stop(ctx, &grace); err != nil {
		return fmt.Errorf("stop Kafka: %w", err)
	}
	if err := k.Start(ctx); err != nil {
		return fmt.Errorf("start Kafka again: %w", err)
	}
	return nil
}
