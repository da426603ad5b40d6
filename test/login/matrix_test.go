package login

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"tombstone/test/serve"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/matrix.txt anew")

const matrixFile = "testdata/matrix.txt"

var (
	methods  = []string{"trust", "password", "md5", "scram", "cert"}
	bindings = []string{"disable", "prefer", "require"}
	legs     = []string{"plain", "TLS"}
)

// settings are what a refusal may name, as its message has it and as the table has it, what says more first.
var settings = []struct{ words, name string }{
	{"auth.mode", "auth.mode"},
	{"users_file", "users_file"},
	{"sslmode in the proxy's upstream", "upstream sslmode"},
	{"sslmode=require", "sslmode"},
	{"pg_hba.conf", "pg_hba.conf"},
	{"channel binding", "channel_binding"},
	{"password_encryption", "password_encryption (log)"},
}

// TestMatrix logs in in every way there is, with psql. See doc.go.
func TestMatrix(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	line := func(columns ...string) {
		fmt.Fprintln(&table, strings.TrimRight(fmt.Sprintf("%-10s %-7s %-7s %-9s %-26s %-26s %-26s", toAny(columns)...), " "))
	}
	line("auth.mode", "client", "server", "method", "disable", "prefer", "require")
	var rows [][]string
	var cells []func()
	add := func(mode, client, upstream, method string, try func(binding string) string) {
		row := []string{mode, client, upstream, method, "", "", ""}
		rows = append(rows, row)
		for i, binding := range bindings {
			cells = append(cells, func() { row[4+i] = try(binding) })
		}
	}
	for _, client := range legs {
		for _, method := range methods {
			add("direct", client, client, method, func(binding string) string {
				return attempt(t, straight(server, reach(client, method, binding)), method, client, nil)
			})
		}
	}
	for _, mode := range []string{"pass", "terminate"} {
		for _, upstream := range legs {
			usual, byCert := matrixProxies(t, mode, upstream)
			for _, client := range legs {
				for _, method := range methods {
					r := usual
					if method == "cert" {
						r = byCert
					}
					add(mode, client, upstream, method, func(binding string) string {
						return attempt(t, r.to(reach(client, method, binding)), method, upstream, r.log)
					})
				}
			}
		}
	}
	inParallel(cells)
	for _, row := range rows {
		line(row...)
	}
	t.Logf("the columns are channel_binding\n%s", table.String())
	if *rewrite {
		if err := os.WriteFile(matrixFile, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(matrixFile)
	if err != nil {
		t.Fatal(err)
	}
	want, got := strings.Split(string(golden), "\n"), strings.Split(table.String(), "\n")
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			t.Errorf("got:  %s\nwant: %s", got[i], want[min(i, len(want)-1)])
		}
	}
}

// matrixProxies are one for passwords and one for certificates.
func matrixProxies(t *testing.T, mode, upstream string) (usual, byCert *relay) {
	t.Helper()
	tls := offer("client_certificates: request", "client_ca: "+ca.file)
	to := url(server, "sslmode=disable")
	if upstream == "TLS" {
		to = url(server, verified())
	}
	if mode == "pass" {
		usual = start(t, to, tls)
		return usual, usual
	}
	usual = start(t, to, tls, ask)
	if upstream == "TLS" {
		to += "&sslcert=" + agent.crt + "&sslkey=" + agent.key
	}
	return usual, start(t, to, tls, "auth: {mode: terminate, client: cert}\n")
}

func reach(client, method, binding string) string {
	mode := map[string]string{"plain": "disable", "TLS": "require"}[client]
	more := fmt.Sprintf("user=%s_user password=%s sslmode=%s channel_binding=%s", method, thePassword, mode, binding)
	if method == "cert" {
		more += " sslcert=" + certUser.crt + " sslkey=" + certUser.key
	}
	return more
}

// attempt is one cell.
func attempt(t *testing.T, dsn, method, upstream string, log *serve.Journal) string {
	out, said := psql(t, dsn, "SELECT session_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
	want := method + "_user|" + map[string]string{"plain": "f", "TLS": "t"}[upstream]
	switch {
	case out == want && said == "":
		return "in"
	case out != "":
		t.Errorf("%s: %s %s, want %s", dsn, out, said, want)
		return "wrong"
	}
	if strings.Contains(said, "password authentication failed") && log != nil {
		said = "" // who may not know more than that; the log does
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "user="+method+"_user") {
				said += line
			}
		}
	}
	for _, s := range settings {
		if strings.Contains(said, s.words) {
			return s.name
		}
	}
	t.Errorf("%s: no setting is named in: %s", dsn, said)
	return "?"
}

// inParallel runs them four at a time: most of the time is psql's start.
func inParallel(all []func()) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, f := range all {
		slots <- struct{}{}
		wait.Go(func() { f(); <-slots })
	}
	wait.Wait()
}

func toAny(list []string) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}
