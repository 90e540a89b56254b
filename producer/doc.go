// Package producer publishes lines to the topic of lines: it chooses lines from a source (a file, at random or in order; a
// socket server; standard input), at a pace, and sends them to the topic's partitions in turn, idempotently and with
// acks=all. A line that was chosen is sent until Kafka has it: while Kafka is away the producer waits, and reads and chooses
// no more than its bounded buffers hold.
//
// One line's path: source (choose) → pace (when) → lane (batch of its partition, which fills while the one before is under way, or lingers) →
// sender (those of all lanes together) → Kafka → echo (shown, in the order chosen) and relay (to socket clients, in the order chosen).
//
// # Metrics
//
//	wordcount_producer_lines_total               lines acknowledged by Kafka
//	wordcount_producer_bytes_total               their bytes, without line ends
//	wordcount_producer_errors_total              lines that Kafka refused, or had not acknowledged when the producer stopped
//	wordcount_producer_publish_seconds           from choosing a line to its acknowledgement; one observation for each batch,
//	                                             of its first line (at 10 lines/s or less nearly every line is a batch of
//	                                             its own)
//	wordcount_producer_refused_lines_total       lines of a stream that were too long for the topic, and left out
//	wordcount_producer_source_connections_total  connections made to the server of --source tcp://
//	wordcount_producer_socket_clients            clients of --listen
//	wordcount_producer_slow_clients_total        those that were disconnected because they did not keep up
package producer
