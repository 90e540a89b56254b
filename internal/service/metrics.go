package service

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Version and Revision are set by the linker, -ldflags "-X wordcount/internal/service.Version=v1.2.3"; where they are empty
// what Go itself recorded in the binary is taken.
var Version, Revision string

// newRegistry returns a registry with the metrics that every process has.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(),
	)
	return registry
}

func buildInfo() prometheus.Collector {
	version, revision := build()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "wordcount_build_info",
		Help:        "What this process was built from; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// build returns the version and the revision of this binary, "unknown" where nothing tells.
func build() (version, revision string) {
	version, revision = Version, Revision
	if info, ok := debug.ReadBuildInfo(); ok {
		if version == "" {
			version = info.Main.Version
		}
		if revision == "" {
			revision = vcsRevision(info.Settings)
		}
	}
	if version == "" {
		version = "unknown"
	}
	if revision == "" {
		revision = "unknown"
	}
	return version, revision
}

func vcsRevision(settings []debug.BuildSetting) string {
	var revision, dirty string
	for _, setting := range settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + dirty
}

// LatencyHistogram returns opts for a histogram of seconds: a native histogram (neighbouring buckets differ by 10 % at
// most) with classic buckets from 5 ms to 30 s beside it, 10 ms apart from 250 to 350 ms, where the latencies lie
// that are promised. Buckets that opts has already stay.
func LatencyHistogram(opts prometheus.HistogramOpts) prometheus.HistogramOpts {
	opts.NativeHistogramBucketFactor = 1.1
	opts.NativeHistogramMaxBucketNumber = 160 // 5 ms to 30 s are a hundred
	opts.NativeHistogramMinResetDuration = time.Hour
	if opts.Buckets == nil {
		opts.Buckets = []float64{
			.005, .01, .025, .05, .1, .15, .2,
			.25, .26, .27, .28, .29, .3, .31, .32, .33, .34, .35,
			.4, .5, .75, 1, 1.5, 2.5, 5, 10, 20, 30,
		}
	}
	return opts
}
