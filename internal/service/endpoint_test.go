package service

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

func TestMetricsAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	p, _ := sample(unused)
	status, stderr := launch(t, p, nil, "--metrics-addr="+addr, "--log-level=error").end()
	want := fmt.Sprintf(`err="listen on --metrics-addr %s: bind: address already in use; choose another with --metrics-addr, or none with --metrics-addr="`, addr)
	if status != exitFailed || len(stderr) != 1 || !strings.HasSuffix(stderr[0], want) {
		t.Errorf("status %d, stderr %q, want %s", status, stderr, want)
	}
}

func TestEndpoint(t *testing.T) {
	for _, pprof := range []bool{false, true} {
		t.Run(fmt.Sprintf("pprof=%t", pprof), func(t *testing.T) {
			p, _ := sample(func(ctx context.Context, config *sampleConfig) error {
				latency := prometheus.NewHistogram(LatencyHistogram(prometheus.HistogramOpts{Name: "sample_seconds", Help: "A latency."}))
				config.Runtime.Metrics.MustRegister(latency)
				latency.Observe(.3)
				return untilDone(func() error { return nil })(ctx, config)
			})
			r := launch(t, p, nil, "--metrics-addr=127.0.0.1:0", fmt.Sprintf("--pprof=%t", pprof))
			url := r.url()
			r.line("at work")

			profiles := map[bool]int{false: 404, true: 200}[pprof]
			for path, want := range map[string]int{
				"/healthz": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/debug": 404,
				"/debug/pprof/": profiles, "/debug/pprof/heap": profiles, "/debug/pprof/trace?seconds=0.01": profiles, "/debug/pprof/symbol": profiles,
				"/debug/pprof/cmdline": 404, // would show --sasl-password
			} {
				if status, body := get(t, url+path); status != want {
					t.Errorf("%s: %d %.100q, want %d", path, status, body, want)
				}
			}

			_, text := get(t, url+"/metrics")
			for _, want := range []string{
				`wordcount_build_info{goversion="go`, "go_goroutines ", "process_start_time_seconds ",
				`sample_seconds_bucket{le="0.3"} 1`, `promhttp_metric_handler_errors_total{cause="gathering"} 0`,
			} {
				if !strings.Contains(text, "\n"+want) {
					t.Errorf("/metrics has no %s", want)
				}
			}
			if _, open := get(t, url+"/metrics", "Accept", "application/openmetrics-text; version=1.0.0"); !strings.HasSuffix(open, "\n# EOF\n") {
				t.Error("/metrics speaks no OpenMetrics")
			}
			protobuf := expfmt.NewFormat(expfmt.TypeProtoDelim)
			_, binary := get(t, url+"/metrics", "Accept", string(protobuf))
			if !strings.Contains(binary, "\x0esample_seconds") {
				t.Error("/metrics speaks no protobuf: Prometheus would not see native histograms")
			}
			if response, err := http.Post(url+"/metrics", "", nil); err != nil || response.StatusCode != 405 {
				t.Errorf("POST /metrics: %v, error %v", response, err)
			} else {
				response.Body.Close()
			}
			r.signals <- syscall.SIGTERM
			if status, stderr := r.end(); status != exitGraceful {
				t.Errorf("status %d: %q", status, stderr)
			}
		})
	}
}

func TestEndpointHasTimeouts(t *testing.T) {
	p, config := sample(unused)
	config.LogLevel, config.LogFormat = "info", "text"
	log, err := p.process.logger(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Listen("metrics-addr", "127.0.0.1:0", http.NotFoundHandler(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(0)
	s := e.server
	for name, timeout := range map[string]time.Duration{"header": s.ReadHeaderTimeout, "read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout} {
		if timeout <= 0 {
			t.Errorf("no %s timeout", name)
		}
	}
}

func TestHealthcheck(t *testing.T) {
	check := func(env variables, args ...string) (int, []string) {
		p, _ := sample(unused)
		return launch(t, p, env, append(args, "--healthcheck")...).end()
	}
	p, _ := sample(untilDone(func() error { return nil }))
	r := launch(t, p, nil, "--metrics-addr=:0")
	url := r.url()
	port := url[strings.LastIndex(url, ":"):]
	for what, asked := range map[string]struct {
		env  variables
		args []string
	}{
		"every address":        {args: []string{"--metrics-addr=" + port}},
		"by environment":       {env: variables{"METRICS_ADDR": port}},
		"an address":           {args: []string{"--metrics-addr=127.0.0.1" + port}},
		"wrong Kafka settings": {args: []string{"--metrics-addr=" + port, "--brokers=x", "--tls-ca=x"}},
	} {
		if status, stderr := check(asked.env, asked.args...); status != exitGraceful || len(stderr) > 0 {
			t.Errorf("%s: status %d: %q", what, status, stderr)
		}
	}
	r.signals <- syscall.SIGTERM
	r.end()

	sick := httptest.NewServer(http.NotFoundHandler())
	defer sick.Close()
	for addr, want := range map[string]string{
		port:                                    "sample: ask /healthz on --metrics-addr " + port + ": dial tcp ",
		"":                                      "sample: there is no address to ask: --metrics-addr is empty",
		strings.TrimPrefix(sick.URL, "http://"): "sample: ask /healthz on --metrics-addr " + strings.TrimPrefix(sick.URL, "http://") + `: 404 Not Found: "404 page not found`,
	} {
		if status, stderr := check(nil, "--metrics-addr="+addr); status != exitFailed || len(stderr) != 1 || !strings.HasPrefix(stderr[0], want) {
			t.Errorf("--metrics-addr=%s: status %d: %q, want %s", addr, status, stderr, want)
		}
	}
	if status, stderr := check(variables{"METRICS_ADDR": "x"}); status != exitUsage || len(stderr) != 1 {
		t.Errorf("wrong address: status %d: %q", status, stderr)
	}
}
