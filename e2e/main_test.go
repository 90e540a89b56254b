package e2e

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"wordcount/standalone/embedded"
)

// programs are the services that every test runs.
var programs *Programs

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wordcount-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the programs:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = NewPrograms(dir)
	UseLocalEngine()
	status := m.Run()
	if shared.Kafka != nil {
		if err := testcontainers.TerminateContainer(shared.Kafka); err != nil {
			fmt.Fprintln(os.Stderr, "remove the Kafka container:", err)
		}
	}
	if docker.missing != nil {
		fmt.Fprintf(os.Stderr, "\n!!! NOT TESTED ON A REAL KAFKA: no Docker engine answers (%v).\n!!! E2E_DOCKER=required makes this a failure.\n\n", docker.missing)
	}
	if netcatMissing != "" {
		fmt.Fprintf(os.Stderr, "\n!!! NOT TESTED WITH nc: %s.\n!!! E2E_DOCKER=required makes this a failure.\n\n", netcatMissing)
	}
	return status
}

// docker is whether an engine answers.
var docker struct {
	once    sync.Once
	missing error
}

// needDocker skips the test where no Docker engine answers, unless E2E_DOCKER=required.
func needDocker(t *testing.T) {
	t.Helper()
	docker.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		docker.missing = DockerAnswers(ctx)
	})
	switch {
	case docker.missing == nil:
	case os.Getenv("E2E_DOCKER") == "required":
		t.Fatalf("E2E_DOCKER=required, and no Docker engine answers: %v", docker.missing)
	default:
		t.Skipf("no Docker engine answers: %v", docker.missing)
	}
}

// shared is the broker of all tests of this run.
var shared struct {
	once sync.Once
	err  error
	*Kafka
}

// realKafka starts Kafka for the first test that asks.
func realKafka(t *testing.T) *Kafka {
	t.Helper()
	needDocker(t)
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		began := time.Now()
		shared.Kafka, shared.err = StartKafka(ctx)
		t.Logf("%s in %.1f s", KafkaImage, time.Since(began).Seconds())
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.Kafka
}

// embeddedBroker starts the broker of standalone for one test.
func embeddedBroker(t *testing.T) (address string) {
	t.Helper()
	broker, err := embedded.Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker.Addr()
}
