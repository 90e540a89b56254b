// Package loop holds what the counter is measured against: two loops over franz-go that count the same words in the same windows and
// write the same rows, but hold everything in memory and lose or double counts when they are killed. Naive is written the
// plain way, Tight as somebody would who wants it fast.
package loop

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Config is what both need.
type Config struct {
	Brokers  []string
	Lines    string        // topic to count, what is there at the start
	Counts   string        // topic to write, which must be there
	Interval time.Duration // of a window, by the records' times
}

// ends returns the offset after the last record of each partition of a topic.
func ends(ctx context.Context, client *kgo.Client, topic string) (map[int32]int64, error) {
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list the end offsets of %s: %w", topic, err)
	}
	ends := make(map[int32]int64)
	listed.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			ends[o.Partition] = o.Offset
		}
	})
	return ends, nil
}
