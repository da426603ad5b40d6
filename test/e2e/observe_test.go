package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"

	"tombstone/config"
	"tombstone/proxy"
)

// mode is a policy for users alone.
func mode(m string) string { return "\n  - {name: public.users, mode: \"" + m + "\"}" }

// fate tells what has become of a user: live, buried, or gone.
func fate(t *testing.T, db string, id int) string {
	t.Helper()
	if f := ask(t, db, fmt.Sprintf("SELECT CASE WHEN deleted_at IS NULL THEN 'live' ELSE 'buried' END FROM users WHERE id = %d", id)); f != "" {
		return f
	}
	return "gone"
}

// A DELETE on an observed table really deletes, what would be refused runs, and the log says what would be.
func TestObserve(t *testing.T) {
	db := database(t)
	if _, err := direct(t, db).Exec(within(t), "UPDATE users SET deleted_at = now() WHERE id = 30; CREATE VIEW bare AS SELECT id, name FROM users"); err != nil {
		t.Fatal(err)
	}
	f := start(t, mode("observe")+"\n  - {name: public.orders}\n  - {name: public.audit_log, mode: observe}")
	conn := open(t, f.dsn(db))
	for _, c := range []struct{ sql, want string }{
		{"DELETE FROM users WHERE id = 1", "DELETE 1"},
		{"SELECT id FROM users WHERE id = 30", "SELECT 1"}, // a tombstone is a row like any other
		{"UPDATE users SET name = 'x' WHERE id = 30", "UPDATE 1"},
		{"SELECT id FROM bare WHERE id = 30", "SELECT 1"},
		{"DELETE FROM bare WHERE id = 2", "DELETE 1"},                                    // would be refused
		{"ALTER TABLE users ALTER COLUMN deleted_at TYPE timestamptz(0)", "ALTER TABLE"}, // too
		{"SELECT query_to_xml('SELECT 1 FROM users', true, true, '')", "SELECT 1"},       // too
		{"DELETE FROM audit_log WHERE id = 1", "DELETE 1"},                               // it has no marker yet
		{"DELETE FROM orders WHERE id = 1", "DELETE 1"},                                  // it is enforced
		{"WITH d AS (DELETE FROM users WHERE id = 3 RETURNING id) DELETE FROM orders USING d WHERE user_id = d.id", "DELETE 2"},
		{"SELECT u.id FROM users u, orders o WHERE o.user_id = u.id AND o.id = 1", "SELECT 0"},
		{"BEGIN; DELETE FROM users WHERE id = 4; ROLLBACK", "ROLLBACK"},
		{"TRUNCATE users RESTART IDENTITY", "TRUNCATE TABLE"},
	} {
		if got := does(t, conn, c.sql); got != c.want {
			t.Errorf("%s: %s, want %s", c.sql, got, c.want)
		}
	}
	if got := ask(t, db, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM audit_log), (SELECT count(*) FROM orders), (SELECT count(deleted_at) FROM orders)"); got != "0|19|80|3" {
		t.Errorf("behind the proxy: %s; users are gone, orders are all there, 3 of them buried", got)
	}
	log := regexp.MustCompile(` connection=\d+ client=\S+`).ReplaceAllString(f.log.String(), "")
	for _, want := range []string{
		`level=INFO msg="before an observed table is enforced" database=` + db + ` table=public.audit_log problem="protected table \"public.audit_log\" has no column \"deleted_at\" to mark its deleted rows with" fix="Add it: ALTER TABLE`,
		`level=INFO msg="an observed statement would be edited" table=public.users would_be=buried rules=bury-delete sql="DELETE FROM users WHERE id = 1" would_send="UPDATE users SET deleted_at = now() WHERE (id = 1) AND users.deleted_at IS NULL"`,
		`level=INFO msg="an observed statement would be edited" table=public.audit_log would_be=buried`,
		`level=WARN msg="an observed statement would be refused" table=public.users rule=view-delete`,
		`level=WARN msg="an observed statement would be refused" table=public.users rule=marker-ddl`,
		`level=WARN msg="an observed statement would be refused" table=public.users rule=truncate-restart`,
		`level=WARN msg="an observed statement would be refused" table=public.users rule=runs-strings`,
		`level=WARN msg="an observed statement would show deleted rows, or really delete" table=public.users rule=view-open`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("not logged: %s", want)
		}
	}
	if strings.Contains(log, "statement refused") || t.Failed() {
		t.Errorf("log:\n%s", log)
	}
}

// Whatever is said of tables that are only observed, the server gets the very bytes.
func TestObservedBytesArriveAsSent(t *testing.T) {
	db := database(t)
	r := newRelay(t)
	f := startBefore(t, server, strings.ReplaceAll(shopTables, "\n  - name:", "\n  - mode: observe\n    name:"), func(o *proxy.Options) {
		o.Upstream = config.Upstream{Network: "tcp", Address: r.addr}
	})
	c := dialWire(t, f.dsn(db))
	for _, turns := range [][]turn{
		{say(query("select\t*  from users -- all\n left join orders o using(id) where users.id<9 ;;"))},
		{say(query("delete  from users where id=1 returning *"))},
		{say(query("with d as (delete from orders returning *) select count(*) from d;update users set name='ü' where id=2"))},
		{say(query("DELETE FROM users WHER id = 1"))},
		{say(query("MERGE INTO users u USING orders o ON u.id = o.id WHEN NOT MATCHED BY SOURCE THEN DELETE"))},
		{say(query("TRUNCATE  memberships, audit_log CASCADE"))},
		{say(query("set tombstone.visibility = 'all'"))},
		{say(query("COPY  users TO STDOUT"))},
		{say(query("insert into users(id,name)values(3,'x')on conflict(id)do update set name='y'"))},
		{say(query("SET search_path = tenant; DELETE FROM users WHERE id = 1")), say(query("RESET search_path"))},
		{say(query("DO $$ BEGIN DELETE FROM users WHERE id = 9; END $$"))},
		{say(&pp.Parse{Name: "s", Query: "delete  from users where id=$1 returning *", ParameterOIDs: []uint32{23}},
			&pp.Bind{DestinationPortal: "p", PreparedStatement: "s", Parameters: [][]byte{[]byte("5")}}, &pp.Describe{ObjectType: 'P', Name: "p"}, &pp.Execute{Portal: "p"}, &pp.Sync{})},
		{say(&pp.Bind{PreparedStatement: "s", Parameters: [][]byte{[]byte("6")}}, &pp.Execute{}, &pp.Sync{})},
		{say(&pp.FunctionCall{Function: 2923, ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte("users"), []byte("t"), []byte("t"), []byte("")}})},
	} {
		r.take()
		var want []byte
		for _, turn := range turns {
			for _, m := range turn.send {
				var err error
				if want, err = m.Encode(want); err != nil {
					t.Fatal(err)
				}
			}
		}
		if told, err := c.run(turns); err != nil {
			t.Fatalf("%v\n%s", err, told)
		}
		if got := withoutQuestions(r.take()); !bytes.Equal(got, want) {
			t.Errorf("the client sent\n%.500q\nthe server got\n%.500q", want, got)
		}
	}
}

// Open sessions follow the mode, whatever it becomes: each DELETE does what the mode says, and what was prepared under one that does
// something else is refused.
func TestReloadModes(t *testing.T) {
	db := database(t)
	if _, err := direct(t, db).Exec(within(t), "INSERT INTO users (id, name) SELECT i, 'more' FROM generate_series(31, 100) i"); err != nil {
		t.Fatal(err)
	}
	f := start(t, mode("off"))
	plain, extended, prepared, inside := open(t, f.dsn(db)), open(t, f.dsn(db)), open(t, f.dsn(db)), open(t, f.dsn(db))
	prepare := func() {
		t.Helper()
		if err := prepared.PgConn().Deallocate(within(t), "doomed"); err != nil {
			t.Fatal(err)
		}
		if _, err := prepared.PgConn().Prepare(within(t), "doomed", "DELETE FROM users WHERE id = $1", nil); err != nil {
			t.Fatal(err)
		}
		does(t, prepared, "DEALLOCATE ALL; PREPARE by_sql (int) AS DELETE FROM users WHERE id = $1")
		if _, err := prepared.PgConn().Prepare(within(t), "doomed", "DELETE FROM users WHERE id = $1", nil); err != nil {
			t.Fatal(err)
		}
	}
	prepare()
	if _, err := extended.Exec(within(t), "DELETE FROM users WHERE id = $1", 1000); err != nil {
		t.Fatal(err)
	}
	next, before := 1, "off"
	for _, now := range []string{"observe", "enforce", "off", "enforce", "observe", "off", "observe"} {
		does(t, inside, "BEGIN")
		does(t, inside, "SELECT 1 FROM users")
		f.protect(t, mode(now))
		want, run := "gone", "DELETE 1"
		if now == "enforce" {
			want = "buried"
		}
		if (now == "enforce") != (before == "enforce") {
			run = "0A000"
		}
		id := func() int { next++; return next - 1 }
		for _, c := range []struct {
			how, want string
			does      func(id int) string
		}{
			{"a prepared statement", run, func(id int) string { return execPrepared(t, prepared, id) }},
			{"an EXECUTE", run, func(id int) string { return does(t, prepared, fmt.Sprintf("EXECUTE by_sql (%d)", id)) }},
			{"a query", "DELETE 1", func(id int) string { return does(t, plain, fmt.Sprintf("DELETE FROM users WHERE id = %d", id)) }},
			{"a statement that the driver keeps", run, func(id int) string {
				tag, err := extended.Exec(within(t), "DELETE FROM users WHERE id = $1", id)
				if err != nil {
					return code(err)
				}
				return tag.String()
			}},
			{"the same again", "DELETE 1", func(id int) string {
				tag, err := extended.Exec(within(t), "DELETE FROM users WHERE id = $1", id)
				if err != nil {
					return code(err)
				}
				return tag.String()
			}},
			{"inside a transaction", "COMMIT", func(id int) string {
				return does(t, inside, fmt.Sprintf("DELETE FROM users WHERE id = %d; COMMIT", id))
			}},
		} {
			n, fated := id(), want
			got := c.does(n)
			if c.want == "0A000" {
				fated = "live"
			}
			if is := fate(t, db, n); got != c.want || is != fated {
				t.Errorf("%s to %s, %s: %s, and the row is %s; want %s and %s", before, now, c.how, got, is, c.want, fated)
			}
		}
		prepare()
		before = now
	}
}

func execPrepared(t *testing.T, conn *pgx.Conn, id int) string {
	t.Helper()
	tag, err := conn.PgConn().ExecPrepared(within(t), "doomed", [][]byte{[]byte(fmt.Sprint(id))}, nil, nil).Close()
	if err != nil {
		return code(err)
	}
	return tag.String()
}

// Of clients that delete all the time, none really deletes once the table is enforced.
func TestObserveIsEnforcedUnderLoad(t *testing.T) {
	db := database(t)
	f := start(t, mode("observe"))
	if _, err := direct(t, db).Exec(within(t), "INSERT INTO users (id, name) SELECT i, 'more' FROM generate_series(31, 4000) i"); err != nil {
		t.Fatal(err)
	}
	var enforced atomic.Bool
	var next, after atomic.Int64
	var mu sync.Mutex
	var kept []int64 // those that must not be gone
	var wait sync.WaitGroup
	for range 4 {
		conn := open(t, f.dsn(db))
		wait.Go(func() {
			for after.Load() < 400 {
				id := next.Add(1)
				if id > 4000 {
					return
				}
				was := enforced.Load()
				_, err := conn.Exec(within(t), "DELETE FROM users WHERE id = $1", id) // pgx prepares it once, and again if it is refused
				var refused *pgconn.PgError
				if err != nil && (!errors.As(err, &refused) || refused.Code != "0A000") {
					t.Errorf("%d: %v", id, err)
					return
				}
				if was {
					after.Add(1)
					mu.Lock()
					kept = append(kept, id)
					mu.Unlock()
				}
			}
		})
	}
	eventually(t, "rows are deleted", func() bool { return next.Load() > 200 })
	f.protect(t, mode("enforce"))
	enforced.Store(true)
	wait.Wait()
	if len(kept) < 100 {
		t.Fatalf("only %d statements came after the reload, of %d", len(kept), next.Load())
	}
	var n int
	if err := direct(t, db).QueryRow(within(t), "SELECT count(*) FROM users WHERE id = ANY ($1)", kept).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != len(kept) {
		t.Errorf("%d of %d rows are gone that were deleted after the table was enforced", len(kept)-n, len(kept))
	}
	if got := ask(t, db, "SELECT count(*) > 100 FROM users WHERE deleted_at IS NOT NULL"); got != "t" {
		t.Error("next to nothing is buried")
	}
}

// The program says what it enforces and observes, and shows on /metrics what it would do, each time that a statement runs.
func TestObserveOfTheProgram(t *testing.T) {
	db := database(t)
	port, admin := freePort(t), freePort(t)
	text := fmt.Sprintf("listen: 127.0.0.1:%s\nadmin: 127.0.0.1:%s\nupstream: postgres://%s:%d\ntables:\n  - name: public.orders\n  - {name: public.files, mode: \"off\"}", port, admin, server.Host, server.Port)
	cmd := serve(t, text+mode("observe")+"\n")
	file := cmd.Args[len(cmd.Args)-1]
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() { b, _ := io.ReadAll(errs); said <- string(b) }() // ends with the program
	defer func() {
		_ = cmd.Process.Kill()
		log := <-said
		_ = cmd.Wait()
		for _, want := range []string{`msg="proxy listens"`, "enforced=1 observed=1 off=1", `msg="configuration reloaded" because=SIGHUP enforced=2 observed=0 off=1`, `would_send="UPDATE users SET deleted_at = now() WHERE (id = $1)`} {
			if !strings.Contains(log, want) {
				t.Errorf("no %s in the log:\n%s", want, log)
			}
		}
	}()
	metrics := func() string {
		_, body := get(t, "http://127.0.0.1:"+admin+"/metrics")
		return grep(body, "tombstone_observed_") + grep(body, "tombstone_rows_buried")
	}
	eventually(t, "the program serves", func() bool { return reachable("http://127.0.0.1:" + admin + "/healthz") })
	conn := open(t, "host=127.0.0.1 port="+port+" user=postgres sslmode=disable dbname="+db)
	for id := 1; id <= 5; id++ {
		if tag, err := conn.Exec(within(t), "DELETE FROM users WHERE id = $1", id); err != nil || tag.String() != "DELETE 1" {
			t.Fatal(tag, err)
		}
	}
	does(t, conn, "SELECT 1 FROM users; SELECT 1 FROM orders; SELECT 1 FROM files")
	does(t, conn, "SELECT 1 FROM users, orders")
	does(t, conn, "TRUNCATE users, files")
	want := `tombstone_observed_rules_total{rule="bury-delete",table="public.users"} 5
tombstone_observed_rules_total{rule="hide-where",table="public.users"} 2
tombstone_observed_rules_total{rule="truncate-mixed",table="public.users"} 1
tombstone_observed_statements_total{action="buried",table="public.users"} 5
tombstone_observed_statements_total{action="hidden",table="public.users"} 2
tombstone_observed_statements_total{action="refused",table="public.users"} 1
`
	if got := metrics(); got != want {
		t.Errorf("metrics:\n%s\nwant:\n%s", got, want)
	}
	if err := os.WriteFile(file, []byte(text+mode("enforce")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "SIGHUP", func() bool {
		_, body := get(t, "http://127.0.0.1:"+admin+"/metrics")
		return strings.Contains(body, `tombstone_config_reloads_total{result="ok"} 1`)
	})
	does(t, conn, "INSERT INTO users (id, name) VALUES (1, 'x')")
	if got := does(t, conn, "DELETE FROM users"); got != "DELETE 1" || fate(t, db, 1) != "buried" {
		t.Errorf("enforced: %s, %s", got, fate(t, db, 1))
	}
	if got := metrics(); got != want+`tombstone_rows_buried_total{table="public.users"} 1`+"\n" {
		t.Errorf("metrics, enforced:\n%s", got)
	}
}

// A transaction that keeps its snapshot is refused what comes after another session's DDL only where something is enforced.
func TestObserveBehindASnapshot(t *testing.T) {
	for m, want := range map[string]string{"observe": "DELETE 1", "enforce": "40001"} {
		db := database(t)
		f := start(t, mode(m))
		frozen, other := open(t, f.dsn(db)), open(t, f.dsn(db))
		does(t, frozen, "BEGIN ISOLATION LEVEL REPEATABLE READ")
		does(t, frozen, "SELECT 1 FROM users")
		does(t, other, "BEGIN; ALTER TABLE archive.users ADD COLUMN v text")
		if got := does(t, frozen, "DELETE FROM users WHERE id = 1"); got != want {
			t.Errorf("%s: %s, want %s", m, got, want)
		}
	}
}
