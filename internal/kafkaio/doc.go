// Package kafkaio is what the services need of Kafka, over kafka-go: a reader of committed data, an idempotent and a
// transactional producer, topics, offsets and group membership.
//
// kafka-go's Transport chooses connections (and so carries TLS and SASL); what it has no fast or exact message for is
// written here in Kafka's wire format and sent through the transport's raw exchange (see exchange). kafka-go's Reader
// and Writer are not used: they return aborted records, lose the broker's append time, and cost an object a record.
//
// Every call retries by itself what a broker that is away, restarting or moving answers, with back-off, until its
// context ends, and says so in the log once it lasts, unless its comment says that it is one try, or bounded. Errors that come back name
// the operation and the object; they are final, but for those of Transactional, which say how to go on.
package kafkaio
