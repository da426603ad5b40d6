// Package admin is the HTTP endpoint for the people and machines that run tombstone.
//
//	/metrics   Prometheus metrics (metrics.go), of this process alone
//	/healthz   200 while the process lives; it asks nothing of the database, so that an outage of the database
//	           does not get the proxy restarted
//	/readyz    200 while the PostgreSQL server answers, else 503 and the reason (ready.go)
//	/          a list of the above
//
// tombstone doctor --watch has an endpoint like it, with metrics of its own (doctor.go).
//
// What comes in: calls from the proxy on Metrics, one or more for each message; they do not block and do not
// allocate. What goes out: text over HTTP. What may never happen: that a probe or a scrape slows a client of
// the proxy down. So readiness is asked for at most about once a second, however many probes there are, and every
// connection has its timeouts.
//
// The endpoint has no authentication and shows table names, never SQL or data. Bind it to an address that only
// the monitoring can reach.
package admin
