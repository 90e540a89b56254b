// Command counter counts the words of lines on Kafka in micro-batches, exactly once.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"wordcount/counter"
	"wordcount/internal/service"
)

func main() {
	// Nearly all of the heap is tables and buffers without pointers, so a collection costs little, and less memory is a gain.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	var cfg counter.Config
	service.Main("counter", "Counts the words of the lines on a Kafka topic in micro-batches, exactly once, at any number of instances.",
		&cfg, &cfg.Process, &cfg.Runtime, map[string]string{"metrics_addr": ":9102"},
		func(ctx context.Context) error { return counter.Run(ctx, cfg) })
}
