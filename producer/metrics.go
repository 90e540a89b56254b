package producer

import (
	"github.com/prometheus/client_golang/prometheus"

	"wordcount/internal/service"
)

// metrics are the producer's; see the package comment.
type metrics struct {
	lines, bytes, errors prometheus.Counter
	publish              prometheus.Histogram

	refused, connected prometheus.Counter // of the source

	clients prometheus.Gauge // of --listen
	slow    prometheus.Counter
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
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_producer_refused_lines_total",
			Help: "Lines of a socket or of standard input that were left out because they were longer than the topic takes.",
		}),
		connected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_producer_source_connections_total",
			Help: "Connections made to the socket server that lines come from.",
		}),
		clients: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wordcount_producer_socket_clients",
			Help: "Clients of --listen that are connected.",
		}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_producer_slow_clients_total",
			Help: "Clients of --listen that were disconnected because they did not keep up with the lines.",
		}),
	}
	registerer.MustRegister(m.lines, m.bytes, m.errors, m.publish, m.refused, m.connected, m.clients, m.slow)
	return m
}
