package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"tombstone/config/configtest"
	"tombstone/policy"
)

// protect has the proxy go over to another policy.
func (f *front) protect(t *testing.T, tables string) {
	t.Helper()
	cfg := configtest.Parse(t, "tables:"+tables)
	o := f.options
	o.Policy = policy.New(cfg.Tables, cfg.Bodies)
	if err := f.server.Reload(o); err != nil {
		t.Fatal(err)
	}
}

// does runs a statement and tells its tag, or its SQLSTATE.
func does(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(within(t), sql).ReadAll()
	if err != nil {
		return code(err)
	}
	return results[len(results)-1].CommandTag.String()
}

const countUsers = "SELECT count(*), count(deleted_at) FROM users"

// A table that is protected from now on is so in sessions that are open, at their next statement, whatever they stand in.
func TestReloadProtects(t *testing.T) {
	db := database(t)
	f := start(t, " []")
	idle, prepared, open1, failed, frozen := open(t, f.dsn(db)), open(t, f.dsn(db)), open(t, f.dsn(db)), open(t, f.dsn(db)), open(t, f.dsn(db))
	if got := does(t, idle, "DELETE FROM users WHERE id = 1"); got != "DELETE 1" {
		t.Fatal(got)
	}
	if _, err := prepared.PgConn().Prepare(within(t), "doomed", "DELETE FROM users WHERE id = $1", nil); err != nil {
		t.Fatal(err)
	}
	does(t, prepared, "PREPARE by_sql AS DELETE FROM users WHERE id = 29")
	does(t, open1, "BEGIN; DELETE FROM users WHERE id = 2")
	does(t, failed, "BEGIN")
	does(t, failed, "SELECT 1/0")
	does(t, frozen, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM users")

	f.protect(t, "\n  - name: public.users")
	if got := ask(t, db, countUsers); got != "29|0" {
		t.Fatalf("before: %s", got)
	}
	for _, c := range []struct {
		about string
		conn  *pgx.Conn
		sql   string
		want  string
	}{
		{"an idle session", idle, "DELETE FROM users WHERE id = 3", "DELETE 1"},
		{"the same, by the extended protocol", idle, "", "DELETE 1"},
		{"a prepared statement that nobody has looked at", prepared, "", "0A000"},
		{"one made by PREPARE", prepared, "EXECUTE by_sql", "0A000"},
		{"one made by PREPARE, explained", prepared, "EXPLAIN ANALYZE EXECUTE by_sql", "0A000"},
		{"inside a transaction", open1, "DELETE FROM users WHERE id = 5", "DELETE 1"},
		{"at its end", open1, "COMMIT", "COMMIT"},
		{"in a transaction that keeps its snapshot", frozen, "DELETE FROM users WHERE id = 6", "DELETE 1"},
		{"at its end", frozen, "COMMIT", "COMMIT"},
	} {
		got := ""
		switch {
		case c.sql != "":
			got = does(t, c.conn, c.sql)
		case c.conn == prepared:
			_, err := prepared.PgConn().ExecPrepared(within(t), "doomed", [][]byte{[]byte("30")}, nil, nil).Close()
			got = code(err)
		default:
			tag, err := c.conn.Exec(within(t), "DELETE FROM users WHERE id = $1", 4)
			if err != nil {
				t.Error(err)
			}
			got = tag.String()
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.about, got, c.want)
		}
	}
	// The end of a transaction that has failed and a DELETE in one message: nothing could be asked before it.
	switch got := does(t, failed, "ROLLBACK; DELETE FROM users WHERE id = 7"); got {
	case "DELETE 1", "0A000":
	default:
		t.Errorf("after a transaction that has failed: %s", got)
	}
	if got := ask(t, db, countUsers); got != "28|4" && got != "28|5" {
		t.Errorf("behind the proxy: %s; 1 and 2 were really deleted, 3 to 6 and perhaps 7 buried", got)
	}
	if got := does(t, prepared, "DEALLOCATE ALL; PREPARE by_sql AS DELETE FROM users WHERE id = 29"); got != "PREPARE" {
		t.Errorf("prepared again: %s", got)
	}
	if got := does(t, prepared, "EXECUTE by_sql"); got != "DELETE 1" {
		t.Errorf("what was prepared again: %s", got)
	}
	if got := ask(t, db, "SELECT count(*) FROM users WHERE id = 29 AND deleted_at IS NOT NULL"); got != "1" {
		t.Error("what was prepared again does not bury")
	}
}

// A table that is not protected any more is left alone, and what was prepared to bury its rows is refused rather than run.
func TestReloadReleases(t *testing.T) {
	db := database(t)
	f := start(t, "\n  - name: public.users")
	conn := open(t, f.dsn(db))
	does(t, conn, "PREPARE bury AS DELETE FROM users WHERE id = 1")
	f.protect(t, "\n  - name: public.orders")
	if got := does(t, conn, "EXECUTE bury"); got != "0A000" {
		t.Errorf("what was prepared under the old policy, under another: %s", got)
	}
	if got := does(t, conn, "DELETE FROM users WHERE id = 2"); got != "DELETE 1" {
		t.Error(got)
	}
	f.protect(t, " []")
	if got := does(t, conn, "EXECUTE bury"); got != "0A000" {
		t.Errorf("what was prepared under the old policy, under none: %s", got)
	}
	if got := ask(t, db, countUsers); got != "29|0" {
		t.Errorf("behind the proxy: %s", got)
	}
}

func reachable(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// The program reads its configuration again at SIGHUP and when the file changes. What is wrong changes nothing, and shows.
func TestReloadOfTheProgram(t *testing.T) {
	db := database(t)
	port, admin := freePort(t), freePort(t)
	text := fmt.Sprintf("listen: 127.0.0.1:%s\nadmin: 127.0.0.1:%s\nupstream: postgres://%s:%d\ntables: ", port, admin, server.Host, server.Port)
	cmd := serve(t, text+"[]\n")
	file := cmd.Args[len(cmd.Args)-1]
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	go func() { _, _ = io.Copy(io.Discard, errs) }() // ends with the program
	metric := func(name string) string {
		_, body := get(t, "http://127.0.0.1:"+admin+"/metrics")
		return strings.TrimSpace(strings.TrimPrefix(grep(body, name+" "), name))
	}
	eventually(t, "the program serves", func() bool { return reachable("http://127.0.0.1:" + admin + "/healthz") })
	conn := open(t, "host=127.0.0.1 port="+port+" user=postgres sslmode=disable dbname="+db)
	if got := does(t, conn, "DELETE FROM users WHERE id = 1"); got != "DELETE 1" {
		t.Fatal(got)
	}
	write := func(tables string) {
		t.Helper()
		// As Kubernetes does: another file takes the place of the old one.
		other := filepath.Join(filepath.Dir(file), "new.yaml")
		if err := os.WriteFile(other, []byte(text+tables), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(other, file); err != nil {
			t.Fatal(err)
		}
	}

	write("[{name: public.users}]\n")
	_ = cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "SIGHUP", func() bool { return metric(`tombstone_config_reloads_total{result="ok"}`) == "1" })
	if got := does(t, conn, "DELETE FROM users WHERE id = 2"); got != "DELETE 1" {
		t.Error(got)
	}
	write("[{name: public.users, retention: soon}]\n")
	_ = cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "a bad file shows", func() bool { return metric("tombstone_config_last_reload_successful") == "0" })
	if got := does(t, conn, "DELETE FROM users WHERE id = 3"); got != "DELETE 1" {
		t.Error(got)
	}
	if got := ask(t, db, countUsers); got != "29|2" {
		t.Errorf("behind the proxy: %s, want 1 really deleted, 2 and 3 buried", got)
	}
	write("[]\n")
	eventually(t, "the file is looked at", func() bool { return metric(`tombstone_config_reloads_total{result="ok"}`) == "2" })
	if got := metric("tombstone_config_last_reload_successful"); got != "1" {
		t.Errorf("after a right file: %s", got)
	}
	if got := does(t, conn, "DELETE FROM users WHERE id = 4"); got != "DELETE 1" {
		t.Error(got)
	}
	if got := ask(t, db, countUsers); got != "28|2" {
		t.Errorf("behind the proxy: %s, want 4 really deleted too", got)
	}
}
