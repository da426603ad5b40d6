package login

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tombstone/cluster"
)

// usersFile has the verifiers of users, as the server keeps them.
func usersFile(t testing.TB, c *cluster.Cluster, users ...string) string {
	t.Helper()
	var text strings.Builder
	for _, u := range users {
		fmt.Fprintf(&text, "%q %q\n", u, admin(t, c, "SELECT rolpassword FROM pg_authid WHERE rolname = '"+u+"'"))
	}
	file := filepath.Join(t.TempDir(), "users.txt")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func terminate(users string) string { return "auth: {mode: terminate, users_file: " + users + "}\n" }

// terminations are the ways to come by a verifier.
func terminations(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"users_file": terminate(usersFile(t, server, "scram_user", "changing", "expired")),
		"query_as":   ask,
		"a SECURITY DEFINER function": "auth: {mode: terminate, query_as: 'postgres://humble:fragen@/postgres', " +
			"query: 'SELECT * FROM public.verifier_of($1)'}\n",
	}
}

// What a client reads is the server's own words, and the same for a wrong password as for a user who does not exist.
func TestRefusedPasswords(t *testing.T) {
	t.Parallel()
	refusal := func(dsn, user string) string {
		_, said := psql(t, dsn+" user="+user, "SELECT 1", "PGPASSWORD=falsch")
		_, said, _ = strings.Cut(said, "failed: ")
		return strings.ReplaceAll(said, user, "USER")
	}
	want := refusal(straight(server, "sslmode=require"), "scram_user")
	if !strings.HasPrefix(want, `FATAL:  password authentication failed for user "USER"`) {
		t.Fatalf("the server says %s", want)
	}
	for name, auth := range terminations(t) {
		r := start(t, url(server, verified()), offer(), auth)
		for _, user := range []string{"scram_user", "nobody_at_all", "nologin", "md5_user", "cert_user", "expired"} {
			for _, mode := range []string{"disable", "require"} {
				if got := refusal(r.to("sslmode="+mode), user); got != want {
					t.Errorf("%s, %s, sslmode=%s: %s; want %s", name, user, mode, got, want)
				}
			}
		}
		if out, said := psql(t, r.to("user=scram_user"), "SELECT session_user", "PGPASSWORD="+thePassword); out != "scram_user" {
			t.Errorf("%s: %s %s", name, out, said)
		}
	}
	r := start(t, url(server, verified()), offer(), ask)
	if out, said := psql(t, r.to("user=expired"), "SELECT 1", "PGPASSWORD="+thePassword); !strings.Contains(said, "password authentication failed") {
		t.Errorf("a password that is no longer valid: %s %s", out, said)
	}
	if out, said := psql(t, r.to("user=scram_user dbname=nosuch"), "SELECT 1", "PGPASSWORD="+thePassword); !strings.Contains(said, `database "nosuch" does not exist`) {
		t.Errorf("a database that does not exist: %s %s", out, said)
	}
}

// The exchange of a user who does not exist looks like any other up to the last message: salts are as long, and the same each
// time, over a reload too.
func TestUnknownUserHasASalt(t *testing.T) {
	o := read(t, url(server, "sslmode=disable"), ask)
	r := launch(t, o)
	challenge := func(user string) string {
		k := converse(t, r.dial(t))
		k.say(startup(version30, "user", user, "database", "postgres"))
		if m := k.hear(); m.code() != 10 {
			t.Fatalf("%s: %v", user, m)
		}
		first := "n,,n=,r=fyko+d2lbbFgONRv9qkxdawL"
		k.say(fmt.Sprintf("p\x00\x00\x00%cSCRAM-SHA-256\x00\x00\x00\x00%c%s", 4+14+4+len(first), len(first), first))
		m := k.hear()
		_, rest, _ := strings.Cut(string(m.body), ",") // behind the nonce
		return rest
	}
	before := challenge("nobody_at_all")
	if known := challenge("scram_user"); len(before) != len(known) || before == known || before[:2] != known[:2] || before[len(before)-7:] != known[len(known)-7:] {
		t.Errorf("unknown %q, known %q", before, known)
	}
	if again := challenge("nobody_at_all"); again != before {
		t.Errorf("another salt the second time: %q, %q", before, again)
	}
	if err := r.Reload(o); err != nil {
		t.Fatal(err)
	}
	if again := challenge("nobody_at_all"); again != before {
		t.Errorf("another salt after a reload: %q, %q", before, again)
	}
}

// A password that is changed counts at the next login; sessions that are open go on.
func TestPasswordIsChanged(t *testing.T) {
	r := start(t, url(server, verified()), offer(), ask)
	defer admin(t, server, "ALTER ROLE changing PASSWORD 'geheim'")
	conn := open(t, r.to("user=changing password=geheim sslmode=require"))
	admin(t, server, "ALTER ROLE changing PASSWORD 'geaendert'")
	if got := one(t, conn, "SELECT session_user"); got != "changing" {
		t.Errorf("the open session: %s", got)
	}
	for password, want := range map[string]bool{"geheim": false, "geaendert": true} {
		if out, said := psql(t, r.to("user=changing"), "SELECT 1", "PGPASSWORD="+password); (out == "1") != want {
			t.Errorf("%s: %s %s", password, out, said)
		}
	}
}

// A verifier that is not the server's own: the client has proved who it is, but the server cannot be told so.
func TestVerifierDiffers(t *testing.T) {
	file := usersFile(t, server, "other_user")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "other_user", "scram_user")), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, url(server, "sslmode=disable"), terminate(file))
	_, said := psql(t, r.to("user=scram_user"), "SELECT 1", "PGPASSWORD="+thePassword)
	for _, want := range []string{`the SCRAM verifier known for user "scram_user" is not the server's`, "pg_authid.rolpassword", "users_file"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
}

// What is wrong with the asking is the operator's to read; a client that nobody knows yet is told where to look.
func TestVerifierCannotBeAsked(t *testing.T) {
	for name, c := range map[string]struct{ auth, log string }{
		"the wrong password": {"query_as: 'postgres://asker:falsch@/postgres'", "password authentication failed"},
		"no password":        {"query_as: 'postgres://asker@/postgres'", "no password"},
		"no such database":   {"query_as: 'postgres://asker:fragen@/nosuch'", "does not exist"},
		"not allowed":        {"query_as: 'postgres://humble:fragen@/postgres'", "permission denied for table pg_authid"},
		"one column":         {"query_as: 'postgres://humble:fragen@/postgres', query: 'SELECT $1::text'", "1 columns"},
		"several rows":       {"query_as: 'postgres://humble:fragen@/postgres', query: 'SELECT $1, $1 FROM generate_series(1, 2)'", "several rows"},
		"nonsense":           {"query_as: 'postgres://humble:fragen@/postgres', query: \"SELECT $1, 'SCRAM-SHA-256$x'\"", "SCRAM verifier has the form"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, url(server, "sslmode=disable"), "auth: {mode: terminate, "+c.auth+"}\n")
			for range 2 { // the second time over the connection that is kept, if there is one
				_, said := psql(t, r.to("user=scram_user"), "SELECT 1", "PGPASSWORD="+thePassword)
				if !strings.Contains(said, "auth.query") || strings.Contains(said, "asker") || strings.Contains(said, "humble") || strings.Contains(said, "pg_authid") {
					t.Errorf("psql says %s", said)
				}
			}
			if !r.log.Has(c.log) || !r.log.Has("level=ERROR") {
				t.Errorf("no %q in the log:\n%s", c.log, r.log)
			}
		})
	}
}

// The connection that asks is one, is made again when the server has cut it, and ends with the proxy.
func TestAskingGoesOn(t *testing.T) {
	r := start(t, url(server, "sslmode=disable"), "auth: {mode: terminate, query_as: 'postgres://humble:fragen@/postgres', query: 'SELECT * FROM public.verifier_of($1)'}\n")
	in := func() {
		t.Helper()
		if out, said := psql(t, r.to("user=scram_user"), "SELECT 1", "PGPASSWORD="+thePassword); out != "1" {
			t.Errorf("%s %s", out, said)
		}
	}
	askers := func() string {
		return admin(t, server, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'humble' AND application_name = 'tombstone'")
	}
	in()
	in()
	if n := askers(); n != "1" {
		t.Errorf("%s connections ask", n)
	}
	admin(t, server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'humble'")
	eventually(t, "the connection is cut", func() bool { return askers() == "0" })
	in()
	r.stop()
	eventually(t, "the connection has ended", func() bool { return askers() == "0" })
}

// A question that is never answered costs the clients that wait for it their time to log in, and no more: when the database
// answers again, so does the proxy.
func TestAskingHangs(t *testing.T) {
	r := start(t, url(server, "sslmode=disable"), "auth: {mode: terminate, query_as: 'postgres://asker:fragen@/postgres', "+
		"query: 'SELECT rolname, rolpassword FROM pg_authid, pg_advisory_xact_lock_shared(4711) WHERE rolname = $1'}\n", "limits: {startup_time: 1s}\n")
	lock := open(t, server.DSN("postgres"))
	one(t, lock, "SELECT pg_advisory_lock(4711)")
	if out, said := psql(t, r.to("user=scram_user"), "SELECT 1", "PGPASSWORD="+thePassword); out != "" || said == "" {
		t.Errorf("%s %s", out, said)
	}
	one(t, lock, "SELECT pg_advisory_unlock(4711)")
	if out, said := psql(t, r.to("user=scram_user"), "SELECT 1", "PGPASSWORD="+thePassword); out != "1" {
		t.Errorf("%s %s", out, said)
	}
}

// pgx by TLS and without.
func TestPgx(t *testing.T) {
	r := start(t, url(server, verified()), offer(), ask, protect)
	for _, mode := range []string{"disable", "require"} {
		conn := open(t, r.to("user=scram_user password=geheim sslmode="+mode))
		var n int
		if err := conn.QueryRow(within(t), "SELECT count(*) FROM users WHERE id > $1", 0).Scan(&n); err != nil || n != 30 {
			t.Errorf("sslmode=%s: %d, %v", mode, n, err)
		}
	}
}
