package admin

import "github.com/prometheus/client_golang/prometheus"

// PlanCache is what the cache of plans has done and holds.
type PlanCache struct {
	Hits, Misses, Evictions uint64
	Entries, Bytes          int
}

// ReadPlanCache adds the cache of plans to the metrics; read is called at each scrape. It is to be called once.
func (m *Metrics) ReadPlanCache(read func() PlanCache) {
	counter := func(name, help string, value func(PlanCache) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "tombstone", Subsystem: "plan_cache", Name: name, Help: help},
			func() float64 { return float64(value(read())) })
	}
	gauge := func(name, help string, value func(PlanCache) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tombstone", Subsystem: "plan_cache", Name: name, Help: help},
			func() float64 { return float64(value(read())) })
	}
	m.registry.MustRegister(
		counter("hits_total", "Statements whose shape was known, so that they were not parsed.", func(c PlanCache) uint64 { return c.Hits }),
		counter("misses_total", "Statements that had to be planned.", func(c PlanCache) uint64 { return c.Misses }),
		counter("evictions_total", "Plans that went to make room.", func(c PlanCache) uint64 { return c.Evictions }),
		gauge("entries", "Plans that are kept.", func(c PlanCache) int { return c.Entries }),
		gauge("bytes", "Memory that the plans take, as estimated.", func(c PlanCache) int { return c.Bytes }),
	)
}
