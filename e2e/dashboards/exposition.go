package dashboards

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Metric is what /metrics says about one metric.
type Metric struct {
	Type, Help string
	Labels     []string // sorted, without le and quantile
}

// Series are the names that its samples have.
func (m Metric) Series(metric string) []string {
	switch m.Type {
	case "histogram": // a native one has the metric's own name
		return []string{metric, metric + "_bucket", metric + "_sum", metric + "_count"}
	case "summary":
		return []string{metric, metric + "_sum", metric + "_count"}
	}
	return []string{metric}
}

// Scrape reads a service's metrics, by name.
func Scrape(url string) (map[string]Metric, error) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, response.Status)
	}
	return parseExposition(string(text))
}

var (
	comment = regexp.MustCompile(`^# (HELP|TYPE) (\S+) (.*)$`)
	sample  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? \S+`)
	pair    = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"`)
)

// parseExposition reads the text format. A metric's samples follow its type, as client_golang writes them.
func parseExposition(text string) (map[string]Metric, error) {
	all := make(map[string]Metric)
	labels := make(map[string]bool)
	var current string
	done := func() {
		m := all[current]
		m.Labels = slices.Sorted(maps.Keys(labels))
		all[current] = m
		clear(labels)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if c := comment.FindStringSubmatch(line); c != nil {
			if current != "" && c[2] != current {
				done()
			}
			current = c[2]
			m := all[current]
			if c[1] == "HELP" {
				m.Help = c[3]
			} else {
				m.Type = c[3]
			}
			all[current] = m
			continue
		}
		s := sample.FindStringSubmatch(line)
		if s == nil || !slices.Contains(all[current].Series(current), s[1]) {
			return nil, fmt.Errorf("not a sample of %q: %q", current, line)
		}
		for _, l := range pair.FindAllStringSubmatch(s[2], -1) {
			if l[1] != "le" && l[1] != "quantile" {
				labels[l[1]] = true
			}
		}
	}
	if current != "" {
		done()
	}
	return all, nil
}
