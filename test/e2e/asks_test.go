package e2e

import (
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/admin"
	"tombstone/config"
	"tombstone/proxy"
)

// asking is a database with deleted rows, and a proxy that lets some roles ask for them.
type asking struct {
	*front
	db   string
	used *uses
}

// uses keeps what a proxy counts of settings.
type uses struct {
	*admin.Metrics
	mu   sync.Mutex
	seen map[string]int
}

func (u *uses) Asked(setting, value string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen[setting+"="+value]++
	u.Metrics.Asked(setting, value)
}

func (u *uses) count(use string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[use]
}

var rolesMade sync.Once

// makeRoles makes the roles that the tests log in as: one that may see, one that may restore too, one that may purge, and some that may
// nothing as they are.
func makeRoles(t *testing.T) {
	t.Helper()
	rolesMade.Do(func() {
		ask(t, "postgres", `CREATE ROLE seers; CREATE ROLE "Res'torers"; CREATE ROLE purgers; CREATE ROLE everything_there_is SUPERUSER LOGIN;
			CREATE ROLE seer LOGIN IN ROLE seers, pg_read_all_data, pg_write_all_data;
			CREATE ROLE restorer LOGIN IN ROLE seers, "Res'torers", pg_read_all_data, pg_write_all_data;
			CREATE ROLE purger LOGIN IN ROLE seers, purgers, pg_read_all_data, pg_write_all_data;
			CREATE ROLE quiet LOGIN NOINHERIT IN ROLE seers, pg_read_all_data;
			CREATE ROLE nobody LOGIN IN ROLE pg_read_all_data, pg_write_all_data`)
	})
}

var askRoles = config.Roles{See: []string{"seers", "no_such_role"}, Restore: []string{"Res'torers"}, Purge: []string{"purgers"}}

func newAsking(t *testing.T) *asking {
	t.Helper()
	makeRoles(t)
	a := &asking{db: database(t), used: &uses{Metrics: admin.NewMetrics("test", ""), seen: map[string]int{}}}
	a.front = startBefore(t, server, shopTables+"  - {name: public.visits, marker: left_at, created: came}\n", func(o *proxy.Options) {
		o.Roles, o.Observer = askRoles, a.used
	})
	ask(t, a.db, `UPDATE users SET deleted_at = now() - interval '1 day' WHERE id % 5 = 0; UPDATE orders SET deleted_at = '2024-03-01' WHERE id % 7 = 0;
		CREATE TABLE visits (id int PRIMARY KEY, came timestamptz, left_at timestamptz);
		INSERT INTO visits VALUES (1, '2024-01-01 00:00+00', NULL), (2, '2024-01-01 00:00+00', '2024-02-01 00:00+00'), (3, '2024-03-01 00:00+00', NULL), (4, NULL, '2024-04-01 00:00+00');
		CREATE FUNCTION peek() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('tombstone.visibility', 'all', false); END $$;
		GRANT USAGE ON SCHEMA public, tenant TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC;
		GRANT SELECT ON ALL TABLES IN SCHEMA public TO quiet`)
	return a
}

// as is a session of a role, with settings at startup.
func (a *asking) as(t *testing.T, role string, settings ...string) *pgx.Conn {
	t.Helper()
	dsn := strings.Replace(a.dsn(a.db), "user=postgres", "user="+role, 1)
	if len(settings) > 0 {
		dsn += " options='-c " + strings.Join(settings, " -c ") + "'"
	}
	return open(t, dsn)
}

// reads is the rows that a session gets, or the SQLSTATE.
func reads(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(within(t), sql).ReadAll()
	if err != nil {
		return code(err)
	}
	var lines []string
	for _, r := range results {
		for _, row := range r.Rows {
			fields := make([]string, len(row))
			for i, f := range row {
				fields[i] = string(f)
			}
			lines = append(lines, strings.Join(fields, "|"))
		}
	}
	return strings.Join(lines, "\n")
}

// goes is a story of one session: each statement, and the rows that it gets, or the SQLSTATE.
func goes(t *testing.T, conn *pgx.Conn, story ...string) {
	t.Helper()
	for i := 0; i < len(story); i += 2 {
		if got := reads(t, conn, story[i]); got != story[i+1] {
			t.Errorf("%s: %q, want %q", story[i], got, story[i+1])
		}
	}
}

const users = "SELECT count(*), count(deleted_at) FROM users"

// What a session sees is what the bare table holds; the deleted ones, what it holds under the marker's condition.
func TestVisibility(t *testing.T) {
	a := newAsking(t)
	all, deleted, bare := a.as(t, "seer"), a.as(t, "seer"), direct(t, a.db)
	goes(t, all, "SET tombstone.visibility = 'all'", "")
	goes(t, deleted, "SET tombstone.visibility = deleted", "")
	for _, c := range []struct{ asked, marked string }{
		{"SELECT * FROM users u WHERE id < 9 OR name LIKE '%1%' ORDER BY id", "SELECT * FROM users u WHERE (id < 9 OR name LIKE '%1%') AND u.deleted_at IS NOT NULL ORDER BY id"},
		{
			"SELECT o.id, u.name FROM orders o LEFT JOIN users u ON u.id = o.user_id ORDER BY 1",
			"SELECT o.id, u.name FROM orders o LEFT JOIN (SELECT * FROM users WHERE deleted_at IS NOT NULL) u ON u.id = o.user_id WHERE o.deleted_at IS NOT NULL ORDER BY 1",
		},
		{"TABLE users ORDER BY id", "SELECT * FROM users WHERE deleted_at IS NOT NULL ORDER BY id"},
		{"SELECT * FROM users FULL JOIN orders USING (id) ORDER BY id", "SELECT * FROM (SELECT * FROM users WHERE deleted_at IS NOT NULL) users FULL JOIN (SELECT * FROM orders WHERE deleted_at IS NOT NULL) orders USING (id) ORDER BY id"},
		{"SELECT count(*) FROM audit_log a WHERE EXISTS (SELECT FROM users u WHERE u.id = a.user_id)", "SELECT count(*) FROM audit_log a WHERE EXISTS (SELECT FROM users u WHERE u.id = a.user_id AND u.deleted_at IS NOT NULL)"},
		{"COPY users (id, name) TO STDOUT", "COPY (SELECT id, name FROM users WHERE deleted_at IS NOT NULL) TO STDOUT"},
	} {
		for _, side := range []struct {
			conn *pgx.Conn
			sql  string
		}{{all, c.asked}, {deleted, c.marked}} {
			got, want := "", ""
			if strings.HasPrefix(c.asked, "COPY") {
				var g, w strings.Builder
				if _, err := side.conn.PgConn().CopyTo(within(t), &g, c.asked); err != nil {
					t.Error(err)
				}
				if _, err := bare.PgConn().CopyTo(within(t), &w, side.sql); err != nil {
					t.Error(err)
				}
				got, want = g.String(), w.String()
			} else {
				got, want = reads(t, side.conn, c.asked), reads(t, bare, side.sql)
			}
			if got != want || want == "" {
				t.Errorf("%s:\n%s\nwant, as %s:\n%s", c.asked, got, side.sql, want)
			}
		}
	}
	if got := a.used.count("tombstone.visibility=all"); got < 6 {
		t.Errorf("%d statements are counted that saw all", got)
	}
	if got := a.used.count("tombstone.visibility=deleted"); got < 6 {
		t.Errorf("%d statements are counted that saw what is deleted", got)
	}
	if !strings.Contains(a.log.String(), `user=seer role=seer database=`+a.db+` setting=tombstone.visibility value=deleted allowed=true`) {
		t.Errorf("the log has nothing of it:\n%s", a.log.String())
	}
}

// The settings come and go as any of the server's do.
func TestAskingFollowsTheServer(t *testing.T) {
	a := newAsking(t)
	const live, every = "24|0", "30|6"
	conn := a.as(t, "seer")
	goes(t, conn,
		"SHOW tombstone.visibility", "live", "SHOW tombstone.delete", "bury", "SHOW tombstone.as_of", "", users, live,
		"SET tombstone.visibility = all", "", users, every, "SHOW tombstone.visibility", "all",
		"RESET tombstone.visibility", "", users, live, "SHOW tombstone.visibility", "live",
		"SET tombstone.visibility TO 'All'", "", users, every, "SET tombstone.visibility TO DEFAULT", "", users, live,
		// transactions
		"BEGIN", "", "SET LOCAL tombstone.visibility = 'all'", "", users, every, "COMMIT", "", users, live,
		"BEGIN", "", "SET tombstone.visibility = 'all'", "", users, every, "ROLLBACK", "", users, live,
		"BEGIN", "", "SET tombstone.visibility = 'all'", "", "COMMIT", "", users, every,
		"BEGIN", "", "RESET tombstone.visibility", "", users, live, "SELECT 1/0", "22012", "ROLLBACK", "", users, every,
		"RESET ALL", "", users, live,
		// savepoints
		"BEGIN", "", "SAVEPOINT a", "", "SET LOCAL tombstone.visibility = 'all'", "", users, every, "SAVEPOINT b", "",
		"SET LOCAL tombstone.visibility = 'deleted'", "", users, "6|6", "ROLLBACK TO b", "", users, every, "ROLLBACK TO a", "", users, live,
		"RELEASE a", "", "COMMIT", "", users, live,
		// functions, and what throws all away
		"SELECT set_config('tombstone.visibility', 'deleted', false)", "deleted", users, "6|6", "DISCARD ALL", "", users, live,
		"SET ROLE seer", "", "SET tombstone.visibility = 'all'", "", users, every, "RESET ROLE", "", users, every,
		// one message
		"RESET tombstone.visibility; SELECT count(*) FROM users", "0A000", "SELECT 1; RESET tombstone.visibility", "1", users, live,
		"SET tombstone.visibility = 'all'; SELECT count(*) FROM users", "0A000", users, live,
		"SET tombstone.visibility = 'none'", "22023", "SET tombstone.visibilities = 'all'", "42704", "SET tombstone.client = 'x'", "42501",
	)
	tag := func(sql, want string) {
		t.Helper()
		if got := does(t, conn, sql); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	tag("SHOW tombstone.visibility", "SHOW")
	tag("SET tombstone.visibility = all", "SET")
	rows, err := conn.Query(within(t), "SHOW tombstone.visibility")
	if err != nil {
		t.Fatal(err)
	}
	if d := rows.FieldDescriptions(); len(d) != 1 || d[0].Name != "tombstone.visibility" || d[0].DataTypeOID != 25 || d[0].TableOID != 0 {
		t.Errorf("SHOW has columns %+v", d)
	}
	rows.Close()

	// At startup, and as settings of a role and of a database.
	goes(t, a.as(t, "seer", "tombstone.visibility=all"), users, every, "SHOW tombstone.visibility", "all", "SET tombstone.visibility = live", "", users, live, "DISCARD ALL", "", users, every)
	ask(t, a.db, "ALTER ROLE seer IN DATABASE "+a.db+" SET tombstone.visibility = 'deleted'; ALTER ROLE nobody IN DATABASE "+a.db+" SET tombstone.visibility = 'deleted'")
	goes(t, a.as(t, "seer"), users, "6|6")
	goes(t, a.as(t, "nobody"), users, "42501", "INSERT INTO users VALUES (99, 'x')", "42501", "SELECT count(*) FROM audit_log", "20", "RESET tombstone.visibility", "", users, "42501", "SET tombstone.visibility = live", "", users, live)
	ask(t, a.db, "ALTER DATABASE "+a.db+" SET tombstone.visibility = 'all'")
	goes(t, a.as(t, "restorer"), users, every)
	goes(t, a.as(t, "everything_there_is"), users, every) // a superuser has the privileges of every role
}

// Who may, and who may not, whatever way the setting got there.
func TestWhoMayAsk(t *testing.T) {
	a := newAsking(t)
	const live = "24|0"
	for role, want := range map[string]string{"seer": "", "restorer": "", "purger": "", "everything_there_is": "", "nobody": "42501", "quiet": "42501"} {
		goes(t, a.as(t, role), "SET tombstone.visibility = 'all'", want, "SET tombstone.as_of = '2024-01-01'", want, "SET tombstone.visibility = live", "")
	}
	goes(t, a.as(t, "quiet"), users, live, "SET ROLE seers", "", "SET tombstone.visibility = 'all'", "", "SELECT 1", "1",
		"RESET ROLE", "", users, "42501", "SET tombstone.visibility = 'all'", "42501", "RESET tombstone.visibility", "", users, live)
	goes(t, a.as(t, "seer"), "SET tombstone.visibility = 'all'", "", users, "30|6", "SET tombstone.delete = purge", "42501", "SET tombstone.delete = bury", "")

	_, err := a.as(t, "nobody").Exec(within(t), "SET tombstone.visibility = 'all'")
	if e, ok := err.(*pgconn.PgError); !ok || e.Message != `permission denied to set parameter "tombstone.visibility"` || !strings.Contains(e.Hint, "roles.see") {
		t.Errorf("%v", err)
	}
	// Other ways.
	for about, conn := range map[string]*pgx.Conn{
		"options": a.as(t, "nobody", "tombstone.visibility=all"), "a past": a.as(t, "nobody", "tombstone.as_of=2024-01-01"),
		"no value": a.as(t, "seer", "tombstone.visibility=some"), "no moment": a.as(t, "seer", "tombstone.as_of=tomorrow"),
	} {
		want := "42501"
		if strings.HasPrefix(about, "no ") {
			want = "22023"
		}
		for _, sql := range []string{users, "COPY users TO STDOUT", "SELECT * FROM orders o LEFT JOIN users u ON true", "UPDATE users SET name = 'x'", "DELETE FROM users", "INSERT INTO users VALUES (77, 'x')", "TRUNCATE users", "WITH u AS (TABLE users) SELECT 1"} {
			if got := does(t, conn, sql); got != want {
				t.Errorf("%s: %s: %s, want %s", about, sql, got, want)
			}
		}
		goes(t, conn, "SELECT count(*) FROM audit_log", "20", "SELECT count(*) FROM archive.users", "6")
	}
	// A function that sets it unseen: it never shows more than live rows, and is noticed as soon as the settings are read.
	hidden := a.as(t, "nobody")
	goes(t, hidden, "SELECT FROM peek()", "", users, live, "SET search_path = public", "", users, "42501")
	goes(t, a.as(t, "nobody"), "SELECT set_config('tombstone.vis' || 'ibility', 'all', false)", "all", users, "42501")
	if got := ask(t, a.db, users); got != "30|6" {
		t.Errorf("behind the proxy: %s", got)
	}
	for _, told := range []string{"user=nobody role=nobody database=" + a.db + " setting=tombstone.visibility value=all allowed=false", "user=seer role=\"\" database=" + a.db + " setting=tombstone.delete value=purge allowed=false"} {
		if !strings.Contains(a.log.String(), told) {
			t.Errorf("the log has no %q:\n%s", told, a.log.String())
		}
	}

	// Roles are what they are when they matter, and so is the configuration.
	conn := a.as(t, "nobody")
	goes(t, conn, "SET tombstone.visibility = 'all'", "42501")
	o := a.options
	o.Roles = config.Roles{See: []string{"public"}}
	if err := a.server.Reload(o); err != nil {
		t.Fatal(err)
	}
	goes(t, conn, "SET tombstone.visibility = 'all'", "", users, "30|6")
	o.Roles = config.Roles{}
	if err := a.server.Reload(o); err != nil {
		t.Fatal(err)
	}
	goes(t, conn, users, "42501", "SELECT count(*) FROM audit_log", "20", "SET tombstone.visibility = 'all'", "42501", "RESET tombstone.visibility", "", users, live)
	goes(t, a.as(t, "everything_there_is"), "SET tombstone.visibility = 'all'", "42501", "SET tombstone.delete = 'purge'", "42501") // nobody is nobody
}

// Views and functions never take a session's settings over; a copy is made of what it sees.
func TestDefinitionsUnderOtherSettings(t *testing.T) {
	a := newAsking(t)
	ask(t, a.db, "CREATE VIEW names AS SELECT id, name FROM users WHERE deleted_at IS NULL")
	conn := a.as(t, "everything_there_is", "tombstone.visibility=all")
	goes(t, conn, "CREATE VIEW made AS SELECT id FROM users", "", "CREATE MATERIALIZED VIEW kept AS SELECT id FROM users", "", "CREATE TABLE copied AS SELECT id FROM users", "", "SELECT id INTO other FROM users", "",
		"CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM users $$", "", "CREATE FUNCTION atomic() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM users; END", "",
	)
	if got := ask(t, a.db, "SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM kept), (SELECT count(*) FROM copied), (SELECT count(*) FROM other), counted(), atomic()"); got != "24|24|30|30|24|24" {
		t.Errorf("views, copies, functions: %s", got)
	}
	goes(t, conn, "SELECT count(*) FROM names", "24", "SET tombstone.visibility = 'deleted'", "", "SELECT count(*) FROM names", "0A000", "SET tombstone.visibility = live", "", "SET tombstone.as_of = '2024-01-01'", "", "SELECT count(*) FROM names", "0A000")
}

// The server is told where the client is, for the record of deletions.
func TestClientAddress(t *testing.T) {
	a := newAsking(t)
	conn := a.as(t, "nobody")
	where := conn.PgConn().Conn().LocalAddr().String()
	const asked = "SELECT current_setting('tombstone.client', true)"
	goes(t, conn, asked, where, "SHOW tombstone.client", where,
		"DISCARD ALL", "", asked, where, "RESET ALL", "", asked, where,
		"BEGIN", "", "RESET ALL", "", asked, where, "ROLLBACK", "", asked, where,
		"BEGIN", "", "RESET ALL", "", asked, where, "COMMIT", "", asked, where,
		"SELECT set_config('tombstone.client', 'elsewhere', false)", "elsewhere", users, "24|0", asked, where,
		"SET tombstone.actor = 'ann'", "", "SET tombstone.reason TO 'ticket 7'", "", "SHOW tombstone.actor", "ann", "SHOW tombstone.reason", "ticket 7")
	if got := ask(t, a.db, "SELECT current_setting('tombstone.client', true) IS NULL"); got != "t" {
		t.Error("somebody who came past the proxy has an address from it")
	}
	// By the extended protocol, and without a transaction.
	var got string
	if err := conn.QueryRow(within(t), asked).Scan(&got); err != nil || got != where {
		t.Errorf("%s %v", got, err)
	}
	none := startBefore(t, server, " []", nil)
	goes(t, open(t, none.dsn(a.db)), "SELECT current_setting('tombstone.client', true) IS NULL", "t")
}
