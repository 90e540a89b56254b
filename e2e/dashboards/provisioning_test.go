package dashboards

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestLinks(t *testing.T) {
	all := boards(t)
	for _, d := range all {
		var toBoards, toDocs bool
		links := d.Links
		for _, p := range d.Panels {
			links = append(links, p.Links...)
		}
		for _, l := range links {
			switch file, doc := strings.CutPrefix(l.URL, "/public/docs/"); {
			case l.Type == "dashboards":
				toBoards = true
				for _, other := range all {
					if !slices.ContainsFunc(l.Tags, func(tag string) bool { return slices.Contains(other.Tags, tag) }) {
						t.Errorf("%s: its link to the dashboards with tags %q leaves %s out", d.File, l.Tags, other.File)
					}
				}
			case doc:
				toDocs = true
				if _, err := os.Stat(filepath.Join(root, "docs", file)); err != nil {
					t.Errorf("%s: link %s: %v", d.File, l.Title, err)
				}
			case l.URL != "http://localhost:9090/alerts":
				t.Errorf("%s: link %s to %q, which these tests don't know", d.File, l.Title, l.URL)
			}
		}
		if !toBoards || !toDocs {
			t.Errorf("%s: no link to the other dashboards (%t), or none to the docs (%t)", d.File, toBoards, toDocs)
		}
		var annotations []string
		for _, a := range d.Annotations.List {
			annotations = append(annotations, a.Name)
		}
		if !slices.Contains(annotations, "Rebalance") || !slices.Contains(annotations, "Start") {
			t.Errorf("%s: annotations %q, want Rebalance and Start", d.File, annotations)
		}
	}
}

// What is provisioned fits together: the data source's uid, the scrape interval that $__rate_interval is made of, the folder.
func TestProvisioning(t *testing.T) {
	var sources struct {
		DataSources []struct {
			UID, Type, URL string
			JSONData       struct {
				TimeInterval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	var prometheus struct {
		Global struct {
			ScrapeInterval string `yaml:"scrape_interval"`
			Native         bool   `yaml:"scrape_native_histograms"`
		}
	}
	for file, content := range map[string]any{
		"deploy/grafana/provisioning/datasources/prometheus.yml": &sources,
		"deploy/grafana/provisioning/dashboards/wordcount.yml":   &providers,
		"deploy/prometheus/prometheus.yml":                       &prometheus,
	} {
		if err := yaml.Unmarshal([]byte(read(t, file)), content); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	if len(sources.DataSources) != 1 || sources.DataSources[0].UID != "prometheus" || sources.DataSources[0].URL != "http://prometheus:9090" {
		t.Errorf("data sources %+v", sources)
	} else if got, want := sources.DataSources[0].JSONData.TimeInterval, prometheus.Global.ScrapeInterval; got != want {
		t.Errorf("the data source's timeInterval is %q, Prometheus's scrape_interval %q", got, want)
	}
	if len(providers.Providers) != 1 || providers.Providers[0].Options.Path != "/etc/grafana/dashboards" {
		t.Errorf("providers %+v", providers)
	}
	if !prometheus.Global.Native {
		t.Error("no native histograms: the latency panels would be empty")
	}
}
