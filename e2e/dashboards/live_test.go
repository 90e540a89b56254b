package dashboards

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// Every expression that must have data while all is well has data, with the configuration of deploy/prometheus, but that the
// services are found on this machine and scraped each second. The test of docker-compose.yml asks the same of the real thing.
func TestExpressionsHaveData(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus in PATH")
	}
	expressions, err := Expressions(root)
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	dir := t.TempDir()
	config := localConfig(t, address, runServices(t))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	command := exec.Command(program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+address)
	command.Dir, command.Stderr = dir, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", said.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		missing, err := WithoutData(ctx, "http://"+address, expressions)
		if err == nil && len(missing) == 0 {
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			t.Fatalf("after a minute: %v; without data:\n%s", err, strings.Join(missing, "\n"))
		}
	}
}

// localConfig is prometheus.yml with these services in place of those that DNS would find.
func localConfig(t *testing.T, self string, running map[string]service) []byte {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "deploy", "prometheus", "prometheus.yml")), &config); err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(filepath.Join(root, "deploy", "prometheus", "rules", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	config["rule_files"] = []string{rules}
	global := config["global"].(map[string]any)
	global["scrape_interval"], global["evaluation_interval"] = "1s", "1s"
	for _, c := range config["scrape_configs"].([]any) {
		job := c.(map[string]any)
		target := self
		if s, ok := running[job["job_name"].(string)]; ok {
			u, err := url.Parse(s.metrics)
			if err != nil {
				t.Fatal(err)
			}
			target = u.Host
		}
		delete(job, "dns_sd_configs")
		job["static_configs"] = []any{map[string]any{"targets": []string{target}}}
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
