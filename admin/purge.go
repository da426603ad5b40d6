package admin

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Purges counts what is deleted for good on schedule. All methods may be called at the same time.
type Purges struct {
	rows    counters
	kept    *prometheus.GaugeVec
	backlog *prometheus.GaugeVec
	runs    counters
	success prometheus.Gauge
	paused  prometheus.Gauge
	ended   atomic.Pointer[time.Time] // when the retention of the oldest tombstone ended that is still there, nil if there is none
}

// PurgedTable is what a purge did to one table.
type PurgedTable struct {
	Name   string // schema.table
	Purged int64
	Kept   map[string]int64 // rows past their retention that are still there, by what keeps them
	Ended  *time.Time       // when the retention of the oldest of them ended
}

// AddPurges adds the schedule's purges to the metrics. It is to be called once.
func (m *Metrics) AddPurges() *Purges {
	name := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "tombstone", Subsystem: "purge", Name: name, Help: help}
	}
	rows := prometheus.NewCounterVec(prometheus.CounterOpts(name("rows_total", "Rows that were deleted for good.")), []string{"table"})
	runs := prometheus.NewCounterVec(prometheus.CounterOpts(name("runs_total",
		"Purges, by how they ended: done, failed, stopped (with the proxy), busy (another replica is at it).")), []string{"outcome"})
	p := &Purges{
		rows: counters{vector: rows, size: 1},
		runs: counters{vector: runs, size: 1},
		kept: prometheus.NewGaugeVec(prometheus.GaugeOpts(name("kept_rows",
			"Rows past their retention that stayed at the last purge, by what keeps them: held, undecided, referred, kept, undated, locked.")), []string{"table", "reason"}),
		backlog: prometheus.NewGaugeVec(prometheus.GaugeOpts(name("backlog_rows", "Rows past their retention that were still there after the last purge.")), []string{"table"}),
		success: prometheus.NewGauge(prometheus.GaugeOpts(name("last_success_timestamp_seconds", "When a purge of this process last came to its end."))),
		paused:  prometheus.NewGauge(prometheus.GaugeOpts(name("paused", "1 while a purge waits for somebody else's lock."))),
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts(name("lag_seconds", "How long the oldest tombstone has been past its retention that was still there after the last purge; 0 if there was none.")), func() float64 {
		if ended := p.ended.Load(); ended != nil {
			return max(0, time.Since(*ended).Seconds())
		}
		return 0
	})
	for _, outcome := range []string{"done", "failed", "stopped", "busy"} { // a series that comes with its first event hides that event from rate()
		p.runs.add(labels{outcome, ""}, 0)
	}
	m.registry.MustRegister(rows, runs, p.kept, p.backlog, p.success, p.paused, lag)
	return p
}

// Paused says that a purge waits for a lock, or goes on.
func (p *Purges) Paused(yes bool) {
	p.paused.Set(map[bool]float64{true: 1}[yes])
}

// Ran counts a purge that ended so: done, failed, stopped or busy. What is still there is known only of one that came to its end.
func (p *Purges) Ran(outcome string, tables []PurgedTable) {
	p.runs.add(labels{outcome, ""}, 1)
	for _, t := range tables {
		p.rows.add(labels{t.Name, ""}, t.Purged)
	}
	if outcome != "done" {
		return
	}
	p.success.SetToCurrentTime()
	p.kept.Reset()
	p.backlog.Reset()
	var ended *time.Time
	for _, t := range tables {
		var backlog int64
		for reason, n := range t.Kept {
			backlog += n
			p.kept.WithLabelValues(valid(t.Name), reason).Set(float64(n))
		}
		p.backlog.WithLabelValues(valid(t.Name)).Set(float64(backlog))
		if t.Ended != nil && (ended == nil || t.Ended.Before(*ended)) {
			ended = t.Ended
		}
	}
	p.ended.Store(ended)
}
