package admin

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Doctor publishes what tombstone doctor --watch finds: one run at a time, whole, so that a scrape never sees half of one.
type Doctor struct {
	registry *prometheus.Registry
	last     atomic.Pointer[DoctorRun] // the last that came to its end, nil before
	tried    atomic.Pointer[attempt]

	findings, tombstones, ratio, oldest, lastRun, success, duration *prometheus.Desc
}

type attempt struct{ ok bool }

// DoctorRun is what one run found.
type DoctorRun struct {
	At       time.Time
	Took     time.Duration
	Findings map[DoctorFinding]int
	Tables   []DoctorTable
}

// DoctorFinding is the labels of a finding.
type DoctorFinding struct{ Severity, Check string }

// DoctorTable is how much of a table is tombstones.
type DoctorTable struct {
	Table            string
	Rows, Tombstones int64     // Tombstones is -1 if nothing is known
	Oldest           time.Time // zero if there is none, or it is not known
}

// NewDoctor returns metrics of a doctor in a registry of their own.
func NewDoctor(version, commit string) *Doctor {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tombstone_"+name, help, labels, nil)
	}
	d := &Doctor{
		registry:   prometheus.NewRegistry(),
		findings:   desc("doctor_findings", "What tombstone doctor found at its last run, by severity (error, warning, info) and check.", "severity", "check"),
		tombstones: desc("tombstones", "Rows of a protected table that are tombstones; estimated where the table is large.", "table"),
		ratio:      desc("tombstone_ratio", "The share of a protected table's rows that are tombstones, 0 to 1.", "table"),
		oldest:     desc("oldest_tombstone_seconds", "The age of the oldest tombstone of a protected table.", "table"),
		lastRun:    desc("doctor_last_run_timestamp_seconds", "When the last run came to its end."),
		success:    desc("doctor_last_run_success", "1 if the last run came to its end, 0 if it failed, as when the database does not answer."),
		duration:   desc("doctor_last_run_seconds", "How long the last run took."),
	}
	buildInfo := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "tombstone", Name: "build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": valid(version), "commit": valid(commit), "goversion": runtime.Version()},
	})
	buildInfo.Set(1)
	d.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo, d)
	return d
}

// Ran publishes a run.
func (d *Doctor) Ran(r *DoctorRun) {
	d.last.Store(r)
	d.tried.Store(&attempt{ok: true})
}

// Failed says that a run did not come to its end. What the one before found stays.
func (d *Doctor) Failed() { d.tried.Store(&attempt{}) }

// Listen binds an endpoint with the doctor's metrics. It is ready once a run has come to its end.
func (d *Doctor) Listen(addr string) (*Server, error) {
	return NewServer(addr, &Metrics{registry: d.registry}, false, func(context.Context) error {
		if t := d.tried.Load(); t == nil || !t.ok {
			return errors.New("the last run did not come to its end")
		}
		return nil
	})
}

// Describe is for Prometheus.
func (d *Doctor) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{d.findings, d.tombstones, d.ratio, d.oldest, d.lastRun, d.success, d.duration} {
		to <- desc
	}
}

// Collect is for Prometheus.
func (d *Doctor) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		for i := range labels {
			labels[i] = valid(labels[i])
		}
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	if t := d.tried.Load(); t != nil {
		ok := 0.0
		if t.ok {
			ok = 1
		}
		gauge(d.success, ok)
	}
	r := d.last.Load()
	if r == nil {
		return
	}
	gauge(d.lastRun, float64(r.At.UnixMilli())/1e3)
	gauge(d.duration, r.Took.Seconds())
	for f, n := range r.Findings {
		gauge(d.findings, float64(n), f.Severity, f.Check)
	}
	for _, t := range r.Tables {
		if t.Tombstones >= 0 {
			gauge(d.tombstones, float64(t.Tombstones), t.Table)
		}
		if t.Tombstones >= 0 && t.Rows > 0 {
			gauge(d.ratio, min(1, float64(t.Tombstones)/float64(t.Rows)), t.Table)
		}
		if !t.Oldest.IsZero() {
			gauge(d.oldest, time.Since(t.Oldest).Seconds(), t.Table)
		}
	}
}
