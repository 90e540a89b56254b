// Command standalone runs a Kafka broker in memory and the three services of the word count in one process.
package main

import (
	"context"

	"wordcount/internal/service"
	"wordcount/standalone"
)

const description = "Runs the whole word count in one process, with a Kafka broker in memory: shows the lines that are published, and the counts of their words every five seconds."

func main() {
	var cfg standalone.Config
	defaults := map[string]string{"metrics_addr": ":9101"}
	service.Main("standalone", description, &cfg, &cfg.Process, &cfg.Runtime, defaults, func(ctx context.Context) error {
		return standalone.Run(ctx, cfg)
	})
}
