package service

import (
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// metric returns the one metric of that name.
func metric(t *testing.T, registry *prometheus.Registry, name string) *dto.Metric {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			if len(family.Metric) != 1 {
				t.Fatalf("%s: %d metrics", name, len(family.Metric))
			}
			return family.Metric[0]
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

func TestBuildInfo(t *testing.T) {
	t.Cleanup(func() { Version, Revision = "", "" })
	Version, Revision = "v1.2.3", "abc"
	info := metric(t, newRegistry(), "wordcount_build_info")
	labels := map[string]string{}
	for _, label := range info.Label {
		labels[label.GetName()] = label.GetValue()
	}
	if info.Gauge.GetValue() != 1 || len(labels) != 3 || labels["version"] != "v1.2.3" || labels["revision"] != "abc" || labels["goversion"] != runtime.Version() {
		t.Errorf("got %v", info)
	}
}

func TestBuildWithoutLinkerFlags(t *testing.T) {
	if version, revision := build(); version == "" || revision == "" {
		t.Errorf("version %q, revision %q: labels without value", version, revision)
	}
	for _, test := range []struct {
		settings []debug.BuildSetting
		want     string
	}{
		{nil, ""},
		{[]debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}, ""},
		{[]debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "false"}}, "abc"},
		{[]debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}, "abc-dirty"},
	} {
		if got := vcsRevision(test.settings); got != test.want {
			t.Errorf("%v: got %q, want %q", test.settings, got, test.want)
		}
	}
}

func TestLatencyHistogram(t *testing.T) {
	registry := prometheus.NewRegistry()
	histogram := prometheus.NewHistogram(LatencyHistogram(prometheus.HistogramOpts{Name: "latency_seconds", Help: "A latency."}))
	registry.MustRegister(histogram)
	for _, seconds := range []float64{.004, .2501, .2599, .5, 29, 31} {
		histogram.Observe(seconds)
	}
	got := metric(t, registry, "latency_seconds").Histogram

	var bounds []float64
	for _, bucket := range got.Bucket {
		bounds = append(bounds, bucket.GetUpperBound())
	}
	if !slices.IsSorted(bounds) || bounds[0] != .005 || bounds[len(bounds)-1] != 30 {
		t.Errorf("classic buckets %v", bounds)
	}
	for i, bound := range bounds {
		if width := bound - bounds[max(i-1, 0)]; bound > .25 && bound <= .35 && width > .0101 {
			t.Errorf("the bucket that ends at %g s is %g s wide, where latencies are promised", bound, width)
		}
	}
	for _, bucket := range got.Bucket {
		if want, ok := map[float64]uint64{.005: 1, .25: 1, .26: 3, .5: 4, 30: 5}[bucket.GetUpperBound()]; ok && bucket.GetCumulativeCount() != want {
			t.Errorf("bucket %g has %d, want %d", bucket.GetUpperBound(), bucket.GetCumulativeCount(), want)
		}
	}

	if growth := math.Pow(2, math.Pow(2, float64(-got.GetSchema()))); got.Schema == nil || growth > 1.1 {
		t.Errorf("native buckets: schema %v, each %g times the one before", got.Schema, growth)
	}
	var native int64
	count := int64(0)
	for _, delta := range got.PositiveDelta {
		count += delta
		native += count
	}
	if native != 6 {
		t.Errorf("the native histogram has %d observations, want 6", native)
	}
}

func TestLatencyHistogramKeepsBuckets(t *testing.T) {
	opts := LatencyHistogram(prometheus.HistogramOpts{Name: "n", Buckets: []float64{1, 2}})
	if opts.Name != "n" || !slices.Equal(opts.Buckets, []float64{1, 2}) || opts.NativeHistogramBucketFactor != 1.1 {
		t.Errorf("got %+v", opts)
	}
}
