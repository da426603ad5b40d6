package login

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgproto3/v2"
	"github.com/jackc/pgx/v5"
)

// crowd lets many clients in at once, and returns those who are in and what the others were told.
func crowd(t *testing.T, r *relay, n int, dsn func(i int) string) (in []*pgx.Conn, told_ []string) {
	t.Helper()
	ctx := within(t)
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			conn, err := pgx.Connect(ctx, r.to(dsn(i)))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				in = append(in, conn)
			} else {
				told_ = append(told_, told(err))
			}
		})
	}
	wait.Wait()
	return in, told_
}

func part(in []*pgx.Conn) {
	for _, c := range in {
		_ = c.Close(context.Background())
	}
}

// Limits hold however many come at once, and each place is free again when its session ends, or its login fails.
func TestConnections(t *testing.T) {
	for _, c := range []struct {
		limit string
		fits  int
		says  string
		other string // a login that is within another limit
	}{
		{"connections: 5", 5, "sorry, too many clients already: the proxy's limit is 5", ""},
		{"connections_per_user: 4", 4, `too many connections for role "scram_user": the proxy's limit is 4`, "user=other_user dbname=postgres"},
		{"connections_per_database: 3", 3, `too many connections for database "postgres": the proxy's limit is 3`, "user=scram_user dbname=template1"},
	} {
		for mode, auth := range map[string]string{"disable": "", "require": ask} {
			r := start(t, url(server, "sslmode=disable"), offer(), auth, "limits: {"+c.limit+"}\n")
			login := "user=scram_user password=geheim sslmode=" + mode
			in, out := crowd(t, r, 20, func(int) string { return login })
			if len(in) != c.fits || len(out) != 20-c.fits {
				t.Errorf("%s: %d are in, and %d are not", c.limit, len(in), len(out))
			}
			for _, said := range out {
				if !strings.Contains(said, "FATAL 53300: "+c.says) || !strings.Contains(said, "limits."+strings.Split(c.limit, ":")[0]) {
					t.Errorf("%s: %s", c.limit, said)
					break
				}
			}
			if c.other != "" {
				conn := open(t, r.to(login+" "+c.other))
				_ = conn.Close(within(t))
			}
			part(in)
			// Logins that fail do not stay, either. They come to places as these become free.
			eventually(t, "a wrong password is said to be wrong", func() bool {
				_, err := pgx.Connect(within(t), r.to("user=scram_user password=falsch sslmode="+mode))
				return strings.Contains(told(err), "28P01")
			})
			crowd(t, r, 20, func(i int) string {
				return []string{"user=scram_user password=falsch sslmode=", "user=scram_user password=geheim options='-c nosuch=1' sslmode="}[i%2] + mode
			})
			var again []*pgx.Conn
			eventually(t, "all places are free again", func() bool {
				conn, err := pgx.Connect(within(t), r.to(login))
				if err == nil {
					again = append(again, conn)
				}
				return len(again) == c.fits
			})
			part(again)
			eventually(t, "the sessions have ended", func() bool {
				return admin(t, server, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'scram_user'") == "0"
			})
		}
	}
}

// A cancel request needs no place, or nobody could be stopped when it matters most.
func TestCancelWhenFull(t *testing.T) {
	r := start(t, url(server, "sslmode=disable"), "limits: {connections: 1}\n")
	s := r.sleeper(t, false, version30)
	eventually(t, "the statement runs", func() bool { return asleep(t, server) == "1" })
	r.cancel(t, s.key, false)
	s.cancelled()
}

func TestMessageSizes(t *testing.T) {
	for _, mode := range []string{"disable", "require"} {
		r := start(t, url(server, "sslmode=disable"), offer(), protect, "limits: {message_bytes: 64KiB, statement_bytes: 1KiB}\n")
		conn := open(t, r.to("user=trust_user sslmode="+mode))
		_, err := conn.Exec(within(t), "SELECT 1 -- "+strings.Repeat("x", 2000), pgx.QueryExecModeSimpleProtocol)
		if err == nil || !strings.Contains(told(err), "statement_bytes") {
			t.Errorf("a long statement: %v", err)
		}
		if got := one(t, conn, "SELECT count(*) FROM users"); got != "30" {
			t.Errorf("afterwards: %s", got)
		}
		var n int
		if err := conn.QueryRow(within(t), "SELECT length($1)", strings.Repeat("x", 60000)).Scan(&n); err != nil || n != 60000 {
			t.Errorf("a large parameter: %d, %v", n, err)
		}
		err = conn.QueryRow(within(t), "SELECT length($1)", strings.Repeat("x", 70000)).Scan(&n)
		if err == nil || !strings.Contains(told(err), "limits.message_bytes") {
			t.Errorf("a larger message: %v", err)
		}
	}
	// Before the login is over, no more is read than one can need.
	r := start(t, url(server, "sslmode=disable"), ask)
	k := converse(t, r.dial(t))
	k.say(startup(version30, "user", "scram_user", "database", "postgres"))
	k.hear()
	k.say("p\x00\x10\x00\x00SCRAM")
	if rest := k.over(); strings.Contains(rest, "SCRAM") {
		t.Errorf("%q", rest)
	}
}

// Who has logged in is not cut off for the time that it takes; a client that came later and never says anything is.
func TestStartupTime(t *testing.T) {
	for name, r := range map[string]*relay{
		"pass":      start(t, url(server, "sslmode=disable"), offer(), "limits: {startup_time: 1s}\n"),
		"protected": start(t, url(server, "sslmode=disable"), offer(), "limits: {startup_time: 1s}\n", protect),
		"several":   start(t, several("", "sslmode=disable&target_session_attrs=primary", server.Port, nobody(t)), offer(), ask, "limits: {startup_time: 1s}\n"),
	} {
		for _, mode := range []string{"disable", "require"} {
			t.Run(name+", "+mode, func(t *testing.T) {
				t.Parallel()
				conn := open(t, r.to("user=scram_user password=geheim sslmode="+mode))
				asked := converse(t, r.dial(t)) // a password, and says nothing
				asked.say(startup(version30, "user", "scram_user", "database", "postgres"))
				silent := converse(t, r.dial(t))
				if rest := silent.over(); rest != "" {
					t.Errorf("who says nothing is told %q", rest)
				}
				_ = asked.over()
				if _, err := conn.Exec(within(t), "SELECT 1"); err != nil {
					t.Errorf("who is in is cut off: %v", err)
				}
			})
		}
	}
}

// A session that is idle for too long is told so. One that waits for the server, or is in a transaction, is not idle, nor is
// one for replication.
func TestIdleTime(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"disable", "require"} {
		r := start(t, url(server, "sslmode=disable"), offer(), protect, "limits: {idle_time: 1s}\n")
		login := "user=trust_user sslmode=" + mode
		holder := open(t, server.DSN("postgres"))
		one(t, holder, "SELECT pg_advisory_lock(4712)")
		open_ := open(t, r.to(login))
		one(t, open_, "BEGIN")
		walsender := converse(t, r.dial(t))
		if mode == "require" {
			walsender = walsender.secure()
		}
		walsender.say(startup(version30, "user", "scram_user", "replication", "database", "database", "postgres"))
		walsender.scram("scram_user", thePassword)
		busy := make(chan error, 1)
		working := open(t, r.to(login))
		go func() {
			_, err := working.Exec(context.Background(), "SELECT pg_advisory_xact_lock(4712)")
			busy <- err
		}()
		k := converse(t, r.dial(t))
		if mode == "require" {
			k = k.secure()
		}
		k.say(startup(version30, "user", "trust_user", "database", "postgres"))
		k.until('Z')
		if m := k.hear(); m.typ != 'E' || !strings.Contains(m.fields(), "SFATAL; VFATAL; C57P05; ") {
			t.Errorf("%s: %v", mode, m)
		}
		_ = k.over()
		if got := one(t, open_, "SELECT 1"); got != "1" {
			t.Errorf("%s: in a transaction: %s", mode, got)
		}
		walsender.send(&pgproto3.Query{String: "IDENTIFY_SYSTEM"})
		if _, m := walsender.until('Z'); m.typ != 'Z' {
			t.Errorf("%s: replication: %v", mode, m)
		}
		one(t, holder, "SELECT pg_advisory_unlock(4712)")
		if err := <-busy; err != nil {
			t.Errorf("%s: at work: %v", mode, err)
		}
	}
}

// What clients do that comes to nothing leaves nothing: no connection, no place, no session at the server.
func TestNothingIsLeft(t *testing.T) {
	counted := &counter{}
	o := read(t, url(server, verified()), offer(), ask, "limits: {startup_time: 5s, connections: 100}\n")
	o.Observer = counted
	r := launch(t, o)
	var all []func()
	for i := range 60 {
		all = append(all, func() {
			c := dial(t, r.addr.String())
			_, _ = c.Write([]byte([]string{
				"", sslRequest, sslRequest + "x", "nonsense!", startup(version30, "user", "scram_user"), startup(version30, "user", "nobody")[:12],
				startup(version30, "user", "scram_user") + "p\x00\x00\x00\x08abc\x00", startup(version30, "user", "scram_user") + "X\x00\x00\x00\x04",
			}[i%8]))
			_ = c.Close()
		})
	}
	inParallel(all)
	eventually(t, "all connections are closed", func() bool { return counted.open.Load() == 60 && counted.closed.Load() == 60 })
	eventually(t, "no session is left", func() bool {
		return admin(t, server, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'scram_user'") == "0"
	})
	if out, said := psql(t, r.to("user=scram_user"), "SELECT 1", "PGPASSWORD="+thePassword); out != "1" {
		t.Errorf("%s %s", out, said)
	}
}
