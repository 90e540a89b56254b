package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Compose is the project of docker-compose.yml, under a name and on ports of its own.
type Compose struct {
	Kafka, Prometheus, Grafana, Page string // addresses on this machine: host:port, URLs

	t       testing.TB
	project string
	env     []string
}

// NewCompose needs a Docker engine with compose v2: it skips the test without them, unless E2E_DOCKER=required.
func NewCompose(t *testing.T) *Compose {
	t.Helper()
	needDocker(t)
	if out, err := exec.Command("docker", "compose", "version").CombinedOutput(); err != nil {
		if os.Getenv("E2E_DOCKER") == "required" {
			t.Fatalf("E2E_DOCKER=required, and docker compose does not run: %v\n%s", err, out)
		}
		t.Skipf("docker compose does not run: %v", err)
	}
	c := &Compose{t: t, project: "wordcount-e2e", env: os.Environ()}
	for variable, address := range map[string]*string{"KAFKA_PORT": &c.Kafka, "PROMETHEUS_PORT": &c.Prometheus, "GRAFANA_PORT": &c.Grafana, "PAGE_PORT": &c.Page} {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		*address = "localhost:" + port
		c.env = append(c.env, variable+"="+port)
	}
	c.Prometheus, c.Grafana, c.Page = "http://"+c.Prometheus, "http://"+c.Grafana, "http://"+c.Page
	down := []string{"--profile", "*", "down", "--volumes", "--remove-orphans"}
	c.Run(2*time.Minute, down...) // what an earlier run may have left
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := c.command(time.Minute, "logs", "--tail", "40").CombinedOutput()
			t.Logf("docker compose logs:\n%s", out)
		}
		out, err := c.command(3*time.Minute, down...).CombinedOutput()
		if err != nil {
			t.Errorf("docker compose down: %v\n%s", err, out)
		}
	})
	return c
}

func (c *Compose) command(within time.Duration, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	c.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "docker", append([]string{"compose", "-f", "../docker-compose.yml", "-p", c.project}, args...)...)
	cmd.Env = c.env
	return cmd
}

// Run runs a docker compose command and returns what it printed on standard output.
func (c *Compose) Run(within time.Duration, args ...string) string {
	c.t.Helper()
	cmd := c.command(within, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("docker compose %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// Container is one line of docker compose ps.
type Container struct {
	Name, Service, State, Health string
	ExitCode                     int
}

// Containers lists the project's containers, stopped ones too.
func (c *Compose) Containers() (all []Container) {
	c.t.Helper()
	decoder := json.NewDecoder(strings.NewReader(c.Run(time.Minute, "ps", "--all", "--format", "json")))
	for {
		var one Container
		switch err := decoder.Decode(&one); err {
		case nil:
			all = append(all, one)
		case io.EOF:
			return all
		default:
			c.t.Fatalf("docker compose ps: %v", err)
		}
	}
}

// Get fetches JSON from an address into answer.
func (c *Compose) Get(url string, answer any) {
	c.t.Helper()
	if err := get(url, answer); err != nil {
		c.t.Fatal(err)
	}
}

func get(url string, answer any) error {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	return nil
}

// eventually tries until there is no error.
func eventually(t testing.TB, within time.Duration, try func() error) {
	t.Helper()
	late := time.After(within)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-late:
			t.Fatalf("after %v: %v", within, err)
		}
	}
}
