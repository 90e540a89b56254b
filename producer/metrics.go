package producer

import (
	"github.com/prometheus/client_golang/prometheus"

	"wordcount/internal/service"
)

// metrics are the producer's; see the package comment.
type metrics struct {
	lines, bytes, errors prometheus.Counter
	publish              prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_producer_lines_total",
			Help: "Lines acknowledged by Kafka.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_producer_bytes_total",
			Help: "Bytes of the lines acknowledged by Kafka, without line ends.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_producer_errors_total",
			Help: "Lines that Kafka refused, or had not acknowledged when the producer stopped.",
		}),
		publish: prometheus.NewHistogram(service.LatencyHistogram(prometheus.HistogramOpts{
			Name: "wordcount_producer_publish_seconds",
			Help: "Time from choosing a line to its acknowledgement by Kafka; of each batch's first line.",
		})),
	}
	registerer.MustRegister(m.lines, m.bytes, m.errors, m.publish)
	return m
}
