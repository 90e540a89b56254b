package embedded

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequestBytes is Kafka's socket.request.max.bytes. It also ends connections
// that speak another protocol: read as a size, "GET " and a TLS hello are larger.
const maxRequestBytes = 100 << 20

// conn is a client's connection as kfake sees it. It passes requests through,
// remembers what they ask, and completes the responses to Produce and Fetch
// (appendtime.go) and to OffsetFetch (openoffsets.go).
//
// It rests on two habits of kfake at the version in go.mod: it reads at most one
// request ahead of the response it owes, and it writes each response by one Write.
type conn struct {
	net.Conn
	listener *listener

	// The request being read; the reading goroutine's.
	head []byte // of the request's size and first bytes, what was not passed on yet
	rest int    // bytes after those

	mu    sync.Mutex
	calls []call // the requests read lately, oldest first
}

type call struct {
	correlation  int32
	key, version int16
	request      kmsg.Request // where openOffsets follows it, else nil
	unstable     unstable     // when it was asked
}

// requestHead is a request's size, API key, version and correlation id.
const requestHead = 12

// responseHead is a response's size and correlation id.
const responseHead = 8

// Read passes requests on, each whole; a request that kfake could not stand is
// an error, upon which it closes the connection.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) == 0 && c.rest == 0 {
		if err := c.readHead(); err != nil {
			return 0, err
		}
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.rest)])
	c.rest -= n
	return n, err
}

func (c *conn) readHead() error {
	var head [requestHead]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size < requestHead-4 || size > maxRequestBytes {
		return fmt.Errorf("request of %d bytes from %s: not Kafka's protocol, or too large", size, c.RemoteAddr())
	}
	asked := call{
		key:         int16(binary.BigEndian.Uint16(head[4:])),
		version:     int16(binary.BigEndian.Uint16(head[6:])),
		correlation: int32(binary.BigEndian.Uint32(head[8:])),
	}
	if kmsg.RequestForKey(asked.key) == nil {
		return fmt.Errorf("request with unknown key %d from %s", asked.key, c.RemoteAddr())
	}
	c.head = head[:]
	c.rest = int(size) - (requestHead - 4)
	if follows(kmsg.Key(asked.key)) {
		whole := make([]byte, requestHead+c.rest)
		copy(whole, c.head)
		if _, err := io.ReadFull(c.Conn, whole[requestHead:]); err != nil {
			return err
		}
		c.head, c.rest = whole, 0
		if asked.request = decodeRequest(asked, whole[requestHead:]); asked.request != nil {
			asked.unstable = c.listener.openOffsets.asked(asked.request)
		}
	}
	c.remember(asked)
	return nil
}

// decodeRequest returns what was asked, nil when it cannot be read: kfake refuses that. The rest of the request
// follows the correlation id.
func decodeRequest(asked call, rest []byte) kmsg.Request {
	r := kbin.Reader{Src: rest}
	r.NullableString() // client id
	request := kmsg.RequestForKey(asked.key)
	request.SetVersion(asked.version)
	if request.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if !r.Ok() || request.ReadFrom(r.Src) != nil {
		return nil
	}
	return request
}

// decodeResponse returns the answer to what was asked, and where its body starts; false when it cannot be read.
func decodeResponse(asked call, response []byte) (answer kmsg.Response, body int, ok bool) {
	answer = kmsg.ResponseForKey(asked.key)
	answer.SetVersion(asked.version)
	body = responseHead
	if answer.IsFlexible() {
		body++ // no tagged fields
	}
	return answer, body, len(response) >= body && answer.ReadFrom(response[body:]) == nil
}

// encodeResponse returns a copy of a response with another answer.
func encodeResponse(answer kmsg.Response, response []byte, body int) []byte {
	out := answer.AppendTo(response[:body:body])
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

func (c *conn) remember(asked call) {
	const most = 8 // more than kfake reads ahead; a Produce with acks=0 is never answered
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) == most {
		c.calls = c.calls[:copy(c.calls, c.calls[1:])]
	}
	c.calls = append(c.calls, asked)
}

// answered forgets the call and returns it.
func (c *conn) answered(correlation int32) (call, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, asked := range c.calls {
		if asked.correlation == correlation {
			c.calls = c.calls[:copy(c.calls, c.calls[i+1:])]
			return asked, true
		}
	}
	return call{}, false
}

// Write sends a response. It may change p, which is kfake's own buffer of one
// response, where net.Conn's contract says that Write does not.
func (c *conn) Write(p []byte) (int, error) {
	response := p
	if len(p) >= responseHead && int(binary.BigEndian.Uint32(p)) == len(p)-4 {
		if asked, ok := c.answered(int32(binary.BigEndian.Uint32(p[4:]))); ok {
			response = c.complete(asked, p)
		}
	}
	if _, err := c.Conn.Write(response); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *conn) complete(asked call, response []byte) []byte {
	switch key := kmsg.Key(asked.key); {
	case key == kmsg.Produce || key == kmsg.Fetch:
		return c.listener.appendTimes.complete(asked, response)
	case asked.request != nil:
		return c.listener.openOffsets.complete(asked, response)
	}
	return response
}

func (c *conn) Close() error {
	c.listener.forget(c)
	return c.Conn.Close()
}
