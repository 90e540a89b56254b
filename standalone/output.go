package standalone

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// output lets the services share standard output: every Write stays whole.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// terminal is an output that leads to a file, which may be a terminal.
type terminal struct {
	*output
	file interface{ Fd() uintptr }
}

// Fd returns the descriptor, by which the printer knows a terminal and its width.
func (t terminal) Fd() uintptr { return t.file.Fd() }

// newOutput shares w.
func newOutput(w io.Writer) io.Writer {
	o := &output{w: w}
	if file, ok := w.(interface{ Fd() uintptr }); ok {
		return terminal{o, file}
	}
	return o
}

// quiet is a log handler for the services: what they call information is a debugging aid here, where people want to see the
// lines and the batches.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, demoted(level))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = demoted(r.Level)
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }

func demoted(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}
