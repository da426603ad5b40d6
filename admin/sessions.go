package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Histogram is a distribution of durations at one moment.
type Histogram struct {
	Bounds []float64 // upper bounds in seconds, rising
	Counts []uint64  // of each bucket by itself, and of what is above all bounds
	Sum    time.Duration
}

// Sessions is what is read of a running proxy at each scrape.
type Sessions struct {
	States []string              // all that a session can be in
	Count  func() map[string]int // of sessions, by their state
	Own    func() Histogram      // what the proxy adds to each message
	Wait   func() Histogram      // what the server takes to answer
	Lag    func() Histogram      // how late the event loops are
}

// ReadSessions adds a proxy's sessions to the metrics. It is to be called once.
func (m *Metrics) ReadSessions(s Sessions) {
	m.registry.MustRegister(&sessionCollector{
		from: s,
		states: prometheus.NewDesc("tombstone_sessions", "Sessions that have a connection to the server, by what they are doing, as pg_stat_activity has it.",
			[]string{"state"}, nil),
		own: prometheus.NewDesc("tombstone_own_seconds", "Time from when bytes were read to when what they led to was written: the latency that the proxy adds, each way; a sample.",
			nil, nil),
		wait: prometheus.NewDesc("tombstone_server_wait_seconds", "Time from when a request was sent to the server to when the first of its answer came; a sample.", nil, nil),
		lag:  prometheus.NewDesc("tombstone_loop_lag_seconds", "How late the event loops are, sampled once a second.", nil, nil),
	})
}

type sessionCollector struct {
	from                   Sessions
	states, own, wait, lag *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *sessionCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.states, c.own, c.wait, c.lag} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *sessionCollector) Collect(to chan<- prometheus.Metric) {
	counts := c.from.Count()
	for _, state := range c.from.States {
		to <- prometheus.MustNewConstMetric(c.states, prometheus.GaugeValue, float64(counts[state]), state)
	}
	for d, read := range map[*prometheus.Desc]func() Histogram{c.own: c.from.Own, c.wait: c.from.Wait, c.lag: c.from.Lag} {
		h := read()
		total, below := uint64(0), make(map[float64]uint64, len(h.Bounds))
		for i, n := range h.Counts {
			total += n
			if i < len(h.Bounds) {
				below[h.Bounds[i]] = total
			}
		}
		to <- prometheus.MustNewConstHistogram(d, total, h.Sum.Seconds(), below)
	}
}
