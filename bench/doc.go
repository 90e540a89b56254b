// Package bench measures the services on a broker: how fast a backlog drains beside two loops
// over franz-go that are not exactly once, how soon a window's counts are there, what the producer and the printer can do. All
// that is compared runs one after the other on the same broker, as processes of their own, and its totals are verified equal.
//
// The cases are in files of their own; docs/performance.md says how to read what they report.
package bench
