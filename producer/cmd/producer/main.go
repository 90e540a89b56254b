// Command producer publishes lines of a text file to Kafka; see producer --help.
package main

import (
	"context"

	"wordcount/internal/service"
	"wordcount/producer"
)

const description = "Publishes lines of a text file, chosen at random, to the Kafka topic of lines, one every two seconds or at a given rate, and shows those that Kafka has."

func main() {
	var cfg producer.Config
	defaults := map[string]string{"metrics_addr": ":9101"}
	service.Main("producer", description, &cfg, &cfg.Process, &cfg.Runtime, defaults, func(ctx context.Context) error {
		return producer.Run(ctx, cfg)
	})
}
