package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A run is published whole; one that fails leaves what was found before, and says so.
func TestDoctorMetrics(t *testing.T) {
	d := NewDoctor("1.0", "abc")
	scrape := func() string {
		w := httptest.NewRecorder()
		promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	if got := scrape(); strings.Contains(got, "tombstone_doctor_last_run") {
		t.Errorf("before the first run:\n%s", got)
	}
	d.Ran(&DoctorRun{
		At: time.Unix(1_700_000_000, 0), Took: 2 * time.Second, Findings: map[DoctorFinding]int{{"error", "missing-grant"}: 3},
		Tables: []DoctorTable{{Table: "public.a", Rows: 10, Tombstones: 4, Oldest: time.Now().Add(-time.Hour)}, {Table: "public.b", Rows: 5, Tombstones: -1}},
	})
	has := func(wants ...string) {
		t.Helper()
		got := scrape()
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in:\n%s", want, got)
			}
		}
		if strings.Contains(got, `tombstone_tombstones{table="public.b"}`) {
			t.Error("what is not known is published")
		}
	}
	found := `tombstone_doctor_findings{check="missing-grant",severity="error"} 3`
	has(found, `tombstone_tombstones{table="public.a"} 4`, `tombstone_tombstone_ratio{table="public.a"} 0.4`,
		`tombstone_oldest_tombstone_seconds{table="public.a"} 3600`, "tombstone_doctor_last_run_success 1", "tombstone_doctor_last_run_timestamp_seconds 1.7e+09", "tombstone_doctor_last_run_seconds 2")
	d.Failed()
	has(found, "tombstone_doctor_last_run_success 0")
	d.Ran(&DoctorRun{At: time.Now()})
	if got := scrape(); strings.Contains(got, "missing-grant") || !strings.Contains(got, "tombstone_doctor_last_run_success 1") {
		t.Errorf("after it is mended:\n%s", got)
	}
}
