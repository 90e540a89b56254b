package e2e

import (
	"context"
	"testing"
	"time"

	"wordcount/internal/kafkaio/kafkaiotest"
)

// The client that the services share keeps its promises on a real Kafka, through lost answers, lost connections, and restarts
// of the broker by SIGKILL and in peace.
func TestClientConformance(t *testing.T) {
	kafka := realKafka(t)
	graces := []time.Duration{0, 30 * time.Second}
	kafkaiotest.Run(t, kafkaiotest.Broker{
		Addr: kafka.Address, AppendTime: true, Apart: true, Strict: true,
		Restart: func(ctx context.Context) error {
			grace := graces[0]
			graces = append(graces[1:], grace)
			return kafka.Restart(ctx, grace)
		},
	})
}
