package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/testcontainers/testcontainers-go"
)

// UseLocalEngine tells testcontainers to look for published ports at localhost when the engine's process is one of this
// machine's: where /.dockerenv exists it takes the machine for a container, and would look at its bridge's address. A
// TESTCONTAINERS_HOST_OVERRIDE that is set stays.
func UseLocalEngine() {
	if os.Getenv("TESTCONTAINERS_HOST_OVERRIDE") == "" && engineRunsHere() {
		os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "localhost")
	}
}

func engineRunsHere() bool {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if comm, err := os.ReadFile(name); err == nil && string(comm) == "dockerd\n" {
			return true
		}
	}
	return false
}

// DockerAnswers says why no Docker engine can be used, nil when one answers.
func DockerAnswers(ctx context.Context) (err error) {
	defer func() { // testcontainers panics where it finds no Docker host at all
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	defer provider.Close()
	return provider.Health(ctx)
}

// FreePorts returns n ports of 127.0.0.1 that nobody listened on just now.
func FreePorts(n int) (ports []string, err error) {
	for range n { // all stay open until the last is found, so that they differ
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

func freePort() (string, error) {
	ports, err := FreePorts(1)
	if err != nil {
		return "", err
	}
	return ports[0], nil
}
