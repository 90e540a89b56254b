// Package service is what the processes of the word count have in common: settings from flags and environment, logs,
// the metrics and health endpoint, signals, and one way to end.
//
// A service is a library package with a Config, which embeds [Process] and mostly [Kafka], and a Run(ctx, Config) error.
// Its main function is one call of [Main].
//
// # Settings
//
// A setting is a field of Config with kong's tags: help, default, env, placeholder, group. Every setting has a flag and an
// environment variable. The flag is stronger than the variable, the variable stronger than the default. An empty variable
// counts as not set, as in `PARTITIONS: ${PARTITIONS:-}` of a compose file; only where empty is a value of its own does it
// count, and such a field says so with the tag off:"empty" (METRICS_ADDR= is "no endpoint"). A []string is
// separated by commas, spaces around them don't matter.
//
// A Validate() error method of Config, and of each struct embedded in it, is called after parsing. Its errors name the flag
// ("--grace: …"): where the value came from the environment, the variable's name is added.
//
// # Metrics
//
// Every process has Go's runtime metrics (go_*), the process metrics (process_*), promhttp_metric_handler_errors_total and
//
//	wordcount_build_info{version,revision,goversion}  always 1
//
// # Exit status
//
//	0    stopped gracefully: by a signal, by --duration, or because the work was done
//	1    failed at run time; also --healthcheck of a process that isn't healthy
//	2    wrong setting
//	130  a second signal came before the graceful stop was done
package service
