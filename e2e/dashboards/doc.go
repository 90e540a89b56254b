// Package dashboards reads what Prometheus and Grafana are provisioned with (folder deploy) and what the services expose, for
// tests that compare the two.
//
//	dashboard.go    Grafana's dashboards, as far as the tests look at them
//	rules.go        Prometheus's recording and alert rules
//	expressions.go  every expression of both, ready to be evaluated
//	promql.go       the metrics and labels that an expression names
//	exposition.go   what a service's /metrics exposes
//	query.go        evaluation by a running Prometheus
//
// The tests need no Docker: the services run on the embedded broker. Those that need promtool or prometheus take it from PATH
// (promtool also from the image that docker-compose.yml names) and are skipped where there is none.
package dashboards
