package service

import (
	"context"
	"errors"
	"time"
)

// sampleConfig is a service's Config as they all are made, with one setting of each kind.
type sampleConfig struct {
	Process
	Kafka
	Interval time.Duration `default:"5s" env:"SAMPLE_INTERVAL" placeholder:"DURATION" help:"Time between two samples."`
	Rate     float64       `default:"1.5" env:"SAMPLE_RATE" placeholder:"N" help:"Samples per second."`
	Names    []string      `env:"SAMPLE_NAMES" placeholder:"NAME" help:"Who takes part."`
	Page     string        `default:":8080" env:"SAMPLE_PAGE" off:"empty" placeholder:"HOST:PORT" group:"Page of the sample:" help:"Address of the page."`
	Count    int64         `group:"Page of the sample:" default:"0" env:"SAMPLE_COUNT" placeholder:"N" help:"Samples on the page, 0 for all."`
	Runtime  Runtime       `kong:"-"`
}

var errInterval = errors.New("--interval is longer than --duration")

func (c sampleConfig) Validate() error {
	if c.Duration > 0 && c.Interval > c.Duration {
		return errInterval
	}
	return nil
}

// sample returns a program with that config, and the config that parsing fills.
func sample(run func(context.Context, *sampleConfig) error) (program, *sampleConfig) {
	config := &sampleConfig{}
	return program{
		name:        "sample",
		description: "Takes samples, for tests.",
		config:      config,
		process:     &config.Process,
		runtime:     &config.Runtime,
		defaults:    map[string]string{"metrics_addr": ":9199"},
		run:         func(ctx context.Context) error { return run(ctx, config) },
	}, config
}

// variables is an environment of a test.
type variables map[string]string

func (v variables) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}
