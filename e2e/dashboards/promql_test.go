package dashboards

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	for expr, want := range map[string][2][]string{
		`up`: {{"up"}, nil},
		`sum by (a, b) (rate(x_total{c!="d {e}", f=~'g'}[5m]))`:    {{"x_total"}, {"a", "b", "c", "f"}},
		`max(a and on (job, instance) b{s="r"} > 0)`:               {{"a", "b"}, {"job", "instance", "s"}},
		`sum(a) without (x) / ignoring (y) group_left b offset 5m`: {{"a", "b"}, {"x", "y"}},
		`histogram_quantile(0.99, wordcount:x:rate5m) < 2 * 1e3`:   {{"wordcount:x:rate5m"}, nil},
		"count(ALERTS{alertstate=\"firing\"})\n\tor vector(0)":     {{"ALERTS"}, {"alertstate"}},
		`deriv(a[5m:15s]) > bool inf unless absent(b{c=` + "`d`})": {{"a", "b"}, {"c"}},
	} {
		metrics, labels := Names(expr)
		if !slices.Equal(metrics, want[0]) || !slices.Equal(labels, want[1]) {
			t.Errorf("%s: metrics %q, labels %q; want %q", expr, metrics, labels, want)
		}
	}
}

func TestParseExposition(t *testing.T) {
	got, err := parseExposition(`# HELP a_total An a.
# TYPE a_total counter
a_total{x="1, y=\"2\"",z="}"} 1
a_total{w=""} 2e+06
# HELP h H.
# TYPE h histogram
h_bucket{s="r",le="+Inf"} 0
h_sum{s="r"} 0
h_count{s="r"} 0
`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Metric{
		"a_total": {"counter", "An a.", []string{"w", "x", "z"}},
		"h":       {"histogram", "H.", []string{"s"}},
	} {
		if m := got[name]; m.Type != want.Type || m.Help != want.Help || !slices.Equal(m.Labels, want.Labels) {
			t.Errorf("%s: %+v, want %+v", name, m, want)
		}
	}
	for _, wrong := range []string{"a 1\n", "# TYPE a counter\nb 1\n", "# TYPE a gauge\na_sum 1\n"} {
		if got, err := parseExposition(wrong); err == nil {
			t.Errorf("%q: %v, no error", wrong, got)
		}
	}
}
