package producer

import (
	"context"
	"fmt"
	"math/rand/v2"

	"wordcount/internal/kafkaio"
)

// part is the producer's name in /readyz.
const part = "producer"

// Run publishes lines until --count is reached, the source ends, or ctx does. It returns nil when every line that was chosen
// is acknowledged.
func Run(ctx context.Context, cfg Config) error {
	rt := cfg.Runtime
	m := newMetrics(rt.Metrics)
	rt.Health.SetReady(part, false)

	source, origin, err := open(ctx, cfg, m)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer source.Close()
	var published func(lines []byte)
	if cfg.Listen != "" {
		server, err := listen(cfg.Listen, rt.Stdout, rt.Log, m)
		if err != nil {
			return err
		}
		defer server.close()
		published = server.send
		rt.Log.Info("sending published lines to socket clients", "listen", server.listener.Addr())
	}

	clientConfig, err := cfg.Kafka.ClientConfig("wordcount-producer", rt.Log)
	if err != nil {
		return err
	}
	clientConfig.Topics = []string{cfg.LinesTopic}
	client := kafkaio.NewClient(clientConfig)
	defer client.Close()
	kafka, err := connect(ctx, client, cfg)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	room := kafka.MaxBatchBytes() - kafkaio.BatchOverhead - kafkaio.RecordOverhead
	if room < 1 {
		return fmt.Errorf("topic %s takes no line at all: its max.message.bytes is %d; raise it (1 MiB is Kafka's default)", cfg.LinesTopic, kafka.MaxBatchBytes())
	}
	if err := source.Limit(room); err != nil {
		return err
	}

	p := &pipeline{
		source:       source,
		kafka:        kafka,
		rate:         cfg.linesPerSecond(),
		count:        cfg.Count,
		metrics:      m,
		log:          rt.Log,
		acknowledged: cfg.Acknowledged,
		published:    published,
		flushTime:    flushTime,
	}
	switch {
	case cfg.asTheyCome():
		p.echo, p.few = newEcho(rt.Stdout), &few{}
	case p.rate > 0 && p.rate <= echoRate:
		p.echo = newEcho(rt.Stdout)
	}
	rt.Log.Info("publishing", append([]any{"topic", cfg.LinesTopic, "partitions", kafka.Partitions()}, origin...)...)
	rt.Health.SetReady(part, true)
	return p.run(ctx)
}

// open returns the source that the settings ask for, and what the log says of it.
func open(ctx context.Context, cfg Config, m *metrics) (source Source, origin []any, err error) {
	if addr, ok := cfg.socket(); ok {
		return newSocket(addr, cfg.Runtime, m), []any{"source", cfg.Source}, nil
	}
	if cfg.Source == fromStdin {
		return newStdin(cfg.Runtime.Stdin, cfg.Runtime.Log, m), []any{"source", cfg.Source}, nil
	}
	if cfg.order() == sequential {
		s, err := openSequential(ctx, cfg.file(), cfg.Loop)
		if err != nil {
			return nil, nil, err
		}
		return s, []any{"file", s.path, "lines_in_file", s.lines, "order", sequential, "loop", s.loop}, nil
	}
	seed := cfg.Seed
	for seed == 0 {
		seed = rand.Int64()
	}
	s, err := openFile(ctx, cfg.file(), seed)
	if err != nil {
		return nil, nil, err
	}
	return s, []any{"file", s.path, "lines_in_file", s.text.len(), "order", random, "seed", seed}, nil
}

// connect waits for Kafka, creates the topic of lines unless it is there, and gets a producer id.
func connect(ctx context.Context, client *kafkaio.Client, cfg Config) (*kafkaio.Producer, error) {
	_, err := client.EnsureTopic(ctx, kafkaio.TopicSpec{
		Name:              cfg.LinesTopic,
		Partitions:        cfg.Partitions,
		ReplicationFactor: cfg.ReplicationFactor,
		Settings:          map[string]string{"message.timestamp.type": "LogAppendTime"},
	})
	if err != nil {
		return nil, err
	}
	p, err := client.NewProducer(ctx, cfg.LinesTopic)
	if err != nil {
		return nil, fmt.Errorf("prepare to produce to %s: %w", cfg.LinesTopic, err)
	}
	return p, nil
}

// unlessStopped is err, or nil when it only says that ctx ended: nothing was chosen yet, so the stop is graceful.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
