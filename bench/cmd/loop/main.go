// Command loop runs one of the loops that the counter is measured against: loop naive or loop tight, with flags.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"wordcount/bench/loop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := loop.Command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "loop:", err)
		os.Exit(1)
	}
}
