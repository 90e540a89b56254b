package producer

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// broker is a Kafka in memory that can go away.
type broker struct {
	*kfake.Cluster
	addr string
	away atomic.Bool
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &broker{Cluster: cluster, addr: cluster.ListenAddrs()[0]}
	cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if b.away.Load() {
			return nil, errors.New("away"), true // closes the connection
		}
		return nil, nil, false
	})
	return b
}

// SetReachable(false) hangs up on every request until SetReachable(true).
func (b *broker) SetReachable(reachable bool) { b.away.Store(!reachable) }
