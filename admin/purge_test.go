package admin

import (
	"strconv"
	"testing"
	"time"
)

func TestPurges(t *testing.T) {
	m := NewMetrics("v", "c")
	p := m.AddPurges()
	ended := time.Now().Add(-time.Hour)
	p.Ran("failed", []PurgedTable{{Name: "public.users", Purged: 2, Kept: map[string]int64{"held": 9}}})
	if got := sample(scrape(t, m)); got[`tombstone_purge_kept_rows{reason="held",table="public.users"}`] != "" || got["tombstone_purge_last_success_timestamp_seconds"] != "0" {
		t.Errorf("a purge that failed has told what is left: %v", got)
	}
	p.Ran("done", []PurgedTable{{Name: "public.users", Purged: 3, Kept: map[string]int64{"held": 1, "referred": 2}, Ended: &ended}, {Name: "public.orders"}})
	p.Paused(true)
	got := sample(scrape(t, m))
	for series, want := range map[string]string{
		`tombstone_purge_backlog_rows{table="public.orders"}`:               "0",
		`tombstone_purge_backlog_rows{table="public.users"}`:                "3",
		`tombstone_purge_kept_rows{reason="held",table="public.users"}`:     "1",
		`tombstone_purge_kept_rows{reason="referred",table="public.users"}`: "2",
		`tombstone_purge_paused`:                                            "1",
		`tombstone_purge_rows_total{table="public.orders"}`:                 "0",
		`tombstone_purge_rows_total{table="public.users"}`:                  "5",
		`tombstone_purge_runs_total{outcome="busy"}`:                        "0",
		`tombstone_purge_runs_total{outcome="done"}`:                        "1",
		`tombstone_purge_runs_total{outcome="failed"}`:                      "1",
		`tombstone_purge_runs_total{outcome="stopped"}`:                     "0",
	} {
		if got[series] != want {
			t.Errorf("%s is %q, want %s", series, got[series], want)
		}
	}
	if lag, err := strconv.ParseFloat(got["tombstone_purge_lag_seconds"], 64); err != nil || lag < 3600 {
		t.Errorf("lag: %v %v", lag, err)
	}
	if at, err := strconv.ParseFloat(got["tombstone_purge_last_success_timestamp_seconds"], 64); err != nil || at < float64(ended.Unix()) {
		t.Errorf("last success: %v %v", at, err)
	}
	p.Ran("done", []PurgedTable{{Name: "public.orders"}})
	got = sample(scrape(t, m))
	if got[`tombstone_purge_kept_rows{reason="held",table="public.users"}`] != "" || got["tombstone_purge_lag_seconds"] != "0" {
		t.Errorf("what is gone is still told: %v", got)
	}
}
