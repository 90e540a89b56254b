package producer

import "context"

// Source is where lines come from. One goroutine calls it.
type Source interface {
	// Limit tells, once and before the first Next, how long a line may be, in bytes. The error is for a person, when the
	// source knows already that it has a longer one and does not leave that one out.
	Limit(maxBytes int) error

	// Next returns the next lines to publish, 1 to n, each of at most the limit, without \n. It waits for the first one only: what is there
	// with it comes with it, if that is as fast. The lines are valid until the next call. Next returns io.EOF after the last line of a source that
	// has one, and ctx's error when ctx ends. After an error it is not called again.
	Next(ctx context.Context, n int) ([][]byte, error)

	// Close frees what the source holds; it is called once, after the last Next has returned.
	Close() error
}
