// Package standalone runs the whole word count in one process, for people without Docker and for trying it out: a Kafka
// broker in memory (package embedded) and the three services, which talk to it as to any Kafka. Whatever the topics hold
// is gone with the process.
//
// Metrics are those of the three services, on one address.
package standalone
