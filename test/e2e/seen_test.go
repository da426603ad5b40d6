package e2e

import (
	"regexp"
	"strings"
	"testing"

	"tombstone/proxy"
)

// What can be seen of sessions from outside: what each is doing, and how long things take.
func TestSessionsAreSeen(t *testing.T) {
	drivers(t, func(t *testing.T, loops int) {
		db := database(t)
		f := startBefore(t, server, shopTables, func(o *proxy.Options) { o.Loops = loops })
		open(t, f.dsn(db))
		inside, failed, busy := open(t, f.dsn(db)), open(t, f.dsn(db)), open(t, f.dsn(db))
		does(t, inside, "BEGIN")
		does(t, failed, "BEGIN")
		does(t, failed, "SELECT 1/0")
		answer := make(chan string, 1)
		go func() { answer <- does(t, busy, "SELECT pg_sleep(2)") }() // asked for below
		for state, want := range map[string]int{"idle": 1, "idle in transaction": 1, "idle in transaction (aborted)": 1, "active": 1} {
			eventually(t, state, func() bool { return f.server.States()[state] == want })
		}
		<-answer
		for name, h := range map[string]*proxy.Histogram{"own": &f.server.Timing().Own, "wait": &f.server.Timing().Wait} {
			counts, sum := h.Snapshot()
			total := uint64(0)
			for _, n := range counts {
				total += n
			}
			if total == 0 || sum <= 0 {
				t.Errorf("%s: %v, %v", name, counts, sum)
			}
		}
	})
}

// The program publishes them.
func TestMetricsOfSessions(t *testing.T) {
	db := database(t)
	admin := freePort(t)
	port := freePort(t)
	cmd := serve(t, configFor("127.0.0.1:"+port)+"\nadmin: 127.0.0.1:"+admin+"\npprof: true\n")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	eventually(t, "the program serves", func() bool { return reachable("http://127.0.0.1:" + admin + "/healthz") })
	conn := open(t, "host=127.0.0.1 port="+port+" user=postgres sslmode=disable dbname="+db)
	does(t, conn, "SELECT 1")
	_, body := get(t, "http://127.0.0.1:"+admin+"/metrics")
	for _, want := range []string{
		`tombstone_sessions\{state="idle"\} 1\n`, `tombstone_sessions\{state="active"\} 0\n`,
		`tombstone_own_seconds_count [1-9]`, `tombstone_server_wait_seconds_bucket\{le="\+Inf"\} [1-9]`, `tombstone_loop_lag_seconds_sum`,
		`tombstone_logins_total\{result="ok"\} 1\n`,
	} {
		if !regexp.MustCompile(want).MatchString(body) {
			t.Errorf("%s is not in\n%s", want, grep(body, "tombstone_"))
		}
	}
	if status, body := get(t, "http://127.0.0.1:"+admin+"/debug/pprof/goroutine?debug=1"); status != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("pprof: %d %.100s", status, body)
	}
}
