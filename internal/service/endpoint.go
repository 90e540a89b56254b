package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxHeader is what the first line of a request and its header may have, in bytes: a word of 128 KiB in percent-encoding and some.
const maxHeader = 512 << 10

// lastRequests is how long a graceful end waits for requests under way, such as a last scrape.
const lastRequests = time.Second

// Endpoint serves HTTP at one address of the process.
type Endpoint struct {
	server *http.Server
	addr   net.Addr
	closed chan struct{} // when serving has ended
}

// Listen serves routes on addr, which is the value of a flag (its name without dashes), from now on. Its error tells which flag to
// change. Requests have 10 s to arrive and answers 30 s; a handler that needs longer sets its own deadlines
// (http.ResponseController).
func Listen(flag, addr string, routes http.Handler, log *slog.Logger) (*Endpoint, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) { // says "listen" and the address a second time
			err = op.Err
		}
		return nil, fmt.Errorf("listen on --%s %s: %w; choose another with --%[1]s, or none with --%[1]s=", flag, addr, err)
	}
	e := &Endpoint{
		server: &http.Server{
			Handler:           routes,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second, // pprof adds to it what ?seconds= asks for
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    maxHeader,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
		addr:   listener.Addr(),
		closed: make(chan struct{}),
	}
	go func() {
		defer close(e.closed)
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("an address is no longer served", "flag", "--"+flag, "addr", addr, "err", err)
		}
	}()
	return e, nil
}

// Close ends serving: at once, but for requests under way, which get that long.
func (e *Endpoint) Close(wait time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if e.server.Shutdown(ctx) != nil {
		e.server.Close()
	}
	<-e.closed
}

// URL is where a person on this machine finds the endpoint; it has no path.
func (e *Endpoint) URL() string {
	addr := e.addr.(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d", addr.Port)
	}
	return "http://" + addr.String()
}

// newRoutes returns what the metrics address serves. The command line, which may hold a password, is no part of it.
func newRoutes(registry *prometheus.Registry, health *Health, profiles bool, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            registry,
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 8,
	}))
	mux.HandleFunc("GET /healthz", serveAlive)
	mux.HandleFunc("GET /readyz", health.serveReady)
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	}
	return mux
}

// askHealth returns nil when the process that serves addr on this machine is alive.
func askHealth(addr string) error {
	if addr == "" {
		return errors.New("there is no address to ask: --metrics-addr is empty")
	}
	// An address without a host is no valid URL, but dialling it reaches this machine.
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}}
	response, err := client.Get("http://localhost/healthz")
	if err != nil {
		return fmt.Errorf("ask /healthz on --metrics-addr %s: %w", addr, errors.Unwrap(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 200))
		return fmt.Errorf("ask /healthz on --metrics-addr %s: %s: %q", addr, response.Status, body)
	}
	return nil
}
