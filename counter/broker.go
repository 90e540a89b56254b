package counter

import (
	"context"
	"time"

	"wordcount/internal/kafkaio"
)

// broker is what the tasks ask of Kafka: the methods of *kafkaio.Client, whose contracts hold. Everything else that a
// task does is time and arithmetic, so a test with a broker in memory and a clock of its own (testing/synctest) drives
// the very functions that run in production.
type broker interface {
	Partitions(ctx context.Context, topic string) (int, error)
	TopicID(ctx context.Context, topic string) (kafkaio.TopicID, error)
	Offset(ctx context.Context, topic string, partition int32, at int64) (int64, error)
	Committed(ctx context.Context, group, topic string, partitions []int32) ([]kafkaio.Offset, error)
	DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error
	NewTransactional(ctx context.Context, id string, f kafkaio.Footprint) (transactional, error)
	NewReader(positions []kafkaio.Position) reader
}

// transactional is a *kafkaio.Transactional.
type transactional interface {
	Prepare(ctx context.Context, in kafkaio.Place, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, bool, error)
	Commit(ctx context.Context, in kafkaio.Place, outputs []kafkaio.Output, offsets []kafkaio.Offset) ([]kafkaio.Ack, error)
	Settled(ctx context.Context) error
}

// reader is a *kafkaio.Reader.
type reader interface {
	Poll(ctx context.Context, maxWait time.Duration) ([]*kafkaio.Fetched, error)
	Seek(topic string, partition int32, offset int64)
	Pause(topic string, partition int32, paused bool)
	Close()
}

// cluster is the broker of production.
type cluster struct{ *kafkaio.Client }

func (c cluster) NewTransactional(ctx context.Context, id string, f kafkaio.Footprint) (transactional, error) {
	return c.Client.NewTransactional(ctx, id, f)
}

func (c cluster) NewReader(positions []kafkaio.Position) reader { return c.Client.NewReader(positions) }

// membership is a *kafkaio.Member.
type membership interface {
	Next(ctx context.Context, owned map[string][]int32) (assignment, error)
}

// assignment is what this counter has in one generation of the group: a *kafkaio.Assignment.
type assignment struct {
	kafkaio.Generation
	partitions map[string][]int32 // by topic
	ctx        context.Context    // ends when the group joins again
	heartbeat  func(context.Context) error
}

// group is the membership of production.
type group struct{ *kafkaio.Member }

func (g group) Next(ctx context.Context, owned map[string][]int32) (assignment, error) {
	a, err := g.Member.Next(ctx, owned)
	if err != nil {
		return assignment{}, err
	}
	return assignment{a.Generation, a.Partitions, a.Context(), a.Heartbeat}, nil
}
