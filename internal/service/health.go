package service

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Health tells whether the process is ready: /readyz is 200 when every part that was ever named is ready, at least one was
// named, and the process isn't stopping. All methods may be called concurrently, and on a nil *Health, which never is ready.
type Health struct {
	mu    sync.Mutex
	parts map[string]bool
	ctx   context.Context // of the run: over means stopping; nil: no end known
}

// SetReady records whether a part ("group", "broker", …) is ready. A part that isn't ready yet should be named early.
func (h *Health) SetReady(part string, ready bool) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parts == nil {
		h.parts = make(map[string]bool)
	}
	h.parts[part] = ready
}

// NotReady returns what keeps the process from being ready, sorted: the names of parts, or "starting" while no part was
// named, or "stopping". Empty: ready.
func (h *Health) NotReady() []string {
	if h == nil {
		return []string{"starting"}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx != nil && h.ctx.Err() != nil {
		return []string{"stopping"}
	}
	if len(h.parts) == 0 {
		return []string{"starting"}
	}
	var waiting []string
	for part, ready := range h.parts {
		if !ready {
			waiting = append(waiting, part)
		}
	}
	slices.Sort(waiting)
	return waiting
}

// endWith makes the process not ready from the moment that ctx is over, with no goroutine in between.
func (h *Health) endWith(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ctx = ctx
}

func (h *Health) serveReady(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if waiting := h.NotReady(); len(waiting) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "not ready: %s\n", strings.Join(waiting, ", "))
		return
	}
	io.WriteString(w, "ready\n")
}

func serveAlive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n")
}
