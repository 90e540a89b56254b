package dashboards

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wordcount/e2e"
	"wordcount/standalone/embedded"
)

const root = "../.." // of the checkout, from this package's folder

// service is a running service that has counted, or shown, batches.
type service struct {
	process *e2e.Process
	metrics string // URL
}

var servingMetrics = regexp.MustCompile(`msg="serving metrics and health" url=(\S+)`)

// runServices starts the three services on an embedded broker, and waits until every metric that they have in a normal run is
// there: some gauges come with the first batch. They end with the test.
func runServices(t *testing.T) map[string]service {
	t.Helper()
	broker, err := embedded.Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	file, err := filepath.Abs(filepath.Join(root, "messages.txt"))
	if err != nil {
		t.Fatal(err)
	}
	programs := e2e.NewPrograms(t.TempDir())
	running := make(map[string]service)
	for name, args := range map[string][]string{
		"producer":         {"--file", file, "--interval", "100ms"},
		"counter":          {"--batch-interval", "1s"},
		"consumer-printer": {"--http", ""},
	} {
		p := programs.Start(t, nil, name, append([]string{"--brokers", broker.Addr(), "--metrics-addr", "127.0.0.1:0"}, args...)...)
		said := p.Stderr.Wait(t, 10*time.Second, "where "+name+" serves its metrics", servingMetrics.MatchString)
		running[name] = service{p, servingMetrics.FindStringSubmatch(said)[1]}
	}
	running["consumer-printer"].process.Stdout.Wait(t, 30*time.Second, "two batches", func(text string) bool {
		return strings.Count(text, "Time: ") >= 2
	})
	return running
}

var once struct {
	sync.Mutex
	exposed map[string]map[string]Metric
}

// exposed returns what each service exposes, by service and metric.
func exposed(t *testing.T) map[string]map[string]Metric {
	t.Helper()
	once.Lock()
	defer once.Unlock()
	if once.exposed == nil {
		all := make(map[string]map[string]Metric)
		for name, s := range runServices(t) {
			metrics, err := Scrape(s.metrics)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = metrics
		}
		once.exposed = all
	}
	return once.exposed
}

// known returns the labels of every series that an expression may name: the services', the recording rules' and Prometheus's
// own. Of recording rules the labels aren't known: nil.
func known(t *testing.T) map[string][]string {
	t.Helper()
	series := map[string][]string{"up": {}, "ALERTS": {"alertname", "alertstate"}}
	for _, metrics := range exposed(t) {
		for name, metric := range metrics {
			for _, s := range metric.Series(name) {
				series[s] = append(slices.Clone(metric.Labels), map[string][]string{"summary": {"quantile"}}[metric.Type]...)
			}
		}
	}
	rules, err := Rules(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		if rule.Record != "" {
			series[rule.Record] = nil
		}
	}
	return series
}

var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// Every metric and label that a panel, an annotation or a rule names is one that the services expose.
func TestNamesExist(t *testing.T) {
	expressions, err := Expressions(root)
	if err != nil {
		t.Fatal(err)
	}
	series := known(t)
	for _, e := range expressions {
		metrics, labels := Names(e.Expr)
		if len(metrics) == 0 {
			t.Errorf("%s: no metric in %s", e.Where, e.Expr)
		}
		for _, l := range legendLabel.FindAllStringSubmatch(e.Legend, -1) {
			labels = append(labels, l[1])
		}
		allowed := []string{"job", "instance"}
		for _, m := range metrics {
			more, ok := series[m]
			if !ok {
				t.Errorf("%s: no service exposes %s", e.Where, m)
			}
			allowed = append(allowed, more...)
		}
		for _, l := range labels {
			if !slices.Contains(allowed, l) {
				t.Errorf("%s: no metric of it has a label %s, but %q", e.Where, l, allowed)
			}
		}
	}
}

// Every metric of the services' own has a place on a dashboard or in a rule: what nobody looks at need not be there.
func TestMetricsAreUsed(t *testing.T) {
	expressions, err := Expressions(root)
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	for _, e := range expressions {
		metrics, _ := Names(e.Expr)
		for _, m := range metrics {
			used[m] = true
		}
	}
	for service, metrics := range exposed(t) {
		for _, name := range slices.Sorted(maps.Keys(metrics)) {
			if strings.HasPrefix(name, "wordcount_") && !slices.ContainsFunc(metrics[name].Series(name), func(s string) bool { return used[s] }) {
				t.Errorf("%s of %s is on no dashboard and in no rule", name, service)
			}
		}
	}
}
