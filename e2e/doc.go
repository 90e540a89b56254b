// Package e2e runs the built programs against a broker and compares what they leave on its topics with what package oracle
// computes from the lines.
//
//	docker.go    whether a Docker engine answers, and free ports
//	kafka.go     apache/kafka in a container, with the tools that come with it
//	programs.go  the services as processes, to be stopped, killed and frozen
//	pipeline.go  the topics, group and settings of one test, and the programs started with them
//	watch.go     a reader of committed data that checks every record as it comes
//
// The suite (pipeline_test.go) runs on the embedded broker and on a real Kafka, the tests of faults and of Kafka's own tools on
// the real one. Without a Docker engine those are skipped, and the run's last line says so; with E2E_DOCKER=required a missing
// engine is a failure. The long run that breaks everything is package soak. E2E_RACE=1 builds the programs with the race detector.
package e2e
