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
		if _, err := s.receive(ctx, r); err != io.EOF {
			return fmt.Errorf("read lines of %s: %w", name, err)
		}
		return nil
	})
}
