package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"

	"tombstone/cluster"
	"tombstone/config"
	"tombstone/proxy"
)

// code returns the SQLSTATE of an error, or its text.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

// A server that is not there: 08006, and words that help.
func TestServerDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	f := startBefore(t, server, shopTables, func(o *proxy.Options) {
		o.Upstream = config.Upstream{Network: "tcp", Address: addr}
	})
	_, err = pgconn.Connect(within(t), f.dsn("postgres"))
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "08006" || e.Severity != "FATAL" || !strings.Contains(e.Message, "cannot reach the PostgreSQL server") || !strings.Contains(e.Hint, "upstream") {
		t.Errorf("%v", err)
	}
	_, errs := psql(t, f.dsn("postgres"), "-c", "SELECT 1")
	if !strings.Contains(errs, "cannot reach the PostgreSQL server") {
		t.Errorf("psql says %s", errs)
	}
	if !strings.Contains(f.log.String(), addr) {
		t.Errorf("the log does not name the server:\n%s", f.log)
	}
}

// A server that dies in the middle of a transaction, and comes back.
func TestServerDies(t *testing.T) {
	ctx := within(t)
	c, err := cluster.Start(ctx, cluster.Options{Programs: installed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := loadShop(ctx, c); err != nil {
		t.Fatal(err)
	}
	f := startBefore(t, c, shopTables, nil)
	idle, busy, open2 := open(t, f.dsn("shop")), open(t, f.dsn("shop")), open(t, f.dsn("shop"))
	show(t, open2, "BEGIN; DELETE FROM users WHERE id = 1")
	show(t, idle, "BEGIN; DELETE FROM users WHERE id = 2; COMMIT")
	running := make(chan error, 1)
	go func() {
		_, err := busy.Exec(ctx, "SELECT pg_sleep(60)")
		running <- err
	}()
	eventually(t, "the statement runs", func() bool {
		out, err := c.Psql(ctx, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()")
		return err == nil && out == "1"
	})
	c.Kill()
	if got := code(<-running); got != "08006" && got != "57P01" {
		t.Errorf("a running statement: %s, want 08006", got)
	}
	for name, conn := range map[string]*pgx.Conn{"in a transaction": open2, "idle": idle} {
		_, err := conn.PgConn().Exec(ctx, "DELETE FROM users WHERE id = 3").ReadAll()
		if got := code(err); got != "08006" && got != "57P01" {
			t.Errorf("%s: %s, want 08006", name, got)
		}
	}
	_, err = pgconn.Connect(ctx, f.dsn("shop"))
	if code(err) != "08006" {
		t.Errorf("a new client: %v", err)
	}
	if err := c.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if got := show(t, open(t, f.dsn("shop")), "SELECT min(id) FROM users; DELETE FROM users WHERE id = 1; SELECT count(*) FROM users"); got != "1\n28" {
		t.Errorf("after the restart: %q", got)
	}
}

// A session that an administrator ends gets the server's own words.
func TestTerminated(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	conn, admin := open(t, f.dsn(db)), open(t, f.dsn(db))
	show(t, conn, "BEGIN; DELETE FROM users WHERE id = 1")
	pid := conn.PgConn().PID()
	if got := show(t, admin, fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid)); got != "t" {
		t.Fatal(got)
	}
	_, err := conn.PgConn().Exec(within(t), "SELECT 1").ReadAll()
	if code(err) != "57P01" || !strings.Contains(err.Error(), "terminating connection due to administrator command") {
		t.Errorf("%v", err)
	}
	if got := show(t, admin, "SELECT count(*) FROM users"); got != "30" {
		t.Errorf("%s rows, want 30: the transaction was rolled back", got)
	}

	busy := open(t, f.dsn(db))
	result := make(chan error, 1)
	go func() {
		_, err := busy.PgConn().Exec(within(t), "SELECT pg_sleep(30) FROM users LIMIT 1").ReadAll()
		result <- err
	}()
	eventually(t, "the statement ends", func() bool {
		show(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%pg_sleep(30)%'")
		select {
		case err = <-result:
			return true
		default:
			return false
		}
	})
	if code(err) != "57P01" {
		t.Errorf("a running statement: %v", err)
	}
}

// A client that vanishes takes its backend along.
func TestClientVanishes(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	for _, c := range []struct {
		name  string
		turns []turn
		then  []pp.FrontendMessage
	}{
		{"idle", nil, nil},
		{"in a transaction", []turn{say(query("BEGIN; DELETE FROM users WHERE id = 1"))}, nil},
		{"in a query that sends rows", nil, []pp.FrontendMessage{query("SELECT repeat('x', 1000), generate_series(1, 100000000)")}},
		{"in a query that sleeps", []turn{say(query("SET client_connection_check_interval = 50"))}, []pp.FrontendMessage{query("DELETE FROM users WHERE id = 2; SELECT pg_sleep(600)")}},
		{"in a COPY", []turn{until('G', query("COPY users (id, name) FROM STDIN"))}, []pp.FrontendMessage{copyData("99\tx\n")}},
		{"in a batch", []turn{until('1', parse("", "DELETE FROM users"), flush())}, []pp.FrontendMessage{bind("", ""), execute("", 0), flush()}},
		{"in a batch that waits for names", []turn{say(query("BEGIN; SET LOCAL search_path = tenant"))}, []pp.FrontendMessage{parse("", "DELETE FROM users"), bind("", ""), flush()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := dialWire(t, f.dsn(db))
			if told, err := w.run(c.turns); err != nil {
				t.Fatalf("%v\n%s", err, told)
			}
			for _, m := range c.then {
				w.Frontend.Send(m)
			}
			if err := w.Frontend.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := w.Conn.Close(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "no backend is left", func() bool { return backends(t, db) == "0" })
		})
	}
	if got := ask(t, db, "SELECT count(*), count(deleted_at) FROM users"); got != "30|0" {
		t.Errorf("behind the proxy: %s; what was not committed must not stay", got)
	}
}

// A client that closes after half a startup packet, or while it waits to be
// let in, is let go at once.
func TestClientVanishesAtTheDoor(t *testing.T) {
	logins(t)
	f := start(t, shopTables)
	for name, said := range map[string]string{
		"half a length":               "\x00\x00",
		"half an SSLRequest":          sslRequest[:6],
		"half a startup packet":       startup("user", "postgres")[:11],
		"query before authentication": startup("user", "scram_user", "database", "postgres") + "Q\x00\x00\x00\x0dSELECT 1\x00",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", f.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(limit / 4))
			_, _ = io.WriteString(c, said)
			_ = c.(*net.TCPConn).CloseWrite()
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("the proxy holds on: %v", err)
			}
		})
	}
}

// backends counts the server's sessions in a database.
func backends(t *testing.T, db string) string {
	t.Helper()
	return ask(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+db+"'")
}

// A proxy that stops says so to every client, and leaves nothing on the server.
func TestProxyStops(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	idle, busy := open(t, f.dsn(db)), open(t, f.dsn(db))
	show(t, idle, "BEGIN; DELETE FROM users WHERE id = 1")
	result := make(chan error, 1)
	go func() {
		_, err := busy.PgConn().Exec(context.Background(), "SELECT pg_sleep(600)").ReadAll()
		result <- err
	}()
	eventually(t, "the statement runs", func() bool {
		return ask(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+db+"' AND state = 'active'") == "1"
	})
	f.stop()
	if err := <-result; code(err) != "57P01" {
		t.Errorf("running: %v, want 57P01", err)
	}
	if _, err := idle.PgConn().Exec(within(t), "SELECT 1").ReadAll(); code(err) != "57P01" {
		t.Errorf("idle: %v, want 57P01", err)
	}
}

// The proxy's own limit on connections, and the server's.
func TestTooManyClients(t *testing.T) {
	db := database(t)
	f := startBefore(t, server, shopTables, func(o *proxy.Options) { o.Limits.Connections = 2 })
	one := open(t, f.dsn(db))
	open(t, f.dsn(db))
	if _, err := pgconn.Connect(within(t), f.dsn(db)); code(err) != "53300" {
		t.Errorf("a third client: %v, want 53300", err)
	}
	if err := one.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room again", func() bool {
		conn, err := pgconn.Connect(within(t), f.dsn(db))
		if err == nil {
			_ = conn.Close(within(t))
		}
		return err == nil
	})
}
