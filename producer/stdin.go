package producer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// newStdin returns the lines of standard input, which end with it.
func newStdin(r io.Reader, log *slog.Logger, m *metrics) *streamSource {
	const name = "standard input"
	return newStreamSource(name, log, m.refused, func(ctx context.Context, s *streamSource) error {
		_, ended, err := s.receive(ctx, r)
		if err == nil && ended != io.EOF {
			err = fmt.Errorf("read lines of %s: %w", name, ended)
		}
		return err
	})
}
