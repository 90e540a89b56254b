package kafkaio

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// direct routes a kafka-go message to one broker, or to whichever answers. The message keeps kafka-go's encoding.
type direct struct {
	protocol.Message
	broker   int32
	clientID string
	version  int16
}

// anyBroker stands for whichever broker kafka-go has its control connection with.
const anyBroker int32 = -1

func (d *direct) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	if d.broker == anyBroker {
		return protocol.Broker{ID: anyBroker}, nil
	}
	return brokerOf(cluster, d.broker)
}

func (d *direct) Required(versions map[protocol.ApiKey]int16) bool {
	d.version = versions[d.ApiKey()]
	return true
}

func (d *direct) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	return protocol.RoundTrip(rw, d.version, 0, d.clientID, d.Message)
}

// exchange is a request and its response in Kafka's wire format. In the flexible versions (KIP-482) the body begins with the header's tagged fields.
// It implements protocol.Message, protocol.BrokerMessage and protocol.RawExchanger, so kafka-go's transport picks
// broker and connection, and the bytes are ours.
//
// An exchange whose round trip did not end with a response may still be under way on its connection, for as long as the
// round trip had: neither request nor response may be written to.
type exchange struct {
	key      protocol.ApiKey
	version  int16
	newer    bool // than any version that kafka-go knows: what the broker speaks cannot be told from what it reports
	broker   int32
	clientID string
	request  [][]byte // the body, in parts
	response []byte   // the body after the correlation id; its capacity is reused
	refused  error    // set when the broker does not speak the version
}

var errNotSpoken = errors.New("a newer Kafka is needed, 2.4 or later")

func (x *exchange) ApiKey() protocol.ApiKey { return x.key }

func (x *exchange) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	return brokerOf(cluster, x.broker)
}

func (x *exchange) Required(versions map[protocol.ApiKey]int16) bool {
	if v, ok := versions[x.key]; (!ok || v < x.version) && !x.newer {
		x.refused = finalError{fmt.Errorf("the broker does not speak %s version %d: %w", x.key, x.version, errNotSpoken)}
	}
	return true
}

func (x *exchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if x.refused != nil {
		return nil, x.refused
	}
	if err := x.write(rw); err != nil {
		return nil, err
	}
	return x, x.read(rw)
}

// writers gather the small parts of requests.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 16<<10) }}

func (x *exchange) write(w io.Writer) error {
	size := 2 + 2 + 4 + 2 + len(x.clientID)
	for _, part := range x.request {
		size += len(part)
	}
	header := make([]byte, 0, 64)
	header = appendInt32(header, int32(size))
	header = appendInt16(header, int16(x.key))
	header = appendInt16(header, x.version)
	header = appendInt32(header, 0) // one request at a time on a connection: no need of a correlation id
	header = appendString(header, x.clientID)
	out := writers.Get().(*bufio.Writer)
	out.Reset(w)
	defer func() {
		out.Reset(nil)
		writers.Put(out)
	}()
	out.Write(header) // a bufio.Writer keeps its first error until Flush
	for _, part := range x.request {
		out.Write(part)
	}
	return out.Flush()
}

func (x *exchange) read(r io.Reader) error {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:]))) - 4
	if size < 0 {
		return fmt.Errorf("%s response of %d bytes", x.key, size)
	}
	if cap(x.response) < size {
		x.response = make([]byte, size+size/4)
	}
	x.response = x.response[:size]
	_, err := io.ReadFull(r, x.response)
	return err
}

func brokerOf(cluster protocol.Cluster, id int32) (protocol.Broker, error) {
	if b, ok := cluster.Brokers[id]; ok {
		return b, nil
	}
	return protocol.Broker{ID: noLeader}, kafka.BrokerNotAvailable
}

func appendInt16(b []byte, v int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func appendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func appendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

func appendString(b []byte, s string) []byte { return append(appendInt16(b, int16(len(s))), s...) }

// appendNullableString writes the empty string as null.
func appendNullableString(b []byte, s string) []byte {
	if s == "" {
		return appendInt16(b, -1)
	}
	return appendString(b, s)
}

// cursor walks a response. Reading past the end gives zeros and sets short.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.b, c.short = nil, true
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) int16() int16 {
	if b := c.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// string reads a nullable string; null is empty.
func (c *cursor) string() string { return string(c.take(max(int(c.int16()), 0))) }

// bytes reads nullable bytes; null is empty.
func (c *cursor) bytes() []byte { return c.take(max(int(c.int32()), 0)) }

// count reads the length of a nullable array; an impossible one sets short.
func (c *cursor) count() int {
	n := int(c.int32())
	if n > len(c.b) { // every element takes at least a byte
		c.b, c.short = nil, true
		return 0
	}
	return max(n, 0)
}
