package kafkaio

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
)

// What was left of a request whose connection broke is in no later one.
func TestRequestAfterOneThatFailed(t *testing.T) {
	lost := exchange{key: protocol.Fetch, clientID: "lost", request: [][]byte{bytes.Repeat([]byte("lost"), 1000)}}
	sent := exchange{key: protocol.Produce, clientID: "sent", request: [][]byte{[]byte("one"), bytes.Repeat([]byte("two"), 10_000)}}
	closed, other := io.Pipe()
	closed.Close()
	for range 10 { // under the race detector sync.Pool drops some of what was put
		if err := lost.write(other); !errors.Is(err, io.ErrClosedPipe) {
			t.Fatalf("on a broken connection: %v", err)
		}
		var got bytes.Buffer
		if err := sent.write(&got); err != nil {
			t.Fatal(err)
		}
		want := "\x00\x00\x75\x41" + "\x00\x00" + "\x00\x00" + "\x00\x00\x00\x00" + "\x00\x04sent" + "one" + string(bytes.Repeat([]byte("two"), 10_000))
		if got.String() != want {
			t.Fatalf("%d bytes, %.40q…; want %d, %.40q…", got.Len(), got.String(), len(want), want)
		}
	}
}
