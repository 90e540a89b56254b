// Package counter counts the words of lines by window, exactly once, at any number of instances: what
//
//	lines.flatMap(split(" ")).map((word, 1)).reduceByKey(+)
//
// does in a Spark Streaming job, over Kafka's partitions, consumer group and transactions.
//
// A line goes lines → combine (a slot's lines added up by window) → shuffle topic → reduce (a partition's words summed
// by window) → word-counts and batches. See docs/architecture.md, and docs/delivery.md for why nothing is
// lost or doubled.
//
// Metrics, all with the prefix wordcount_counter_:
//
//	batch_latency_seconds, batch_scheduling_delay_seconds, batch_processing_seconds   histograms of each closed share of a batch
//	behind_seconds                                                                    gauge, catching up or on time
//	batch_interval_seconds, grace_seconds                                             gauges, the settings, for dashboards and alerts
//	lines_total, words_total, late_lines_total, cut_words_total, lost_offsets_total   counters, of what combine committed
//	batches_total, skipped_windows_total                                              counters, by slot 0 only
//	watermark_timestamp_seconds{partition}, lag_lines{partition}                      gauges, of the partitions read here
//	transactions_total{stage,outcome}, transaction_seconds{stage}, tasks{stage}       by combine and reduce
//	rebalances_total                                                                  counter
package counter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"wordcount/internal/kafkaio"
	"wordcount/internal/service"
)

const retentionOfOutput = 7 * 24 * time.Hour

// Run counts until ctx ends, and then stops gracefully: what was read is committed, what has closed is written, the group
// is left. With AvailableNow it returns when all that was there is counted. The error is a *service.UsageError for what
// a setting can mend.
func Run(ctx context.Context, cfg Config) error {
	log := cfg.Runtime.Log
	clientConfig, err := cfg.ClientConfig("wordcount-counter", log)
	if err != nil {
		return err
	}
	clientConfig.Topics = []string{cfg.LinesTopic, cfg.shuffleTopic(), cfg.CountsTopic, cfg.BatchesTopic}
	client := kafkaio.NewClient(clientConfig)
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	j := &job{
		cfg:      &cfg,
		broker:   cluster{client},
		clock:    new(kafkaio.BrokerClock),
		metrics:  newMetrics(cfg.Runtime.Metrics),
		place:    newPlace(),
		log:      log,
		interval: cfg.interval(),
		limits:   production,
		settings: make(map[string]kafkaio.TopicSettings),
		fail:     func(err error) { cancel(failure{err}) },
	}
	j.metrics.interval.Set(cfg.BatchInterval.Seconds())
	j.metrics.grace.Set(cfg.Grace.Seconds())
	cfg.Runtime.Health.SetReady("counter", false)
	err = j.run(ctx, cancel, client)
	var failed failure
	if errors.As(context.Cause(ctx), &failed) {
		return failed.error
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// failure is a task's error that ends the counter.
type failure struct{ error }

func (j *job) run(ctx context.Context, cancel context.CancelCauseFunc, client *kafkaio.Client) error {
	if err := j.topics(ctx, client); err != nil {
		return err
	}
	var there []int64
	if j.cfg.AvailableNow {
		var err error
		if there, err = j.available(ctx); err != nil || there == nil {
			return err
		}
	}
	if there != nil {
		var watching sync.WaitGroup
		defer watching.Wait()
		watching.Go(func() {
			if err := j.watch(ctx, there); err == nil {
				j.log.Info("counted all that was there at the start")
				cancel(nil)
			} else if ctx.Err() == nil {
				j.fail(err)
			}
		})
	}
	member := client.Join(j.cfg.Group, newSlots(j.cfg, j.partitions), j.cfg.LinesTopic, j.cfg.shuffleTopic())
	defer func() {
		cancel(nil)
		if err := member.Close(); err != nil {
			j.log.Warn("stopped without a word to the group", "error", err)
		}
	}()
	return j.count(ctx, group{member})
}

// otherSettings is the refusal to count with other settings than the group's.
func otherSettings(why string) error {
	return service.Usagef("%s; to change them see docs/operations.md, section Changing the interval", why)
}

// madeAnew ends the counter when the lines topic is not the one that it was first: an offset in one says nothing of the
// other. A topic that is made anew and full before its next fetch shows it in no other way.
func (j *job) madeAnew(ctx context.Context) bool {
	id, err := j.broker.TopicID(ctx, j.cfg.LinesTopic)
	if err != nil {
		return false // one that is not there now is waited for
	}
	if !j.linesSeen {
		j.linesID, j.linesSeen = id, true
	}
	if id == j.linesID {
		return false
	}
	j.fail(refusal{fmt.Errorf("topic %s was deleted and made anew while it was counted: lines of the new one may have been left out. %s", j.cfg.LinesTopic, startOver)})
	return true
}

// topics makes sure that all topics are there and of the shape that is needed.
func (j *job) topics(ctx context.Context, client *kafkaio.Client) error {
	cfg := j.cfg
	replicas := cfg.ReplicationFactor
	output := map[string]string{
		"message.timestamp.type": "LogAppendTime",
		"retention.ms":           fmt.Sprint(retentionOfOutput.Milliseconds()),
	}
	shuffle := cfg.shuffleTopic()
	specs := []kafkaio.TopicSpec{{Name: shuffle, Partitions: cfg.ShufflePartitions, ReplicationFactor: replicas,
		Settings: map[string]string{"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}}}
	for _, topic := range []string{cfg.CountsTopic, cfg.BatchesTopic} {
		specs = append(specs, kafkaio.TopicSpec{Name: topic, Partitions: cfg.ShufflePartitions, Like: shuffle, ReplicationFactor: replicas, Settings: output})
	}
	partitions, err := client.EnsureTopics(ctx, specs...)
	if err != nil {
		return err
	}
	j.partitions = partitions[0]
	j.reduces = newReduces(j.partitions)
	for i, n := range partitions {
		if n != j.partitions {
			return service.Usagef("topic %s has %d partitions, but %s has %d: they must have equally many; name other topics or delete the one that is wrong",
				specs[i].Name, n, shuffle, j.partitions)
		}
	}
	if _, err := client.Partitions(ctx, cfg.LinesTopic); err != nil {
		return err
	}
	for _, topic := range []string{cfg.LinesTopic, cfg.shuffleTopic(), cfg.CountsTopic, cfg.BatchesTopic} {
		settings, err := client.TopicSettings(ctx, topic)
		if err != nil {
			return err
		}
		j.settings[topic] = settings
		switch {
		case settings.LogAppendTime:
		case topic != cfg.LinesTopic: // the time of what is written there is how a counter knows the broker's
			return service.Usagef("topic %s has message.timestamp.type=CreateTime, and must have LogAppendTime: set it (kafka-configs.sh --alter), or name another topic", topic)
		default:
			j.createTime = true
			j.log.Warn("the lines topic has message.timestamp.type=CreateTime: windows follow the times that producers gave their records", "topic", topic)
		}
	}
	return nil
}
