package service

import (
	"bytes"
	"context"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func unused(context.Context, *sampleConfig) error { panic("run was called") }

// parse returns the sample config as flags and environment make it.
func parse(t *testing.T, env variables, args ...string) (*sampleConfig, action, error) {
	t.Helper()
	p, config := sample(unused)
	s, err := newSettings(p, env.lookup)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := s.parse(args)
	return config, asked, err
}

func TestDefaults(t *testing.T) {
	got, asked, err := parse(t, nil)
	if err != nil || asked != runService {
		t.Fatalf("action %d, error %v", asked, err)
	}
	want := &sampleConfig{
		Process: Process{MetricsAddr: ":9199", LogLevel: "info", LogFormat: "text"},
		Kafka: Kafka{
			Brokers: []string{"localhost:9092"}, LinesTopic: "lines", CountsTopic: "word-counts", BatchesTopic: "batches",
			Partitions: 4, ReplicationFactor: 1,
		},
		Interval: 5 * time.Second, Rate: 1.5, Page: ":8080",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNoMetricsAddrWithoutDefault(t *testing.T) {
	p, config := sample(unused)
	p.defaults = nil
	s, err := newSettings(p, variables{}.lookup)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.parse(nil); err != nil || config.MetricsAddr != "" {
		t.Errorf("metrics address %q, error %v", config.MetricsAddr, err)
	}
}

func TestFlagBeatsEnvironmentBeatsDefault(t *testing.T) {
	tests := []struct {
		setting, variable        string
		args                     []string
		env                      string
		get                      func(*sampleConfig) any
		byFlag, byEnv, byDefault any
	}{
		{"text", "LINES_TOPIC", []string{"--lines-topic=flag"}, "env", func(c *sampleConfig) any { return c.LinesTopic }, "flag", "env", "lines"},
		{"number", "PARTITIONS", []string{"--partitions", "8"}, "7", func(c *sampleConfig) any { return c.Partitions }, 8, 7, 4},
		{"float", "SAMPLE_RATE", []string{"--rate=0.25"}, "3", func(c *sampleConfig) any { return c.Rate }, 0.25, 3.0, 1.5},
		{"duration", "SAMPLE_INTERVAL", []string{"--interval=1m"}, "2s", func(c *sampleConfig) any { return c.Interval }, time.Minute, 2 * time.Second, 5 * time.Second},
		{"switch", "PPROF", []string{"--pprof=false"}, "true", func(c *sampleConfig) any { return c.Pprof }, false, true, false},
		{"list", "KAFKA_BROKERS", []string{"--brokers=f:1", "--brokers=g:2,h:3"}, "e:4, i:5", func(c *sampleConfig) any { return strings.Join(c.Brokers, "|") }, "f:1|g:2|h:3", "e:4|i:5", "localhost:9092"},
		{"empty is off", "METRICS_ADDR", []string{"--metrics-addr=:1"}, "", func(c *sampleConfig) any { return c.MetricsAddr }, ":1", "", ":9199"},
	}
	for _, test := range tests {
		t.Run(test.setting, func(t *testing.T) {
			env := variables{test.variable: test.env}
			for _, run := range []struct {
				by   string
				env  variables
				args []string
				want any
			}{
				{"flag and environment", env, test.args, test.byFlag},
				{"flag", nil, test.args, test.byFlag},
				{"environment", env, nil, test.byEnv},
				{"default", nil, nil, test.byDefault},
			} {
				config, _, err := parse(t, run.env, run.args...)
				if err != nil {
					t.Fatalf("by %s: %v", run.by, err)
				}
				if got := test.get(config); got != run.want {
					t.Errorf("by %s: got %v, want %v", run.by, got, run.want)
				}
			}
		})
	}
}

func TestWrongVariableBehindAFlagIsNotUsed(t *testing.T) {
	config, _, err := parse(t, variables{"PARTITIONS": "many"}, "--partitions=3")
	if err != nil || config.Partitions != 3 {
		t.Errorf("got %d partitions, error %v", config.Partitions, err)
	}
}

func TestKongLeavesTheEnvironmentAlone(t *testing.T) {
	t.Setenv("PARTITIONS", "many")
	t.Setenv("LINES_TOPIC", "kong's")
	config, _, err := parse(t, nil)
	if err != nil || config.Partitions != 4 || config.LinesTopic != "lines" {
		t.Errorf("got %d partitions of %s, error %v", config.Partitions, config.LinesTopic, err)
	}
}

func TestEmptyVariablesCountAsNotSet(t *testing.T) {
	config, _, err := parse(t, variables{
		"PARTITIONS": "", "DURATION": "", "KAFKA_TLS": "", "KAFKA_BROKERS": "", "LOG_LEVEL": "", "LINES_TOPIC": "", "KAFKA_SASL_MECHANISM": "", "KAFKA_SASL_PASSWORD": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	if config.Partitions != 4 || config.LogLevel != "info" || config.LinesTopic != "lines" || len(config.Brokers) != 1 {
		t.Errorf("defaults are gone: %+v", config)
	}
}

func TestBytesThatAreNotUTF8StayAsTheyAre(t *testing.T) {
	config, _, err := parse(t, variables{"SAMPLE_NAMES": "b\xff"}, "--page=\xfe")
	if err != nil || config.Page != "\xfe" || len(config.Names) != 1 || config.Names[0] != "b\xff" {
		t.Errorf("got %q, %q, error %v", config.Page, config.Names, err)
	}
}

func TestSwitches(t *testing.T) {
	for text, want := range map[string]bool{"true": true, "TRUE": true, "1": true, "yes": true, "on": true, "false": false, "0": false, "no": false, "Off": false} {
		config, _, err := parse(t, variables{"PPROF": text})
		if err != nil || config.Pprof != want {
			t.Errorf("PPROF=%s: got %t, error %v", text, config.Pprof, err)
		}
	}
	if config, _, err := parse(t, nil, "--pprof", "--partitions=2"); err != nil || !config.Pprof {
		t.Errorf("--pprof alone: got %t, error %v", config.Pprof, err)
	}
}

// Every line that a person can be shown for a wrong setting of a process names the flag, the value and what is accepted.
// Those of Kafka settings are in kafka_test.go and security_test.go.
func TestWrongSettings(t *testing.T) {
	tests := []struct {
		args string
		env  variables
		want string
	}{
		{args: "--metrics-addr=9102", want: `--metrics-addr: "9102" is not accepted: want host:port or :port with a port from 0 to 65535, such as :9102 or 127.0.0.1:9102`},
		{args: "--metrics-addr=:70000", want: `--metrics-addr: ":70000" is not accepted: want host:port or :port with a port from 0 to 65535, such as :9102 or 127.0.0.1:9102`},
		{args: "--metrics-addr=http://x:80", want: `--metrics-addr: "http://x:80" is not accepted: want host:port or :port with a port from 0 to 65535, such as :9102 or 127.0.0.1:9102`},
		{args: "--metrics-addr=a/b:80", want: `--metrics-addr: "a/b:80" is not accepted: want host:port or :port with a port from 0 to 65535, such as :9102 or 127.0.0.1:9102`},
		{args: "--log-level=loud", want: `--log-level: "loud" is not accepted: want debug, info, warn or error`},
		{args: "--log-level=", want: `--log-level: "" is not accepted: want debug, info, warn or error`},
		{args: "--log-format=xml", want: `--log-format: "xml" is not accepted: want text or json`},
		{args: "--duration=-1s", want: `--duration: "-1s" is not accepted: want 0 (until stopped) or a positive duration such as 30s, 10m, 1h30m`},
		{args: "--duration=5", want: `--duration: "5" is not accepted: want a duration such as 250ms, 30s, 10m, 1h30m`},
		{args: "--duration -1s", want: `--duration: want a value after it; one that begins with - is written with =, as in --flag=-1`},
		{args: "--duration", want: `--duration: want a value after it; one that begins with - is written with =, as in --flag=-1`},
		{args: "--lines-topic --partitions=3", want: `--lines-topic: want a value after it; one that begins with - is written with =, as in --flag=-1`},
		{args: "--pprof=maybe", want: `--pprof: "maybe" is not accepted: want true or false`},
		{args: "--metrics-addr= --pprof", want: `--pprof is served on the metrics address, and there is none: set --metrics-addr`},
		{args: "--partitions=1.5", want: `--partitions: "1.5" is not accepted: want a whole number`},
		{args: "--count=99999999999999999999", want: `--count: "99999999999999999999" is not accepted: want a whole number of 64 bits`},
		{args: "--rate=fast", want: `--rate: "fast" is not accepted: want a number`},
		{args: "--interval=2m --duration=1m", want: `--interval is longer than --duration`},
		{args: "--colour=red", want: `unknown flag --colour; see sample --help`},
		{args: "--partition=3", want: `unknown flag --partition, did you mean "--partitions"?; see sample --help`},
		{args: "-x", want: `unknown flag -x, did you mean "-h"?; see sample --help`},
		{args: "start", want: `unexpected argument start; see sample --help`},
		{args: "--pprof true", want: `unexpected argument true; see sample --help`},
		{args: "-- start", want: `unexpected argument start; see sample --help`},

		{env: variables{"PARTITIONS": "many"}, want: `--partitions: "many" is not accepted: want a whole number (environment variable PARTITIONS)`},
		{env: variables{"PPROF": "maybe"}, want: `--pprof: "maybe" is not accepted: want true or false (environment variable PPROF)`},
		{env: variables{"DURATION": "1"}, want: `--duration: "1" is not accepted: want a duration such as 250ms, 30s, 10m, 1h30m (environment variable DURATION)`},
		{env: variables{"LOG_LEVEL": "loud"}, want: `--log-level: "loud" is not accepted: want debug, info, warn or error (environment variable LOG_LEVEL)`},
		{env: variables{"DURATION": "1s"}, want: `--interval is longer than --duration (environment variable DURATION)`},
		{env: variables{"DURATION": "1s", "SAMPLE_INTERVAL": "2s"}, want: `--interval is longer than --duration (environment variables SAMPLE_INTERVAL, DURATION)`},
		{env: variables{"DURATION": "1s", "SAMPLE_INTERVAL": "2s"}, args: "--duration=1s", want: `--interval is longer than --duration (environment variable SAMPLE_INTERVAL)`},
	}
	for _, test := range tests {
		args := strings.Fields(test.args)
		_, _, err := parse(t, test.env, args...)
		var got string
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s %v:\ngot  %s\nwant %s", test.args, test.env, got, test.want)
		}
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	p, _ := sample(unused)
	env := variables{"KAFKA_SASL_PASSWORD": "s3cret", "PARTITIONS": "many"} // --help works with wrong settings and shows no values
	if status := p.start(host{args: []string{"--help"}, lookupEnv: env.lookup, stdout: &stdout, stderr: &stderr}); status != exitGraceful {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	const golden = "testdata/help.txt"
	if *update {
		if err := os.WriteFile(golden, stdout.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := stdout.String(); got != string(want) {
		t.Errorf("--help differs from %s (go test -update writes it anew):\n%s", golden, got)
	}
}

// A pointer has no default, but its nil has a meaning.
func TestHelpSaysWhatUnsetMeans(t *testing.T) {
	var stdout bytes.Buffer
	p, _ := sample(unused)
	p.config = &struct {
		Process
		File *string `env:"FILE" unset:"messages.txt"`
	}{}
	p.start(host{args: []string{"--help"}, lookupEnv: variables{}.lookup, stdout: &stdout, stderr: &stdout})
	if !strings.Contains(stdout.String(), "[default: messages.txt; env: FILE]") {
		t.Errorf("--help:\n%s", stdout.String())
	}
}

// The golden file proves the layout of the sample; this proves that nothing can be left out of it.
func TestHelpListsEverySetting(t *testing.T) {
	var stdout bytes.Buffer
	p, config := sample(unused)
	p.start(host{args: []string{"-h"}, lookupEnv: variables{}.lookup, stdout: &stdout, stderr: &stdout})
	settings := 0
	var walk func(reflect.Type)
	walk = func(structure reflect.Type) {
		for field := range structure.Fields() {
			if _, ok := field.Tag.Lookup("embed"); ok || field.Anonymous {
				walk(field.Type)
				continue
			}
			variable, ok := field.Tag.Lookup("env")
			if !ok {
				continue
			}
			settings++
			initial := field.Tag.Get("default")
			switch {
			case field.Name == "MetricsAddr":
				initial = ":9199"
			case field.Type.Kind() == reflect.Bool:
				initial = "false"
			case initial == "":
				initial = "none"
			}
			if want := "[default: " + initial + "; env: " + variable + "]"; !strings.Contains(stdout.String(), want) {
				t.Errorf("%s: --help has no %q", field.Name, want)
			}
		}
	}
	walk(reflect.TypeOf(*config))
	if settings != 24 {
		t.Errorf("found %d settings of the sample, expected 24", settings)
	}
}

func TestOneVariableForASetting(t *testing.T) {
	p, _ := sample(unused)
	p.config = &struct {
		Process
		Twice string `env:"A,B"`
	}{}
	if _, err := newSettings(p, variables{}.lookup); err == nil || !strings.Contains(err.Error(), "--twice has several environment variables, A, B") {
		t.Errorf("got error %v", err)
	}
}
