package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"

	"tombstone/cluster"
)

// conversations are ways to speak to a server, about tables that are not protected. Object ids are fixed, so that
// replies are the same on both sides.
var conversations = []struct {
	name  string
	turns []turn
}{
	{"simple", []turn{
		say(query("SELECT version(), current_setting('server_version_num')")),
		say(query("SELECT * FROM audit_log ORDER BY id; UPDATE audit_log SET what = 'x' WHERE id < 3; SELECT 1/0; SELECT 2")),
		say(query("")), say(query("SELECT nothing FROM audit_log")), say(query("SELECT say('hello')")),
	}},
	{"transactions", []turn{
		say(query("BEGIN; DELETE FROM audit_log WHERE id = 4; SAVEPOINT a")), say(query("SELECT 1/0")), say(query("SELECT 1")),
		say(query("ROLLBACK TO a")), say(query("COMMIT")), say(query("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM audit_log; ROLLBACK")),
	}},
	{"extended", []turn{
		say(batch(all("SELECT $1::int + 1", "41"), all("SELECT what FROM audit_log WHERE id = $1", "5"), syncing())...),
		say(batch(all("SELECT 1/0"), all("SELECT 2"), syncing(), all("SELECT 3"), syncing())...),
		until('s', parse("", "SELECT g FROM generate_series(1, 5) g"), bind("p", ""), execute("p", 2), flush()),
		until('s', execute("p", 2), flush()), say(execute("p", 0), closing('P', "p"), syncing()),
	}},
	{"prepared", []turn{
		say(parse("s", "INSERT INTO audit_log VALUES ($1, $2) RETURNING *"), describe('S', "s"), syncing()),
		say(bind("", "s", "101", "a"), execute("", 0), bind("", "s", "102", "b"), execute("", 0), syncing()),
		say(bind("", "s", "101", "again"), execute("", 0), syncing()),
		say(closing('S', "s"), syncing()), say(bind("", "s", "103", "c"), syncing()),
		say(query("PREPARE q (int) AS SELECT what FROM audit_log WHERE id = $1; EXECUTE q (101); EXECUTE q (102); DEALLOCATE q; EXECUTE q (1)")),
	}},
	{"cursors", []turn{
		say(query("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM audit_log ORDER BY id; FETCH 2 FROM c; FETCH BACKWARD 1 FROM c; MOVE LAST IN c; CLOSE c; COMMIT")),
	}},
	{"copy", []turn{
		until('G', query("COPY audit_log FROM STDIN")), until('Z', copyData("201\tcopied\t1\n20"), copyData("2\tü\t\\N\n"), copyDone()),
	}},
	{"copy out", []turn{
		say(query("COPY (SELECT * FROM audit_log ORDER BY id) TO STDOUT (FORMAT csv, HEADER)")), say(query("COPY archive.users TO STDOUT (FORMAT binary)")),
	}},
	{"copy failed", []turn{
		until('G', query("COPY audit_log FROM STDIN")), until('Z', copyData("301\tx\t1\n"), copyFail("no")),
		say(query("SELECT count(*) FROM audit_log")),
	}},
	{"notify", []turn{
		say(query("LISTEN news")), say(query("NOTIFY news, 'one'")),
		say(batch(all("SELECT pg_notify('news', 'two')"), syncing())...), say(query("UNLISTEN *; NOTIFY news, 'three'")),
	}},
	{"large objects", []turn{
		say(query("SELECT lo_create(7711); SELECT lo_put(7711, 0, 'hello world'); SELECT lo_get(7711)")),
		say(query("BEGIN; SELECT lo_open(7711, x'60000'::int)")),
		say(&pp.FunctionCall{Function: 954, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{{0, 0, 0, 0}, {0, 0, 0, 5}}, ResultFormatCode: 1}), // loread
		say(&pp.FunctionCall{Function: 955, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{{0, 0, 0, 0}, []byte(", ")}, ResultFormatCode: 1}), // lowrite
		say(query("COMMIT; SELECT lo_get(7711); SELECT lo_unlink(7711)")),
	}},
	{"definitions", []turn{
		say(query("SET search_path = archive, public; CREATE TABLE made (id int PRIMARY KEY, v text); INSERT INTO made VALUES (1, 'a')")),
		say(batch(all("SELECT v FROM made WHERE id = $1", "1"), syncing())...),
		say(query("SELECT * FROM pg_prepared_statements; SHOW search_path; DROP TABLE made; DISCARD ALL; SHOW search_path")),
	}},
}

// Whoever touches no protected table gets the same replies on every major version, whether or not the policy has tables.
func TestMajorsAnswerAsDirect(t *testing.T) {
	for major := 13; major <= 18; major++ {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			c := majorServer(t, major)
			for name, tables := range map[string]string{"empty": "  []", "guarded": shopTables} {
				t.Run(name, func(t *testing.T) {
					want, got := copyOf(t, c, "direct_"+name), copyOf(t, c, "proxied_"+name)
					through := startBefore(t, c, tables, nil).dsn(got)
					for _, x := range conversations {
						direct, err := dialWire(t, c.DSN(want)).run(x.turns)
						if err != nil {
							t.Fatalf("%s, direct: %v", x.name, err)
						}
						proxied, err := dialWire(t, through).run(x.turns)
						if err != nil {
							t.Errorf("%s, through the proxy: %v", x.name, err)
						}
						if direct != proxied {
							t.Errorf("%s: the replies differ\n--- direct\n%s--- through the proxy\n%s", x.name, direct, proxied)
						}
					}
					if direct, proxied := greeting(t, c.DSN(want)), greeting(t, through); direct != proxied {
						t.Errorf("at the connect: direct %s, through the proxy %s", direct, proxied)
					}
					for _, dsn := range []string{c.DSN(want), through} {
						if got := cancelled(t, dsn); got != "57014" {
							t.Errorf("cancelled at %s: %s", dsn, got)
						}
					}
				})
			}
		})
	}
}

// copyOf makes a copy of the shop, in which every object id is the same.
func copyOf(t *testing.T, c *cluster.Cluster, name string) string {
	t.Helper()
	conn := open(t, c.DSN("postgres"))
	if _, err := conn.Exec(within(t), "CREATE DATABASE "+name+" TEMPLATE shop"); err != nil {
		t.Fatal(err)
	}
	return name
}

// greeting is what the server tells of itself when a session begins.
func greeting(t *testing.T, dsn string) string {
	t.Helper()
	conn := open(t, dsn).PgConn()
	said := ""
	for _, name := range []string{"server_version", "server_encoding", "client_encoding", "application_name", "is_superuser", "session_authorization",
		"DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings", "in_hot_standby", "default_transaction_read_only", "search_path", "scram_iterations"} {
		said += fmt.Sprintf("%s=%s ", name, conn.ParameterStatus(name))
	}
	return said
}

// cancelled asks for a cancel of a statement that waits, and returns the SQLSTATE that the statement ends with. The
// session goes on.
func cancelled(t *testing.T, dsn string) string {
	t.Helper()
	conn := open(t, dsn)
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT pg_sleep(60)")
		ended <- err
	}()
	watcher := open(t, dsn)
	eventually(t, "the statement runs", func() bool {
		return show(t, watcher, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event = 'PgSleep'", conn.PgConn().PID())) == "1"
	})
	if err := conn.PgConn().CancelRequest(within(t)); err != nil {
		t.Fatal(err)
	}
	var failed *pgconn.PgError
	err := <-ended
	if !errors.As(err, &failed) {
		return fmt.Sprint(err)
	}
	if got := show(t, conn, "SELECT 1"); got != "1" {
		t.Errorf("after the cancel: %s", got)
	}
	return failed.Code
}
