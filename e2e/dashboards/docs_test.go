package dashboards

import (
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// entry is a metric in docs/metrics.md.
type entry struct {
	section string
	name    string
	Metric
	queries []string
}

var (
	// **counter** by `stage`, `outcome`. Help, as /metrics has it.
	described = regexp.MustCompile("^\\*\\*(\\w+)\\*\\*(?: by ((?:`\\w+`(?:, )?)+))?\\. (.+)$")
	quoted    = regexp.MustCompile("`(\\w+)`")
	tableRow  = regexp.MustCompile("^\\| `(\\w+)` \\| (\\w+) \\| ([^|]*) \\| (.+) \\|$")
)

// documented reads docs/metrics.md: a heading ### and a description for each metric of the services' own, a table's row for each
// of the Go runtime and the process.
func documented(t *testing.T) []entry {
	t.Helper()
	var all []entry
	var section string
	var current *entry
	inQuery := false
	for line := range strings.Lines(read(t, "docs", "metrics.md")) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "```promql":
			inQuery = true
			if current != nil {
				current.queries = append(current.queries, "")
			}
		case line == "```":
			inQuery = false
		case inQuery && current != nil:
			current.queries[len(current.queries)-1] += line + "\n"
		case strings.HasPrefix(line, "## "):
			section, current = line[3:], nil
		case strings.HasPrefix(line, "### "):
			all = append(all, entry{section: section, name: strings.Trim(line[4:], "`")})
			current = &all[len(all)-1]
		case current != nil && current.Type == "" && line != "":
			m := described.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("docs/metrics.md: %s: not type, labels and meaning: %q", current.name, line)
			}
			current.Metric = Metric{Type: m[1], Help: m[3], Labels: labelsIn(m[2])}
		default:
			if m := tableRow.FindStringSubmatch(line); m != nil {
				all = append(all, entry{section: section, name: m[1], Metric: Metric{Type: m[2], Labels: labelsIn(m[3]), Help: m[4]}})
				current = nil
			}
		}
	}
	return all
}

func labelsIn(text string) (labels []string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		labels = append(labels, m[1])
	}
	slices.Sort(labels)
	return labels
}

// sections of docs/metrics.md, and which services have what they list.
var sections = map[string][]string{
	"Every service":          {"consumer-printer", "counter", "producer"},
	"Producer":               {"producer"},
	"Counter":                {"counter"},
	"Printer":                {"consumer-printer"},
	"Go runtime and process": {"consumer-printer", "counter", "producer"},
}

// docs/metrics.md lists what the services expose: no more, no less, nothing else.
func TestDocs(t *testing.T) {
	all := exposed(t)
	owners := make(map[string][]string)
	metrics := make(map[string]Metric)
	for _, service := range slices.Sorted(maps.Keys(all)) {
		for name, m := range all[service] {
			owners[name] = append(owners[name], service)
			metrics[name] = m
		}
	}
	seen := make(map[string]bool)
	for _, e := range documented(t) {
		if seen[e.name] {
			t.Errorf("%s is there twice", e.name)
		}
		seen[e.name] = true
		m, ok := metrics[e.name]
		if !ok {
			if !strings.HasPrefix(e.name, "process_") || runtime.GOOS == "linux" { // other systems have fewer of those
				t.Errorf("%s: no service exposes it", e.name)
			}
			continue
		}
		if e.Type != m.Type || !slices.Equal(e.Labels, m.Labels) || e.Help != m.Help {
			t.Errorf("%s: documented as\n%s %q %q\nand exposed as\n%s %q %q", e.name, e.Type, e.Labels, e.Help, m.Type, m.Labels, m.Help)
		}
		if !slices.Equal(owners[e.name], sections[e.section]) {
			t.Errorf("%s: documented under %q, exposed by %q", e.name, e.section, owners[e.name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if !seen[name] {
			m := metrics[name]
			t.Errorf("%s of %q is not documented: %s %q %q", name, owners[name], m.Type, m.Labels, m.Help)
		}
	}
}

// Every metric of the services' own has a query with it in, made of metrics that exist.
func TestDocsQueries(t *testing.T) {
	series := known(t)
	for _, e := range documented(t) {
		var metrics []string
		for _, q := range e.queries {
			m, _ := Names(q)
			metrics = append(metrics, m...)
		}
		for _, m := range metrics {
			if _, ok := series[m]; !ok {
				t.Errorf("%s: a query with %s, which there isn't", e.name, m)
			}
		}
		if strings.HasPrefix(e.name, "wordcount_") && !slices.ContainsFunc(e.Series(e.name), func(s string) bool { return slices.Contains(metrics, s) }) {
			t.Errorf("%s: no query with it", e.name)
		}
	}
}

// The last two tables name each alert and each recorded metric, and nothing else.
func TestDocsRules(t *testing.T) {
	want := make(map[string][]string)
	for _, r := range rules(t) {
		section := "Recorded"
		if r.Alert != "" {
			section = "Alerts"
		}
		want[section] = append(want[section], r.Name())
	}
	for section, names := range want {
		_, text, _ := strings.Cut(read(t, "docs", "metrics.md"), "\n## "+section+"\n")
		text, _, _ = strings.Cut(text, "\n## ")
		var got []string
		for _, m := range regexp.MustCompile("(?m)^\\| `([\\w:]+)` \\|").FindAllStringSubmatch(text, -1) {
			got = append(got, m[1])
		}
		slices.Sort(names)
		slices.Sort(got)
		if !slices.Equal(got, names) {
			t.Errorf("docs/metrics.md, section %s, lists %q; there are %q", section, got, names)
		}
	}
}
