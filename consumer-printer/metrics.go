package printer

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"wordcount/internal/service"
)

// metrics are listed in the package comment.
type metrics struct {
	rows           prometheus.Counter
	batches        prometheus.Counter
	skippedBatches prometheus.Counter
	endToEnd       prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	make := promauto.With(registerer)
	return &metrics{
		rows: make.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_printer_rows_total",
			Help: "Records of the counts topic that were read.",
		}),
		batches: make.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_printer_batches_total",
			Help: "Batches that were shown.",
		}),
		skippedBatches: make.NewCounter(prometheus.CounterOpts{
			Name: "wordcount_printer_skipped_batches_total",
			Help: "Batches that were not shown because retention had removed part of them.",
		}),
		endToEnd: make.NewHistogram(service.LatencyHistogram(prometheus.HistogramOpts{
			Name: "wordcount_printer_end_to_end_seconds",
			Help: "Time from the end of a batch's window until the batch was shown.",
		})),
	}
}
