// Command producer publishes lines of a file, a socket or standard input to Kafka; see producer --help.
package main

import (
	"context"

	"wordcount/internal/service"
	"wordcount/producer"
)

const description = "Publishes lines to the Kafka topic of lines: of a text file, one every two seconds or at a given rate; of a socket or of standard input, as they come. Shows those that Kafka has, while they are few."

func main() {
	var cfg producer.Config
	defaults := map[string]string{"metrics_addr": ":9101"}
	service.Main("producer", description, &cfg, &cfg.Process, &cfg.Runtime, defaults, func(ctx context.Context) error {
		return producer.Run(ctx, cfg)
	})
}
