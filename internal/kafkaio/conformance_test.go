package kafkaio_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"wordcount/internal/kafkaio/kafkaiotest"
)

// On Kafka itself the suite runs in module e2e, on the embedded broker in module standalone.
func TestConformanceOfKfake(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(6*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	kafkaiotest.Run(t, kafkaiotest.Broker{Addr: broker.ListenAddrs()[0]})
}
