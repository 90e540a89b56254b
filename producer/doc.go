// Package producer publishes lines to the topic of lines: it chooses lines from a source, at a pace, and sends them to the
// topic's partitions in turn, idempotently and with acks=all. A line that was chosen is sent until Kafka has it: while
// Kafka is away the producer waits, and chooses no more than its bounded buffers hold.
//
// One line's path: source (choose) → pace (when) → lane (batch of its partition, sent while the next one fills) → Kafka →
// echo (shown, in the order chosen).
//
// # Metrics
//
//	wordcount_producer_lines_total      lines acknowledged by Kafka
//	wordcount_producer_bytes_total      their bytes, without line ends
//	wordcount_producer_errors_total     lines that Kafka refused, or had not acknowledged when the producer stopped
//	wordcount_producer_publish_seconds  from choosing a line to its acknowledgement; one observation for each batch, of its
//	                                    first line (at 10 lines/s or less nearly every line is a batch of its own)
package producer
