package admin

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics counts what the proxy does. All methods may be called at the same time, and none blocks, allocates (beyond
// the first use of a label), or fails.
type Metrics struct {
	registry *prometheus.Registry

	connectionsOpen prometheus.Gauge
	connections     prometheus.Counter
	clientToServer  prometheus.Counter
	serverToClient  prometheus.Counter
	statements      counters
	tables          counters
	asked           counters
	rowsBuried      counters
	observed        counters
	observedRules   counters
	rewrite         prometheus.Histogram
	parseFailures   prometheus.Counter
	handshakes      counters
	logins          counters
	reloads         counters
	reloadOK        prometheus.Gauge
	reloadTime      prometheus.Gauge
}

// NewMetrics returns metrics in a registry of their own, with those of the Go runtime and the process. Version and
// commit appear as labels of tombstone_build_info.
func NewMetrics(version, commit string) *Metrics {
	const namespace = "tombstone"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	statements := vector("statements_total", "Statements by kind and by what was done with them: buried, hidden, shown, purged, passed, refused.", "kind", "action")
	tables := vector("table_statements_total", "Statements that touched a protected table, by what was done with them.", "table", "action")
	asked := vector("setting_statements_total", "Statements that a session's settings had to do with: tombstone.visibility, tombstone.as_of, tombstone.delete.", "setting", "value")
	rowsBuried := vector("rows_buried_total", "Rows that a DELETE or TRUNCATE turned into tombstones.", "table")
	observed := vector("observed_statements_total", "Statements on a table that is only observed, by what would have been done with them: buried, hidden, passed, refused.", "table", "action")
	observedRules := vector("observed_rules_total", "The same by the rule that would have fired, or for which the statement would have been refused.", "table", "rule")
	handshakes := vector("tls_handshakes_total", "TLS handshakes with clients and with servers, by how they ended: ok, failed.", "side", "result")
	logins := vector("logins_total", "Attempts to log in, by how they ended: ok, failed (the server or the proxy refused), over limit, no server.", "result")
	reloads := vector("config_reloads_total", "Attempts to read the configuration again, by how they ended: ok, failed.", "result")
	bytes := vector("bytes_total", "Bytes carried between clients and the server.", "direction")
	buildInfo := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": valid(version), "commit": valid(commit), "goversion": runtime.Version()},
	})
	buildInfo.Set(1)

	m := &Metrics{
		registry: prometheus.NewRegistry(),
		connectionsOpen: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "connections_open", Help: "Client connections that are open now.",
		}),
		connections:    counter("connections_total", "Client connections accepted."),
		clientToServer: bytes.WithLabelValues("client_to_server"),
		serverToClient: bytes.WithLabelValues("server_to_client"),
		statements:     counters{vector: statements, size: 2},
		tables:         counters{vector: tables, size: 2},
		asked:          counters{vector: asked, size: 2},
		rowsBuried:     counters{vector: rowsBuried, size: 1},
		observed:       counters{vector: observed, size: 2},
		observedRules:  counters{vector: observedRules, size: 2},
		handshakes:     counters{vector: handshakes, size: 2},
		logins:         counters{vector: logins, size: 1},
		reloads:        counters{vector: reloads, size: 1},
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_successful", Help: "1 if the configuration that was read last is in force, 0 if it was wrong and the one before it is.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_success_timestamp_seconds", Help: "When the configuration that is in force was read.",
		}),
		rewrite: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "rewrite_seconds", Help: "Time to decide on one statement, and to edit it; a sample.",
			Buckets: []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1},
		}),
		parseFailures: counter("parse_failures_total", "Statements that the parser rejected."),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo,
		m.connectionsOpen, m.connections, bytes, statements, tables, asked, rowsBuried, observed, observedRules, handshakes, logins, reloads, m.reloadOK, m.reloadTime, m.rewrite, m.parseFailures,
	)
	m.reloadOK.Set(1)
	m.reloadTime.SetToCurrentTime()
	return m
}

// Reloaded counts an attempt to read the configuration again.
func (m *Metrics) Reloaded(ok bool) {
	if !ok {
		m.reloads.add(labels{"failed", ""}, 1)
		m.reloadOK.Set(0)
		return
	}
	m.reloads.add(labels{"ok", ""}, 1)
	m.reloadOK.Set(1)
	m.reloadTime.SetToCurrentTime()
}

// ConnectionOpened counts a client connection that was accepted.
func (m *Metrics) ConnectionOpened() {
	m.connections.Inc()
	m.connectionsOpen.Inc()
}

// ConnectionClosed counts the end of a connection that ConnectionOpened counted.
func (m *Metrics) ConnectionClosed() { m.connectionsOpen.Dec() }

// Bytes counts bytes that were carried. The direction is "client_to_server" or "server_to_client"; others are not counted.
func (m *Metrics) Bytes(direction string, n int) {
	if n <= 0 {
		return
	}
	switch direction {
	case "client_to_server":
		m.clientToServer.Add(float64(n))
	case "server_to_client":
		m.serverToClient.Add(float64(n))
	}
}

// Statement counts a statement: its kind (select, insert, delete, ..) and what was done with it (buried, hidden, shown, purged, passed,
// refused).
func (m *Metrics) Statement(kind, action string) { m.statements.add(labels{kind, action}, 1) }

// Table counts a statement that touched a protected table, named schema.table.
func (m *Metrics) Table(table, action string) { m.tables.add(labels{table, action}, 1) }

// Asked counts a statement that saw other rows than the live ones, or really deleted, by the setting that said so and its value.
func (m *Metrics) Asked(setting, value string) { m.asked.add(labels{setting, value}, 1) }

// RowsBuried counts rows of one table, named schema.table, that became tombstones.
func (m *Metrics) RowsBuried(table string, n int64) { m.rowsBuried.add(labels{table, ""}, n) }

// Observed counts a statement on a table that is only observed, named schema.table, and what would have been done with it.
func (m *Metrics) Observed(table, action string) { m.observed.add(labels{table, action}, 1) }

// ObservedRule counts a rule that would have fired in such a statement, or for which it would have been refused.
func (m *Metrics) ObservedRule(table, rule string) { m.observedRules.add(labels{table, rule}, 1) }

// Rewrite records how long one statement took to decide on.
func (m *Metrics) Rewrite(d time.Duration) { m.rewrite.Observe(d.Seconds()) }

// Handshake counts a TLS handshake with one side, "client" or "server".
func (m *Metrics) Handshake(side, result string) { m.handshakes.add(labels{side, result}, 1) }

// Login counts an attempt to log in.
func (m *Metrics) Login(result string) { m.logins.add(labels{result, ""}, 1) }

// ParseFailure counts a statement that the parser rejected.
func (m *Metrics) ParseFailure() { m.parseFailures.Inc() }

// labels are the values of a vector's labels; the second is empty where the vector has one label.
type labels struct{ first, second string }

// counters is a vector of one or two labels whose children are found again without work on strings.
type counters struct {
	vector   *prometheus.CounterVec
	size     int      // how many labels the vector has
	children sync.Map // labels -> *child
	known    atomic.Int64
	recent   [recentChildren]atomic.Pointer[child] // by where their labels are in memory
}

// child is one series. It does not change.
type child struct {
	labels
	counter prometheus.Counter
}

// recentChildren is how many series are found without the map. Plans that are kept, and constants, bring the same strings
// each time, so that where those are tells almost always which series is meant.
const recentChildren = 256

// recent returns the place of the child that was counted last with labels at these addresses. Another may be there.
func (l labels) recent() uintptr {
	first, second := uintptr(unsafe.Pointer(unsafe.StringData(l.first))), uintptr(unsafe.Pointer(unsafe.StringData(l.second)))
	return uintptr(uint64(first+31*second)*0x9E3779B97F4A7C15>>32) % recentChildren // by the golden ratio, which spreads neighbours
}

// maxSeries bounds the series of one vector, roughly.
const maxSeries = 2000

func (c *counters) add(l labels, n int64) {
	if n < 0 { // a counter panics when it is lowered
		return
	}
	recent := &c.recent[l.recent()]
	if one := recent.Load(); one != nil && one.labels == l {
		one.add(n)
		return
	}
	if known, ok := c.children.Load(l); ok {
		one := known.(*child)
		recent.Store(one)
		one.add(n)
		return
	}
	if c.known.Add(1) > maxSeries {
		// Names of tables come from clients, where a wildcard protects all: one that made tables for ever would have the
		// metrics grow for ever.
		l.first = "(other)"
	}
	values := []string{valid(l.first), valid(l.second)}
	counter, err := c.vector.GetMetricWithLabelValues(values[:c.size]...)
	if err != nil {
		return // only a wrong number of labels, or a label that is not UTF-8; both are excluded above
	}
	one := &child{l, counter}
	c.children.Store(l, one)
	one.add(n)
}

func (c *child) add(n int64) {
	if n == 1 {
		c.counter.Inc()
		return
	}
	c.counter.Add(float64(n))
}

// valid makes a label value that Prometheus takes. A database in SQL_ASCII may have table names that are not UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
