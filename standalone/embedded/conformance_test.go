package embedded

import (
	"testing"

	"wordcount/internal/kafkaio/kafkaiotest"
)

// The client that the services share keeps its promises on this broker.
func TestClientConformance(t *testing.T) {
	kafkaiotest.Run(t, kafkaiotest.Broker{Addr: start(t).Addr(), AppendTime: true, Apart: true})
}
