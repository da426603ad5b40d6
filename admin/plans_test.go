package admin

import "testing"

func TestPlanCache(t *testing.T) {
	m := NewMetrics("1", "a")
	c := PlanCache{Misses: 2, Evictions: 1, Entries: 4, Bytes: 500}
	m.ReadPlanCache(func() PlanCache { return c })
	c.Hits = 30 // read at the scrape, not before
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if len(f.GetMetric()) == 1 {
			metric := f.GetMetric()[0]
			got[f.GetName()] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"tombstone_plan_cache_hits_total": 30, "tombstone_plan_cache_misses_total": 2, "tombstone_plan_cache_evictions_total": 1,
		"tombstone_plan_cache_entries": 4, "tombstone_plan_cache_bytes": 500,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
