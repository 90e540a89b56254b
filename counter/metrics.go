package counter

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"wordcount/internal/service"
)

// Stages of the counter, the label of some metrics.
const (
	stageCombine = "combine"
	stageReduce  = "reduce"
)

// Outcomes of a transaction, the label of wordcount_counter_transactions_total.
const (
	outcomeCommitted = "committed"
	outcomeFenced    = "fenced"  // another task uses the transactional id
	outcomeStale     = "stale"   // the group's generation was over
	outcomeAborted   = "aborted" // anything else
)

type metrics struct {
	latency, scheduling, processing prometheus.Histogram
	behind, interval, grace         prometheus.Gauge

	lines, words, late, batches, skipped, cut, lost prometheus.Counter

	watermark, lag *prometheus.GaugeVec

	transactions *prometheus.CounterVec
	transaction  *prometheus.HistogramVec
	rebalances   prometheus.Counter
	tasks        *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	histogram := func(name, help string) prometheus.Histogram {
		return f.NewHistogram(service.LatencyHistogram(prometheus.HistogramOpts{Name: name, Help: help}))
	}
	m := &metrics{
		latency:    histogram("wordcount_counter_batch_latency_seconds", "Window end to its counts committed, of each partition's share of a batch."),
		scheduling: histogram("wordcount_counter_batch_scheduling_delay_seconds", "Window end to the start of closing it."),
		processing: histogram("wordcount_counter_batch_processing_seconds", "Start of closing a window to its counts committed."),
		behind: f.NewGauge(prometheus.GaugeOpts{Name: "wordcount_counter_behind_seconds",
			Help: "How far the last committed window end lies behind the broker's clock: more than an interval means catching up."}),
		interval: f.NewGauge(prometheus.GaugeOpts{Name: "wordcount_counter_batch_interval_seconds",
			Help: "Length of a batch, a setting."}),
		grace: f.NewGauge(prometheus.GaugeOpts{Name: "wordcount_counter_grace_seconds",
			Help: "How long after a window's end an idle partition is waited for, a setting."}),
		lines:   counter("wordcount_counter_lines_total", "Lines counted, when committed."),
		words:   counter("wordcount_counter_words_total", "Words counted, when committed."),
		late:    counter("wordcount_counter_late_lines_total", "Lines that came after their window was closed, counted in a later one."),
		batches: counter("wordcount_counter_batches_total", "Batches committed, by the task of slot 0, so once each in all counters together."),
		skipped: counter("wordcount_counter_skipped_windows_total", "Empty windows not reported, by the task of slot 0."),
		cut:     counter("wordcount_counter_cut_words_total", "Words longer than 128 KiB, counted under their beginning."),
		lost:    counter("wordcount_counter_lost_offsets_total", "Offsets of the lines topic that retention removed before they were counted."),
		watermark: f.NewGaugeVec(prometheus.GaugeOpts{Name: "wordcount_counter_watermark_timestamp_seconds",
			Help: "Committed watermark of the slot that reads a lines partition, in seconds since the epoch."}, []string{"partition"}),
		lag: f.NewGaugeVec(prometheus.GaugeOpts{Name: "wordcount_counter_lag_lines",
			Help: "Offsets of a lines partition that are not read yet."}, []string{"partition"}),
		transactions: f.NewCounterVec(prometheus.CounterOpts{Name: "wordcount_counter_transactions_total",
			Help: "Transactions by stage (combine, reduce) and outcome (committed, aborted, fenced, stale)."}, []string{"stage", "outcome"}),
		transaction: f.NewHistogramVec(service.LatencyHistogram(prometheus.HistogramOpts{Name: "wordcount_counter_transaction_seconds",
			Help: "Duration of committed transactions by stage, without what was prepared before."}), []string{"stage"}),
		rebalances: counter("wordcount_counter_rebalances_total", "Generations of the consumer group that this counter has joined."),
		tasks: f.NewGaugeVec(prometheus.GaugeOpts{Name: "wordcount_counter_tasks",
			Help: "Tasks that run here, by stage."}, []string{"stage"}),
	}
	for _, stage := range []string{stageCombine, stageReduce} {
		m.tasks.WithLabelValues(stage)
		m.transaction.WithLabelValues(stage)
		for _, outcome := range []string{outcomeCommitted, outcomeAborted, outcomeFenced, outcomeStale} {
			m.transactions.WithLabelValues(stage, outcome)
		}
	}
	return m
}

// forget removes the gauges of a lines partition that is another counter's now.
func (m *metrics) forget(partition int32) {
	m.watermark.DeleteLabelValues(label(partition))
	m.lag.DeleteLabelValues(label(partition))
}

func label(partition int32) string { return strconv.Itoa(int(partition)) }
