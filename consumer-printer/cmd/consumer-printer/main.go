// Command consumer-printer shows the batches of the word count as Spark Streaming's pprint would. See --help.
package main

import (
	"context"
	_ "time/tzdata" // --time-zone works in an image without a file system too

	printer "wordcount/consumer-printer"
	"wordcount/internal/service"
)

func main() {
	var cfg printer.Config
	service.Main("consumer-printer", "Show the counted words of each batch.", &cfg, &cfg.Process, &cfg.Runtime,
		map[string]string{"metrics_addr": ":9103"},
		func(ctx context.Context) error { return printer.Run(ctx, cfg) })
}
