package page

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"wordcount/internal/wire"
)

const (
	// mostViewers is how many streams may be open: each costs a connection and a goroutine, nothing else.
	mostViewers = 1000
	// mostPlaces is for how many places at which viewers stand an event is kept: nearly all stand at the newest batch but one, or
	// have just come.
	mostPlaces = 8
	// heartbeat is how often a stream tells the time, so that ages are right, and both ends see a connection that is gone.
	heartbeat = 15 * time.Second
	// patience is how long an event may take to be sent. A viewer that is slower is cut off, and comes back for what it missed.
	patience = 10 * time.Second
	// pause is the least time between two events of a stream: while old batches are read, many come at once.
	pause = 200 * time.Millisecond
	// retry is when a browser is to come back.
	retry = time.Second
)

// serveEvents streams the batches: those that end after the last event that the viewer got, then each as it comes. Every event
// holds all batches since the one before, so a viewer that is slow gets fewer and larger ones, and needs no queue.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	last, err := lastEvent(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // proxies are to pass events on at once
	if r.Method == http.MethodHead {
		return
	}
	select {
	case p.viewers <- struct{}{}:
		defer func() { <-p.viewers }()
	default:
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d viewers are here already: try again later", mostViewers))
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the request is here; unlike the answer it has no end
	send := func(event []byte) bool {
		if control.SetWriteDeadline(time.Now().Add(patience)) != nil {
			return false
		}
		if _, err := w.Write(event); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	if !send(fmt.Appendf(p.clock(), "retry: %d\n\n", retry.Milliseconds())) {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		event, newest, changed := p.history.event(last)
		if event != nil {
			if !send(event) {
				return
			}
			last = newest
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return
			case <-p.closing:
				return
			}
		}
		select {
		case <-changed:
		case <-beat.C:
			if !send(p.clock()) {
				return
			}
		case <-r.Context().Done():
			return
		case <-p.closing:
			return
		}
	}
}

// event returns the event with the batches that end after last, nil when there are none, with the end of the newest, and what
// is closed when there are more. It is made once for all viewers that stand at the same place.
func (h *history) event(last int64) (event []byte, newest int64, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	batches := h.after(last)
	if len(batches) == 0 {
		return nil, last, h.changed
	}
	first := batches[0].WindowEnd
	newest = batches[len(batches)-1].WindowEnd
	if event = h.events[first]; event == nil {
		event = fmt.Appendf(nil, "id: %d\nevent: batches\ndata: ", newest)
		event = append(appendEvent(event, batches, h.lately()), "\n\n"...)
		if h.events == nil {
			h.events = make(map[int64][]byte)
		}
		if len(h.events) < mostPlaces {
			h.events[first] = event
		}
	}
	return event, newest, h.changed
}

// clock is the event by which a viewer knows the time here, so that ages are right whatever its own clock says.
func (p *Page) clock() []byte {
	return append(wire.AppendTime([]byte("event: clock\ndata: {\"now\":\""), p.now().UnixMilli()), "\"}\n\n"...)
}

// lastEvent is where a viewer stands: what it says that it got last (a browser that reconnects), or asks for.
func lastEvent(r *http.Request) (int64, error) {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = r.URL.Query().Get("last_event_id")
	}
	if id == "" {
		return 0, nil
	}
	last, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("Last-Event-ID: %.40q is not accepted: want the id of an event", id)
	}
	return last, nil
}
