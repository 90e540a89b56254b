package loop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
)

// KafkaGoWriter is the command of Produce.
const KafkaGoWriter = "kafka-go-writer"

// Produce writes count lines of a file, again from its start when it is at the end, by kafka-go's Writer in its fastest way: asynchronous,
// a thousand lines a call, with acks=all. The Writer is not idempotent.
func Produce(ctx context.Context, brokers []string, topic, file string, count int64) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var failed error // of a batch; read after Close
	w := &kafka.Writer{
		Addr:         kafka.TCP(brokers...),
		Topic:        topic,
		RequiredAcks: kafka.RequireAll,
		Async:        true,
		BatchSize:    10_000,
		BatchTimeout: 10 * time.Millisecond,
		Completion: func(_ []kafka.Message, err error) {
			if err != nil {
				failed = err
			}
		},
	}
	for written := int64(0); written < count; {
		messages := make([]kafka.Message, min(1000, count-written))
		for i := range messages {
			messages[i].Value = lines[(written+int64(i))%int64(len(lines))]
		}
		if err := w.WriteMessages(ctx, messages...); err != nil {
			return err
		}
		written += int64(len(messages))
	}
	if err := w.Close(); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("write to %s: %w", topic, failed)
	}
	return nil
}
