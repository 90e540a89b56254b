package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"wordcount/e2e/dashboards"
	"wordcount/e2e/oracle"
)

// The very docker-compose.yml, as a person uses it: up, a look at the topics and the dashboards, three counters, stop, up again,
// down.
func TestCompose(t *testing.T) {
	c := NewCompose(t)
	c.Run(10*time.Minute, "build", "producer") // the others find its first stage in the cache
	c.Run(10*time.Minute, "build")
	c.Run(4*time.Minute, "up", "--detach", "--wait")
	p := composePipeline(t, c)
	// step is a subtest, which fails for itself; the later ones build on it.
	step := func(name string, test func(t *testing.T)) {
		if !t.Run(name, func(inner *testing.T) {
			c.t, p.t, p.Watch.t = inner, inner, inner
			defer func() { c.t, p.t, p.Watch.t = t, t, t }()
			test(inner)
		}) {
			t.FailNow()
		}
	}

	// counted stops the producer, so that the last window is closed, and compares everything with the oracle.
	counted := func() map[int64]*oracle.Window {
		c.Run(time.Minute, "stop", "producer")
		p.Watch.Counted(time.Minute)
		return p.Watch.Check()
	}
	var rows map[string]bool

	step("batches as the oracle says", func(t *testing.T) {
		p.Watch.Lines(5)
		want := counted()
		composeShows(t, c, want)
		rows = expectedRows(want, p.Interval)
	})
	step("console consumer", func(t *testing.T) {
		out := c.Run(time.Minute, "exec", "-T", "kafka", "/opt/kafka/bin/kafka-console-consumer.sh", "--bootstrap-server", "localhost:29092",
			"--topic", "word-counts", "--from-beginning", "--isolation-level", "read_committed", "--property", "print.key=true",
			"--timeout-ms", "3000") // less than a batch: it ends when all that is there was read
		sameRows(t, out, rows)
	})
	step("kcat", func(t *testing.T) {
		if _, err := exec.LookPath("kcat"); err != nil {
			t.Skip("kcat is not installed")
		}
		out, err := exec.Command("kcat", "-b", c.Kafka, "-C", "-t", "word-counts", "-o", "beginning", "-e", "-q", "-f", `%k\t%s\n`).Output()
		if err != nil {
			t.Fatal(err)
		}
		sameRows(t, string(out), rows)
	})
	step("targets up", func(t *testing.T) {
		c.Run(time.Minute, "start", "producer")
		eventually(t, time.Minute, func() error { return targets(c, "producer", "counter", "consumer-printer", "prometheus") })
	})
	step("every expression has data", func(t *testing.T) {
		expressions, err := dashboards.Expressions("..")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, 2*time.Minute, func() error {
			missing, err := dashboards.WithoutData(context.Background(), c.Prometheus, expressions)
			if err == nil && len(missing) > 0 {
				err = fmt.Errorf("no data for\n%s", strings.Join(missing, "\n"))
			}
			return err
		})
		t.Logf("%d expressions evaluated", len(expressions))
	})
	step("grafana", func(t *testing.T) {
		var health struct{ Database string }
		c.Get(c.Grafana+"/api/health", &health)
		var found []struct{ UID, Title string }
		c.Get(c.Grafana+"/api/search?type=dash-db", &found)
		if health.Database != "ok" || len(found) != 2 {
			t.Errorf("health %q, dashboards %v: want ok and two", health.Database, found)
		}
	})
	step("page", func(t *testing.T) {
		var answer struct{ Batches []struct{ Lines int64 } }
		c.Get(c.Page+"/api/batches?limit=720", &answer)
		var lines int64
		for _, b := range answer.Batches {
			lines += b.Lines
		}
		if lines == 0 {
			t.Errorf("no lines in the %d batches of the page", len(answer.Batches))
		}
	})
	step("three counters", func(t *testing.T) {
		c.Run(2*time.Minute, "up", "--detach", "--wait", "--no-recreate", "--scale", "counter=3")
		// The one expression that has data only then, besides the alerts, which promtool tests.
		eventually(t, 20*time.Second, func() error {
			rebalances, err := vector(c, `sum by (instance) (changes(wordcount_counter_rebalances_total[20s])) > 0`)
			if err == nil && len(rebalances) == 0 {
				err = errors.New("no annotation for the rebalance")
			}
			return err
		})
		eventually(t, time.Minute, func() error {
			spread, err := vector(c, `sum by (instance) (wordcount_counter_tasks{stage="reduce"})`)
			slices.Sort(spread)
			if err == nil && !slices.Equal(spread, []string{"1", "1", "2"}) {
				err = fmt.Errorf("reduce tasks by counter: %v, want 1, 1 and 2", spread)
			}
			return err
		})
		p.Watch.Batches(2)
		counted()
		c.Run(time.Minute, "start", "producer")
	})
	step("profiles", func(t *testing.T) {
		c.Run(2*time.Minute, "--profile", "load", "--profile", "tools", "up", "--detach", "--wait", "load", "kafka-tools")
		eventually(t, time.Minute, func() error {
			rate, err := vector(c, `max(rate(wordcount_producer_lines_total[15s])) > bool 500`)
			if err == nil && !slices.Equal(rate, []string{"1"}) {
				err = errors.New("no producer reaches 500 lines/s")
			}
			return err
		})
		topics := c.Run(time.Minute, "exec", "-T", "kafka-tools", "kafka-topics.sh", "--bootstrap-server", "kafka:29092", "--list")
		if !strings.Contains(topics, "word-counts\n") {
			t.Errorf("the tools container lists %q", topics)
		}
		c.Run(time.Minute, "--profile", "load", "--profile", "tools", "rm", "--stop", "--force", "load", "kafka-tools")
		counted()
		c.Run(time.Minute, "start", "producer")
	})
	step("stop and up again", func(t *testing.T) {
		c.Run(3*time.Minute, "stop")
		for _, one := range c.Containers() {
			// Grafana's status is its own affair, as long as it was not killed.
			if one.State != "exited" || one.ExitCode == 137 || one.ExitCode != 0 && one.Service != "grafana" {
				t.Errorf("%s is %s with status %d, want it to end with 0", one.Name, one.State, one.ExitCode)
			}
		}
		c.Run(4*time.Minute, "up", "--detach", "--wait")
		before := len(p.Watch.Lines(0))
		p.Watch.Lines(before + 3)
		counted()
	})
	step("down leaves nothing", func(t *testing.T) {
		c.Run(3*time.Minute, "down", "--volumes")
		if left := c.Containers(); len(left) > 0 {
			t.Errorf("containers are left: %v", left)
		}
		out, err := exec.Command("docker", "volume", "ls", "--quiet", "--filter", "label=com.docker.compose.project="+c.project).Output()
		if err != nil || len(strings.TrimSpace(string(out))) > 0 {
			t.Errorf("volumes are left: %s (%v)", out, err)
		}
	})
}

// composePipeline watches the topics that the compose file's services use.
func composePipeline(t *testing.T, c *Compose) *Pipeline {
	p := &Pipeline{Broker: c.Kafka, Lines: "lines", Shuffle: "counter-shuffle", Counts: "word-counts", Batches: "batches", Group: "counter",
		Interval: 5 * time.Second, Tokenizer: "space", Partitions: 4, t: t, programs: programs}
	p.Watch = newWatch(t, p)
	return p
}

// composeShows waits until the printer's log holds every batch with lines, as pprint shows it.
func composeShows(t *testing.T, c *Compose, want map[int64]*oracle.Window) {
	t.Helper()
	eventually(t, time.Minute, func() (err error) {
		shown := c.Run(time.Minute, "logs", "--no-log-prefix", "consumer-printer")
		for end, window := range want {
			if text := oracle.Pprint(time.UnixMilli(end).UTC(), window.Counts, 10); !strings.Contains(shown, text) {
				err = errors.Join(err, fmt.Errorf("the printer's log lacks\n%s", text))
			}
		}
		return err
	})
}

// targets demands that Prometheus sees these jobs and that all are up.
func targets(c *Compose, jobs ...string) error {
	var answer struct {
		Data struct {
			ActiveTargets []struct {
				Labels            map[string]string
				Health, LastError string
			}
		}
	}
	if err := get(c.Prometheus+"/api/v1/targets", &answer); err != nil {
		return err
	}
	up := make(map[string]bool)
	for _, target := range answer.Data.ActiveTargets {
		if target.Health != "up" {
			return fmt.Errorf("%v is %s: %s", target.Labels, target.Health, target.LastError)
		}
		up[target.Labels["job"]] = true
	}
	for _, job := range jobs {
		if !up[job] {
			return fmt.Errorf("no target of job %s", job)
		}
	}
	return nil
}

// vector evaluates an expression and returns its values.
func vector(c *Compose, expr string) (values []string, err error) {
	var answer struct {
		Data struct {
			Result []struct{ Value []any }
		}
	}
	if err := get(c.Prometheus+"/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return nil, err
	}
	for _, series := range answer.Data.Result {
		values = append(values, fmt.Sprint(series.Value[1]))
	}
	return values, nil
}
