package producer

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// streamBuffers of streamBuffer bytes are read ahead at most. When they are full, nothing is read until lines are
	// published: the writer feels that Kafka is slow or away.
	streamBuffers = 4
	streamBuffer  = 64 << 10

	// complainAgain is how often lines that are too long are logged, at most.
	complainAgain = 10 * time.Second
)

// streamSource is the lines of a byte stream, or of several that follow each other. A goroutine reads, so that Next can end
// with its context even where a read can't be interrupted, as of a terminal.
type streamSource struct {
	name    string // for a person
	feed    func(ctx context.Context, s *streamSource) error
	log     *slog.Logger
	refused prometheus.Counter

	// The reader gets empty buffers and sends full ones; a nil one is the end of a stream that brought something. It closes
	// chunks after the last. Sending never waits, for there is room for every buffer, an end after each, and the end of one
	// that was given back before its end was taken.
	free   chan []byte
	chunks chan []byte
	err    error // why it ended, once chunks is closed
	stop   context.CancelFunc

	// Next's own.
	lines    splitter
	chunk    []byte // the buffer that is being split
	ready    [][]byte
	number   int64 // of the line, in all streams
	complain complaint
}

// newStreamSource returns a source that is fed once it knows its limit. feed calls receive for each stream; its error, but
// for ctx's, is the source's, and nil its end.
func newStreamSource(name string, log *slog.Logger, refused prometheus.Counter, feed func(context.Context, *streamSource) error) *streamSource {
	s := &streamSource{name: name, feed: feed, log: log, refused: refused, stop: func() {},
		free: make(chan []byte, streamBuffers), chunks: make(chan []byte, 2*streamBuffers+1)}
	for range streamBuffers {
		s.free <- make([]byte, streamBuffer)
	}
	return s
}

// Limit begins to read: before it, nobody would take the lines.
func (s *streamSource) Limit(maxBytes int) error {
	s.lines.limit = maxBytes
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	go func() {
		defer close(s.chunks)
		s.err = s.feed(ctx, s)
	}()
	return nil
}

// receive reads n bytes of r, to its end, as fast as lines are taken. The error is why it ended: r's, as io.EOF, or ctx's.
func (s *streamSource) receive(ctx context.Context, r io.Reader) (n int64, err error) {
	for {
		var buffer []byte
		select {
		case buffer = <-s.free:
		case <-ctx.Done():
			return n, ctx.Err()
		}
		got, err := r.Read(buffer)
		n += int64(got)
		if got > 0 {
			s.chunks <- buffer[:got]
		} else {
			s.free <- buffer
		}
		if err != nil {
			if n > 0 {
				s.chunks <- nil
			}
			return n, err
		}
	}
}

// Next returns the next line, with those that end in what was read with it. Lines longer than the limit are left out, logged and counted.
func (s *streamSource) Next(ctx context.Context, n int) ([][]byte, error) {
	s.ready = s.ready[:0]
	for len(s.ready) < n {
		if err := ctx.Err(); err != nil && len(s.ready) == 0 {
			return nil, err
		}
		p, ok := s.lines.next()
		if !ok && len(s.ready) > 0 {
			break
		}
		if !ok {
			var err error
			if p, ok, err = s.more(ctx); err != nil {
				return nil, err
			}
		}
		if !ok {
			continue
		}
		s.number++
		if p.long {
			s.refuse(p.bytes)
			continue
		}
		s.ready = append(s.ready, p.line)
	}
	return s.ready, nil
}

// more waits for the next chunk. At the end of a stream it may return the line that had no end.
func (s *streamSource) more(ctx context.Context) (p piece, ok bool, err error) {
	if s.chunk != nil {
		s.free <- s.chunk[:cap(s.chunk)]
		s.chunk = nil
	}
	select {
	case chunk, more := <-s.chunks:
		switch {
		case !more && s.err != nil:
			return p, false, s.err
		case !more:
			return p, false, io.EOF
		case chunk == nil:
			p, ok = s.lines.end()
			return p, ok, nil
		}
		s.chunk = chunk
		s.lines.add(chunk)
		return p, false, nil
	case <-ctx.Done():
		return p, false, ctx.Err()
	}
}

func (s *streamSource) refuse(bytes int) {
	s.refused.Inc()
	if others, due := s.complain.due(time.Now()); due {
		s.log.Warn("a line was left out: it is longer than the topic takes; shorten it, or raise the topic's max.message.bytes",
			"source", s.name, "line", s.number, "bytes", bytes, "most", s.lines.limit, "others_since_last_said", others)
	}
}

// Close ends reading; a read that can't be interrupted ends with the process. What was read and not published is logged.
func (s *streamSource) Close() error {
	s.stop()
	unpublished := s.lines.unpublished()
	for {
		select {
		case chunk, more := <-s.chunks:
			if more {
				unpublished += len(chunk)
				continue
			}
		default:
		}
		break
	}
	if unpublished > 0 {
		s.log.Warn("stopped before everything that was read is published", "source", s.name, "bytes", unpublished)
	}
	return nil
}

// complaint keeps one kind of line in the log from becoming many.
type complaint struct {
	said   time.Time
	unsaid int
}

// due tells whether to say it, and how often it was not said since the last time.
func (c *complaint) due(now time.Time) (unsaid int, due bool) {
	if !c.said.IsZero() && now.Sub(c.said) < complainAgain {
		c.unsaid++
		return 0, false
	}
	unsaid = c.unsaid
	c.said, c.unsaid = now, 0
	return unsaid, true
}
