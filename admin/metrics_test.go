package admin

import (
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// sample returns the lines of a scrape that belong to tombstone, without comments.
func sample(scrape string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(scrape) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && strings.HasPrefix(line, "tombstone_") {
			found[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return found
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	s := start(t, m, nil)
	status, body := get(t, s, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d %s", status, body)
	}
	return body
}

// A series that appears only with its first event hides that event from rate().
func TestSeriesThatAreThereFromTheStart(t *testing.T) {
	got := sample(scrape(t, NewMetrics("v1.2.3", "abc1234")))
	for series, want := range map[string]string{
		`tombstone_bytes_total{direction="client_to_server"}`: "0",
		`tombstone_bytes_total{direction="server_to_client"}`: "0",
		`tombstone_connections_open`:                          "0",
		`tombstone_connections_total`:                         "0",
		`tombstone_parse_failures_total`:                      "0",
		`tombstone_rewrite_seconds_count`:                     "0",
		`tombstone_build_info{commit="abc1234",goversion="` + runtime.Version() + `",version="v1.2.3"}`: "1",
		`tombstone_rewrite_seconds_bucket{le="1e-06"}`:                                                  "0",
		`tombstone_rewrite_seconds_bucket{le="0.1"}`:                                                    "0",
	} {
		if got[series] != want {
			t.Errorf("%s is %q, want %s", series, got[series], want)
		}
	}
}

func TestCounting(t *testing.T) {
	m := NewMetrics("v1.2.3", "abc1234")
	m.ConnectionOpened()
	m.ConnectionOpened()
	m.ConnectionClosed()
	m.Bytes("client_to_server", 100)
	m.Bytes("client_to_server", 11)
	m.Bytes("server_to_client", 7)
	m.Statement("delete", "buried")
	m.Statement("delete", "buried")
	m.Statement("select", "passed")
	m.Table("public.users", "buried")
	m.Table(`shop."a b"`, "hidden")
	m.Asked("tombstone.visibility", "all")
	m.RowsBuried("public.users", 3)
	m.RowsBuried("public.users", 0)
	m.RowsBuried("public.orders", 0)
	m.Rewrite(3 * time.Microsecond)
	m.Rewrite(time.Second)
	m.ParseFailure()
	got := sample(scrape(t, m))
	for series, want := range map[string]string{
		`tombstone_setting_statements_total{setting="tombstone.visibility",value="all"}`: "1",
		`tombstone_connections_open`:                                             "1",
		`tombstone_connections_total`:                                            "2",
		`tombstone_bytes_total{direction="client_to_server"}`:                    "111",
		`tombstone_bytes_total{direction="server_to_client"}`:                    "7",
		`tombstone_statements_total{action="buried",kind="delete"}`:              "2",
		`tombstone_statements_total{action="passed",kind="select"}`:              "1",
		`tombstone_table_statements_total{action="buried",table="public.users"}`: "1",
		`tombstone_table_statements_total{action="hidden",table="shop.\"a b\""}`: "1",
		`tombstone_rows_buried_total{table="public.users"}`:                      "3",
		`tombstone_rows_buried_total{table="public.orders"}`:                     "0",
		`tombstone_rewrite_seconds_bucket{le="2.5e-06"}`:                         "0",
		`tombstone_rewrite_seconds_bucket{le="5e-06"}`:                           "1",
		`tombstone_rewrite_seconds_bucket{le="+Inf"}`:                            "2",
		`tombstone_rewrite_seconds_sum`:                                          "1.000003",
		`tombstone_parse_failures_total`:                                         "1",
	} {
		if got[series] != want {
			t.Errorf("%s is %q, want %s", series, got[series], want)
		}
	}
}

// Values that would make the Prometheus library panic are taken, or left out.
func TestHostileValues(t *testing.T) {
	m := NewMetrics("\xff", "\xff")
	m.Bytes("client_to_server", -1)
	m.Bytes("sideways", 1)
	m.RowsBuried("public.users", -1)
	m.RowsBuried("public.\xff", 1)
	m.RowsBuried("", 2)
	m.RowsBuried("max", math.MaxInt64)
	m.Table("public.\xff", "hidden")
	m.Statement("", "")
	got := sample(scrape(t, m))
	for series, want := range map[string]string{
		`tombstone_bytes_total{direction="client_to_server"}`:                         "0",
		`tombstone_bytes_total{direction="sideways"}`:                                 "",
		`tombstone_rows_buried_total{table="public.users"}`:                           "",
		"tombstone_rows_buried_total{table=\"public.\uFFFD\"}":                        "1",
		`tombstone_rows_buried_total{table=""}`:                                       "2",
		"tombstone_table_statements_total{action=\"hidden\",table=\"public.\uFFFD\"}": "1",
		`tombstone_statements_total{action="",kind=""}`:                               "1",
	} {
		if got[series] != want {
			t.Errorf("%s is %q, want %q", series, got[series], want)
		}
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	m := NewMetrics("v1.2.3", "abc1234")
	// Built at run time, as the proxy does: constants would let the compiler prepare the interface values.
	table, action := strings.Join([]string{"public", "users"}, "."), strings.ToLower("BURIED")
	all := func() {
		m.ConnectionOpened()
		m.ConnectionClosed()
		m.Bytes("client_to_server", 100)
		m.Bytes("server_to_client", 100)
		m.Statement("delete", action)
		m.Table(table, action)
		m.RowsBuried(table, 3)
		m.Rewrite(time.Microsecond)
		m.ParseFailure()
	}
	all()
	if n := testing.AllocsPerRun(1000, all); n != 0 {
		t.Errorf("%v allocations a run, want none", n)
	}
}

func TestPromlint(t *testing.T) {
	m := NewMetrics("v1.2.3", "abc1234")
	m.Statement("delete", "buried")
	m.Table("public.users", "buried")
	m.RowsBuried("public.users", 1)
	problems, err := promlint.New(strings.NewReader(scrape(t, m))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func BenchmarkStatement(b *testing.B) {
	m := NewMetrics("v1.2.3", "abc1234")
	b.ReportAllocs()
	for b.Loop() {
		m.Statement("delete", "buried")
	}
}

// Two Metrics do not share series: each has its own registry.
func TestOwnRegistry(t *testing.T) {
	one, other := NewMetrics("a", "b"), NewMetrics("a", "b")
	one.ParseFailure()
	if got := sample(scrape(t, other))["tombstone_parse_failures_total"]; got != "0" {
		t.Errorf("counted %s elsewhere", got)
	}
}
