package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/config"
	"tombstone/proxy"
)

// logins are the users of hba, each with its own way to log in.
func logins(t *testing.T) []string {
	t.Helper()
	ask(t, "postgres", `DO $$ DECLARE u text; BEGIN
		FOREACH u IN ARRAY '{password_user,md5_user,scram_user,trust_user,rejected_user}'::text[] LOOP
			PERFORM set_config('password_encryption', CASE u WHEN 'md5_user' THEN 'md5' ELSE 'scram-sha-256' END, true);
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = u) THEN
				EXECUTE format('CREATE ROLE %I SUPERUSER LOGIN PASSWORD %L', u, 'secret of ' || u);
			END IF;
		END LOOP; END $$`)
	return []string{"password_user", "md5_user", "scram_user", "trust_user"}
}

// Authentication is the server's: the proxy passes it through, and what goes
// wrong comes back in the server's own words.
func TestAuthentication(t *testing.T) {
	users := logins(t)
	db := database(t)
	f := start(t, shopTables)
	host, port, _ := net.SplitHostPort(f.addr.String())
	for _, user := range users {
		for _, mode := range []string{"disable", "allow", "prefer"} {
			t.Run(user+", "+mode, func(t *testing.T) {
				dsn := fmt.Sprintf("host=%s port=%s dbname=%s user=%s sslmode=%s password='secret of %s'", host, port, db, user, mode, user)
				if got := show(t, open(t, dsn), "SELECT current_user, count(*) FROM users"); got != user+"|30" {
					t.Errorf("pgx: %s", got)
				}
				out, errs := psql(t, dsn, "-At", "-c", "SELECT session_user, count(*) FROM users")
				if out != user+"|30\n" || errs != "" {
					t.Errorf("psql: %s%s", out, errs)
				}
			})
		}
	}
	for _, c := range []struct{ about, more string }{
		{"wrong password, cleartext", "user=password_user password=wrong"},
		{"wrong password, md5", "user=md5_user password=wrong"},
		{"wrong password, scram", "user=scram_user password=wrong"},
		{"no such user", "user=nobody_at_all"},
		{"no such database", "user=postgres dbname=no_such_database"},
		{"rejected", "user=rejected_user"},
		{"bad startup option", "user=postgres options='-c no_such_setting=1'"},
	} {
		t.Run(c.about, func(t *testing.T) {
			said := func(dsn string) string {
				_, err := pgconn.Connect(within(t), dsn+" "+c.more)
				var e *pgconn.PgError
				if !errors.As(err, &e) {
					t.Fatalf("connected, or: %v", err)
				}
				return problem(e)
			}
			base := "dbname=" + db + " sslmode=disable"
			hard := said(fmt.Sprintf("host=%s port=%d %s", server.Host, server.Port, base))
			soft := said(fmt.Sprintf("host=%s port=%s %s", host, port, base))
			if hard != soft {
				t.Errorf("direct\n%s\nthrough the proxy\n%s", hard, soft)
			}
		})
	}
}

// The proxy declines encryption, once for each request, and the client decides
// whether it goes on.
func TestEncryptionRequests(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	if _, err := pgx.Connect(within(t), strings.Replace(f.dsn(db), "sslmode=disable", "sslmode=require", 1)); err == nil || !strings.Contains(err.Error(), "refused TLS") {
		t.Errorf("sslmode=require: %v", err)
	}
	if _, errs := psql(t, strings.Replace(f.dsn(db), "sslmode=disable", "sslmode=require", 1), "-c", "SELECT 1"); !strings.Contains(errs, "server does not support SSL, but SSL was required") {
		t.Errorf("sslmode=require: psql says %s", errs)
	}
	c, err := net.Dial("tcp", f.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	for _, request := range []string{gssRequest, sslRequest} {
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 1)
		if _, err := io.ReadFull(c, answer); err != nil || answer[0] != 'N' {
			t.Fatalf("answer %q, %v, want N", answer, err)
		}
	}
	if _, err := io.WriteString(c, startup("user", "postgres", "database", db)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 9)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "R\x00\x00\x00\x08\x00\x00\x00\x00" {
		t.Fatalf("answer %q, %v, want AuthenticationOk", answer, err)
	}
}

const (
	sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	gssRequest = "\x00\x00\x00\x08\x04\xd2\x16\x30"
)

// startup is a startup packet.
func startup(params ...string) string {
	body := "\x00\x03\x00\x00" + strings.Join(params, "\x00") + "\x00\x00"
	n := len(body) + 4
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + body
}

// Both sides may be Unix sockets, with a password too.
func TestUnixSockets(t *testing.T) {
	logins(t)
	db := database(t)
	dir, err := os.MkdirTemp("", "tombstone")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, ".s.PGSQL.6432")
	change := func(o *proxy.Options) {
		o.Listen = config.Address{Network: "unix", Address: socket}
		o.Upstream = config.Upstream{Network: "unix", Address: filepath.Join(server.SocketDir, fmt.Sprintf(".s.PGSQL.%d", server.Port))}
	}
	f := startBefore(t, server, shopTables, change)
	for _, user := range []string{"postgres", "scram_user"} {
		dsn := fmt.Sprintf("host=%s port=6432 dbname=%s user=%s password='secret of %[3]s'", dir, db, user)
		if got, errs := psql(t, dsn, "-At", "-c", "DELETE FROM users WHERE id = 1", "-c", "SELECT count(*) FROM users"); got != "DELETE 1\n29\n" && got != "DELETE 0\n29\n" {
			t.Errorf("psql as %s: %s%s", user, got, errs)
		}
		if got := show(t, open(t, dsn+" sslmode=disable"), "SELECT count(*) FROM users"); got != "29" {
			t.Errorf("pgx as %s: %s", user, got)
		}
	}
	if _, err := proxy.Listen(proxy.Options{Listen: config.Address{Network: "unix", Address: socket}}); err == nil || !strings.Contains(err.Error(), "already in use") {
		t.Errorf("a second proxy at the socket: %v", err)
	}
	f.stop()
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is left behind")
	}

	// What a killed proxy leaves is no obstacle.
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	startBefore(t, server, shopTables, change)
}

// A CancelRequest reaches the session that it means.
func TestCancel(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	sleeping := func() bool {
		return ask(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+db+"' AND query LIKE '%pg_sleep(30)%' AND state = 'active'") == "1"
	}
	t.Run("pgx", func(t *testing.T) {
		conn, other := open(t, f.dsn(db)), open(t, f.dsn(db))
		result := make(chan error, 1)
		go func() {
			_, err := conn.PgConn().Exec(within(t), "DELETE FROM users WHERE id = 1 AND pg_sleep(30) IS NULL").ReadAll()
			result <- err
		}()
		eventually(t, "the statement runs", sleeping)
		if err := conn.PgConn().CancelRequest(within(t)); err != nil {
			t.Error(err)
		}
		var e *pgconn.PgError
		if err := <-result; !errors.As(err, &e) || e.Code != "57014" {
			t.Errorf("cancelled statement: %v, want 57014", err)
		}
		if got := show(t, conn, "SELECT count(*) FROM users"); got != "30" {
			t.Errorf("afterwards: %s", got)
		}
		if got := show(t, other, "SELECT 1"); got != "1" {
			t.Errorf("another session: %s", got)
		}
	})
	t.Run("psql", func(t *testing.T) {
		psqlPath, err := exec.LookPath("psql")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(within(t), psqlPath, "-X", "-d", f.dsn(db), "-c", "SELECT pg_sleep(30)")
		cmd.Env = environ()
		var errs strings.Builder
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the statement runs", sleeping)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if !strings.Contains(errs.String(), "canceling statement due to user request") {
			t.Errorf("psql says %q", errs.String())
		}
	})
	t.Run("idle", func(t *testing.T) {
		conn := open(t, f.dsn(db))
		for range 20 { // nothing runs; later statements must not suffer
			if err := conn.PgConn().CancelRequest(within(t)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the session answers", func() bool {
			_, err := conn.PgConn().Exec(within(t), "SET search_path = archive; SET search_path = public").ReadAll()
			var e *pgconn.PgError
			if err != nil && (!errors.As(err, &e) || e.Code != "57014") {
				t.Fatal(err)
			}
			return err == nil
		})
	})
}
