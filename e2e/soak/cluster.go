package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	dockernetwork "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"wordcount/e2e"
)

// Cluster is one Kafka or several in containers, in a network of their own. Each broker has a listener for each seat, which it
// advertises at a proxy's port: so whoever sits there reaches every broker through proxies of its own, and no other's
// network is touched when these break. One more listener leads past all proxies, for who checks.
type Cluster struct {
	Direct  string // the brokers' addresses for who checks, comma-separated
	network *testcontainers.DockerNetwork
	brokers []*e2e.Kafka
	seats   [][]*Proxy // by seat and broker
}

// Seat is the brokers' addresses for a seat, comma-separated.
func (c *Cluster) Seat(seat int) string {
	var addresses []string
	for _, p := range c.seats[seat] {
		addresses = append(addresses, fmt.Sprintf("localhost:%d", p.Port()))
	}
	return strings.Join(addresses, ",")
}

// Network changes the network between a seat and all brokers.
func (c *Cluster) Network(seat int, n Network) {
	for _, p := range c.seats[seat] {
		p.Set(n)
	}
}

// StartCluster runs so many brokers, reached from so many seats. A single broker may have its data in a folder of this machine,
// else data is empty. The cluster is to be closed also when there is an error.
func StartCluster(ctx context.Context, brokers, seats int, data string) (*Cluster, error) {
	c := &Cluster{brokers: make([]*e2e.Kafka, brokers), seats: make([][]*Proxy, seats)}
	var err error
	if c.network, err = network.New(ctx); err != nil {
		return c, fmt.Errorf("make a network: %w", err)
	}
	var direct []string
	var starting sync.WaitGroup
	failed := make([]error, brokers)
	for b := range brokers {
		ports, err := e2e.FreePorts(seats + 1)
		if err != nil {
			return c, err
		}
		listeners := []string{"INTERNAL://:29092", "CONTROLLER://:29093", "DIRECT://:" + ports[seats]}
		advertised := []string{"INTERNAL://" + host(b) + ":29092", "DIRECT://localhost:" + ports[seats]}
		protocols := []string{"INTERNAL:PLAINTEXT", "CONTROLLER:PLAINTEXT", "DIRECT:PLAINTEXT"}
		for s := range seats {
			proxy, err := NewProxy("127.0.0.1:" + ports[s])
			if err != nil {
				return c, err
			}
			c.seats[s] = append(c.seats[s], proxy)
			listeners = append(listeners, fmt.Sprintf("SEAT%d://:%s", s, ports[s]))
			advertised = append(advertised, fmt.Sprintf("SEAT%d://localhost:%d", s, proxy.Port()))
			protocols = append(protocols, fmt.Sprintf("SEAT%d:PLAINTEXT", s))
		}
		direct = append(direct, "localhost:"+ports[seats])
		starting.Go(func() {
			c.brokers[b], failed[b] = startBroker(ctx, c.network, b, brokers, ports, data, map[string]string{
				"KAFKA_LISTENERS":                      strings.Join(listeners, ","),
				"KAFKA_ADVERTISED_LISTENERS":           strings.Join(advertised, ","),
				"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": strings.Join(protocols, ","),
			})
		})
	}
	starting.Wait()
	c.Direct = strings.Join(direct, ",")
	return c, errors.Join(failed...)
}

// host is the broker's name in the network.
func host(broker int) string { return fmt.Sprintf("kafka-%d", broker+1) }

func startBroker(ctx context.Context, in *testcontainers.DockerNetwork, broker, brokers int, ports []string, data string, env map[string]string) (*e2e.Kafka, error) {
	var voters, exposed []string
	for b := range brokers {
		voters = append(voters, fmt.Sprintf("%d@%s:29093", b+1, host(b)))
	}
	bindings := make(dockernetwork.PortMap)
	for _, port := range ports {
		exposed = append(exposed, port+"/tcp")
		bindings[dockernetwork.MustParsePort(port+"/tcp")] = []dockernetwork.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: port}}
	}
	replicas, inSync := min(brokers, 3), max(1, min(brokers, 3)-1)
	for name, value := range map[string]string{
		"KAFKA_NODE_ID":                    fmt.Sprint(broker + 1),
		"KAFKA_PROCESS_ROLES":              "broker,controller",
		"KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL",
		"KAFKA_CONTROLLER_LISTENER_NAMES":  "CONTROLLER",
		"KAFKA_CONTROLLER_QUORUM_VOTERS":   strings.Join(voters, ","),

		"KAFKA_MIN_INSYNC_REPLICAS":                      fmt.Sprint(inSync),
		"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR":         fmt.Sprint(replicas),
		"KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": fmt.Sprint(replicas),
		"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR":            fmt.Sprint(inSync),
		// Fewer of them make a start and a recovery quicker.
		"KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS":         "4",
		"KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
		"KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS":     "0",
		"KAFKA_NUM_NETWORK_THREADS":                  "1", // of each listener
		"KAFKA_HEAP_OPTS":                            "-Xmx1g",
	} {
		env[name] = value
	}
	var binds []string
	if data != "" {
		env["KAFKA_LOG_DIRS"] = "/data"
		binds = []string{data + ":/data"}
	}
	k := &e2e.Kafka{Address: "localhost:" + ports[len(ports)-1]}
	running, err := testcontainers.Run(ctx, e2e.KafkaImage,
		network.WithNetwork([]string{host(broker)}, in),
		testcontainers.WithExposedPorts(exposed...),
		testcontainers.WithHostConfigModifier(func(hc *container.HostConfig) { hc.PortBindings, hc.Binds = bindings, binds }),
		testcontainers.WithEnv(env),
		testcontainers.WithWaitStrategy(wait.ForListeningPort(ports[len(ports)-1]+"/tcp").WithStartupTimeout(90*time.Second)))
	if running != nil { // also with an error
		k.Container = running
	}
	if err != nil {
		return k, fmt.Errorf("run %s as %s: %w", e2e.KafkaImage, host(broker), err)
	}
	return k, nil
}

// SaveLogs writes what each broker has said, through all its starts, to a file that stays.
func (c *Cluster) SaveLogs(ctx context.Context) (files []string, err error) {
	var failed []error
	for b, k := range c.brokers {
		if k == nil || k.Container == nil {
			continue
		}
		file, err := saveLog(ctx, k.Container, "soak-"+host(b)+"-*.log")
		if err != nil {
			failed = append(failed, fmt.Errorf("save the log of %s: %w", host(b), err))
			continue
		}
		files = append(files, file)
	}
	return files, errors.Join(failed...)
}

func saveLog(ctx context.Context, container testcontainers.Container, pattern string) (file string, err error) {
	log, err := container.Logs(ctx)
	if err != nil {
		return "", err
	}
	defer log.Close()
	f, err := os.CreateTemp("", pattern)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, log)
	return f.Name(), errors.Join(err, f.Close())
}

// Close removes everything.
func (c *Cluster) Close() error {
	var failed []error
	for _, k := range c.brokers {
		if k != nil && k.Container != nil {
			failed = append(failed, testcontainers.TerminateContainer(k.Container))
		}
	}
	for _, proxies := range c.seats {
		for _, p := range proxies {
			p.Close()
		}
	}
	if c.network != nil {
		failed = append(failed, c.network.Remove(context.Background()))
	}
	return errors.Join(failed...)
}
