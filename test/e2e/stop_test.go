package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/proxy"
)

// drivers are both ways to drive sessions: what holds for one has to hold for the other.
func drivers(t *testing.T, f func(t *testing.T, loops int)) {
	t.Helper()
	for name, loops := range map[string]int{"event loops": 0, "goroutines": -1} {
		t.Run(name, func(t *testing.T) { f(t, loops) })
	}
}

// ended waits until a connection is told why it ends, and returns the SQLSTATE.
func ended(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	_, err := conn.PgConn().ReceiveMessage(within(t))
	return code(err)
}

// At a stop idle sessions end at once, others when their transaction does, and new ones are not taken.
func TestDrain(t *testing.T) {
	drivers(t, func(t *testing.T, loops int) {
		db := database(t)
		f := startBefore(t, server, shopTables, func(o *proxy.Options) { o.Drain, o.Loops = limit, loops })
		idle, failed, busy := open(t, f.dsn(db)), open(t, f.dsn(db)), open(t, f.dsn(db))
		does(t, failed, "BEGIN")
		does(t, failed, "SELECT 1/0")
		does(t, busy, "BEGIN; DELETE FROM users WHERE id = 1")

		stopped := make(chan bool)
		go func() { f.stop(); close(stopped) }() // ends when the last session has
		if got := ended(t, idle); got != "57P01" {
			t.Errorf("an idle session ends with %q", got)
		}
		if !f.server.Draining() {
			t.Error("the proxy does not say that it is stopping")
		}
		if conn, err := pgx.Connect(within(t), f.dsn(db)); err == nil {
			_ = conn.Close(within(t))
			t.Error("a new client is let in")
		}
		if got := does(t, busy, "DELETE FROM users WHERE id = 2"); got != "DELETE 1" {
			t.Errorf("in an open transaction: %s", got)
		}
		if got := does(t, busy, "COMMIT"); got != "COMMIT" {
			t.Errorf("its end: %s", got)
		}
		if got := ended(t, busy); got != "57P01" {
			t.Errorf("after its transaction a session ends with %q", got)
		}
		if got := does(t, failed, "ROLLBACK"); got != "ROLLBACK" {
			t.Errorf("the end of a failed transaction: %s", got)
		}
		if got := ended(t, failed); got != "57P01" {
			t.Errorf("after a failed transaction a session ends with %q", got)
		}
		<-stopped
		if got := ask(t, db, countUsers); got != "30|2" {
			t.Errorf("behind the proxy: %s", got)
		}
	})
}

// A transaction that does not end is cut off.
func TestDrainHasAnEnd(t *testing.T) {
	drivers(t, func(t *testing.T, loops int) {
		db := database(t)
		f := startBefore(t, server, shopTables, func(o *proxy.Options) { o.Drain, o.Loops = 100*time.Millisecond, loops })
		conn := open(t, f.dsn(db))
		does(t, conn, "BEGIN; DELETE FROM users WHERE id = 1")
		f.stop()
		if got := ended(t, conn); got != "57P01" {
			t.Errorf("it ends with %q", got)
		}
		eventually(t, "the server has rolled it back", func() bool { return ask(t, db, countUsers) == "30|0" })
	})
}

// Sessions that are idle for too long end; those in a transaction, or that wait for an answer, do not.
func TestIdleTime(t *testing.T) {
	drivers(t, func(t *testing.T, loops int) {
		db := database(t)
		f := startBefore(t, server, shopTables, func(o *proxy.Options) { o.Limits.IdleTime, o.Loops = time.Second, loops })
		idle, within1, waiting := open(t, f.dsn(db)), open(t, f.dsn(db)), open(t, f.dsn(db))
		does(t, within1, "BEGIN")
		answer := make(chan string, 1)
		go func() { answer <- does(t, waiting, "SELECT pg_sleep(4)") }() // longer than two sweeps
		if got := ended(t, idle); got != "57P05" {
			t.Errorf("an idle session ends with %q", got)
		}
		if got := <-answer; got != "SELECT 1" {
			t.Errorf("a session that waited for an answer: %s", got)
		}
		if got := does(t, within1, "SELECT 1"); got != "SELECT 1" {
			t.Errorf("a session in a transaction: %s", got)
		}
	})
}

// The proxy's own limits for one user and one database. Who has left, or was never let in, does not count.
func TestLimitsPerUserAndDatabase(t *testing.T) {
	logins(t)
	one, other := database(t), database(t)
	f := startBefore(t, server, shopTables, func(o *proxy.Options) { o.Limits.ConnectionsPerUser, o.Limits.ConnectionsPerDatabase = 2, 3 })
	connect := func(user, db string) (*pgx.Conn, error) {
		dsn := strings.Replace(f.dsn(db), "user=postgres", fmt.Sprintf("user=%s password='secret of %[1]s'", user), 1)
		return pgx.Connect(within(t), dsn)
	}
	var conns []*pgx.Conn
	for _, c := range []struct{ user, db, want string }{
		{"postgres", one, "<nil>"},
		{"postgres", one, "<nil>"},
		{"postgres", one, "53300"},
		{"postgres", other, "53300"},
		{"rejected_user", one, "28000"},
		{"trust_user", one, "<nil>"},
		{"scram_user", one, "53300"},
		{"scram_user", other, "<nil>"},
	} {
		// Who is turned away is counted out a moment after he has heard of it.
		eventually(t, fmt.Sprintf("%s in %s: %s", c.user, c.db, c.want), func() bool {
			conn, err := connect(c.user, c.db)
			if err == nil {
				conns = append(conns, conn)
			}
			return code(err) == c.want
		})
	}
	for _, conn := range conns {
		_ = conn.Close(within(t))
	}
	eventually(t, "there is room again", func() bool {
		conn, err := connect("postgres", one)
		if err == nil {
			_ = conn.Close(context.Background())
		}
		return err == nil
	})
}
