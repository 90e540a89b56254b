// Package soak breaks everything many times under load, on a real Kafka, and compares every window with the oracle: make soak.
//
//	schedule.go  what breaks when, by a seed
//	cluster.go   the brokers, with a listener for each process
//	proxy.go     the network between a process and the brokers
//	feed.go      numbered lines, and which of them a producer says are published
//	crew.go      the processes, and how they are broken
//	observer.go  a reader of committed data while all that goes on
//	ledger.go    what was read against what the oracle says, window by window
//	printed.go   what printers showed
//	report.go    how long recoveries took
//
// What checks is tested here by itself. The run (soak_test.go) needs SOAK and Docker, which make soak sets and demands.
package soak
