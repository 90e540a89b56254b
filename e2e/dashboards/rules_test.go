package dashboards

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func rules(t *testing.T) []Rule {
	t.Helper()
	all, err := Rules(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// promised are the symptoms that there must be an alert for.
var promised = []string{"BatchesLate", "CounterStalled", "LagGrowing", "LinesArriveLate", "NoLinesPublished", "TransactionsFailing", "TargetDown"}

const docsURL = "http://localhost:3000/public/" // where Grafana serves the folder docs

// An alert says what is seen and what to do, and has a test that it fires and one that it doesn't.
func TestAlerts(t *testing.T) {
	tests := read(t, "deploy", "prometheus", "tests", "batches.yml") + read(t, "deploy", "prometheus", "tests", "lines.yml")
	there := make(map[string]bool)
	for _, rule := range rules(t) {
		if rule.Alert == "" {
			continue
		}
		there[rule.Alert] = true
		if s := rule.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: severity %q", rule.Alert, s)
		}
		for _, must := range []string{"summary", "description", "runbook_url"} {
			if rule.Annotations[must] == "" {
				t.Errorf("%s: no %s", rule.Alert, must)
			}
		}
		if link, ok := strings.CutPrefix(rule.Annotations["runbook_url"], docsURL); !ok {
			t.Errorf("%s: the runbook's address does not begin with %s", rule.Alert, docsURL)
		} else if err := anchored(link); err != nil {
			t.Errorf("%s: %v", rule.Alert, err)
		}
		fires := regexp.MustCompile(`'ALERTS\{alertname="` + rule.Alert + `", alertstate="firing"[^']*', value: 1`)
		quiet := regexp.MustCompile(`'ALERTS\{alertname="` + rule.Alert + `"[^']*', eval_time: \w+, exp_samples: \[\]`)
		if !fires.MatchString(tests) || !quiet.MatchString(tests) {
			t.Errorf("%s: no test that it fires (%t), or none that it doesn't (%t)", rule.Alert, fires.MatchString(tests), quiet.MatchString(tests))
		}
	}
	for _, name := range promised {
		if !there[name] {
			t.Errorf("no alert %s", name)
		}
	}
}

// anchored says whether a file of the checkout has the heading that link (file#anchor) points to.
func anchored(link string) error {
	file, anchor, _ := strings.Cut(link, "#")
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if heading := strings.TrimLeft(line, "#"); heading != line {
			id := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(heading), " ", "-"))
			if id == anchor {
				return nil
			}
		}
	}
	return fmt.Errorf("%s has no heading for #%s", file, anchor)
}

// check runs deploy/prometheus/check. The test is skipped where there is no promtool, unless E2E_DOCKER=required.
func check(t *testing.T, stdin string, args ...string) (output string, err error) {
	t.Helper()
	script := filepath.Join(root, "deploy", "prometheus", "check")
	if _, err := exec.LookPath("promtool"); err != nil && os.Getenv("E2E_DOCKER") != "required" {
		image := regexp.MustCompile(`prom/prometheus:\S+`).FindString(read(t, "docker-compose.yml"))
		if err := exec.Command("docker", "image", "inspect", image).Run(); err != nil {
			t.Skipf("no promtool in PATH and no image %s here (docker pull %s)", image, image)
		}
	}
	command := exec.Command(script, args...)
	command.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	err = command.Run()
	return said.String(), err
}

func TestRules(t *testing.T) {
	if output, err := check(t, ""); err != nil {
		t.Errorf("deploy/prometheus/check: %v\n%s", err, output)
	}
}

// Prometheus can parse what the dashboards and docs/metrics.md ask.
func TestSyntax(t *testing.T) {
	expressions, err := Expressions(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range documented(t) {
		for _, q := range s.queries {
			expressions = append(expressions, Expression{Where: "docs/metrics.md: " + s.name, Expr: q})
		}
	}
	type rule struct{ Record, Expr string }
	var all []rule
	for i, e := range expressions {
		all = append(all, rule{fmt.Sprintf("expression_%d", i), e.Expr})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "all", "rules": all}}})
	if err != nil {
		t.Fatal(err)
	}
	output, err := check(t, string(text), "-")
	if err == nil {
		return
	}
	for line := range strings.Lines(output) {
		where := ""
		if m := regexp.MustCompile(`expression_(\d+)`).FindStringSubmatch(line); m != nil {
			if i, err := strconv.Atoi(m[1]); err == nil && i < len(expressions) {
				where = expressions[i].Where + ": "
			}
		}
		t.Errorf("%s%s", where, strings.TrimSpace(line))
	}
}
