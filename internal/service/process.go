package service

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// Process holds the settings of every process. Main applies them; a service's Run never looks at them.
type Process struct {
	// MetricsAddr is where /metrics, /healthz, /readyz are served, host:port; empty: nowhere. Its default is the kong
	// variable metrics_addr.
	MetricsAddr string `group:"process" default:"${metrics_addr=}" env:"METRICS_ADDR" off:"empty" placeholder:"HOST:PORT" help:"Address of /metrics, /healthz and /readyz; empty turns them off."`
	// LogLevel is debug, info, warn or error, in any case.
	LogLevel string `group:"process" default:"info" env:"LOG_LEVEL" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error."`
	// LogFormat is text or json, in any case.
	LogFormat string `group:"process" default:"text" env:"LOG_FORMAT" placeholder:"FORMAT" help:"Log format on standard error: text or json."`
	// Duration ends the run's context when it is over; 0: never.
	Duration time.Duration `group:"process" default:"0s" env:"DURATION" placeholder:"DURATION" help:"Run that long, then stop gracefully; 0 runs until stopped."`
	// Pprof adds /debug/pprof/ to the metrics address.
	Pprof bool `group:"process" env:"PPROF" help:"Serve /debug/pprof/ on the metrics address."`
}

// Validate returns a *UsageError for the first wrong setting.
func (p *Process) Validate() error {
	if err := p.checkMetricsAddr(); err != nil {
		return err
	}
	if _, err := p.level(); err != nil {
		return err
	}
	if _, err := p.json(); err != nil {
		return err
	}
	if p.Duration < 0 {
		return WrongValue("duration", p.Duration.String(), "0 (until stopped) or a positive duration such as 30s, 10m, 1h30m")
	}
	if p.Pprof && p.MetricsAddr == "" {
		return Usagef("--pprof is served on the metrics address, and there is none: set --metrics-addr")
	}
	return nil
}

func (p *Process) checkMetricsAddr() error {
	if p.MetricsAddr == "" {
		return nil
	}
	return CheckListenAddr("metrics-addr", p.MetricsAddr)
}

// CheckListenAddr returns a *UsageError when addr, the value of the flag (its name without dashes), isn't an address to
// listen on: host:port, where the host may be missing (all interfaces) and port 0 is any free one.
func CheckListenAddr(flag, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || !plausibleHost(host) {
		return WrongValue(flag, addr, "host:port or :port with a port from 0 to 65535, such as :9102 or 127.0.0.1:9102")
	}
	return nil
}

// plausibleHost refuses what never is a host, so that http://x:80 or "a b:80" is a wrong setting and not a failing look-up.
func plausibleHost(host string) bool {
	return !strings.ContainsAny(host, " \t\r\n/\\@,;\"'")
}
