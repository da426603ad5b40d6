package e2e

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Restore and purge.
func TestRestoreAndPurge(t *testing.T) {
	a := newAsking(t)
	const restore = "UPDATE users SET deleted_at = NULL WHERE id = 5"
	tags := func(conn *pgx.Conn, story ...string) {
		t.Helper()
		for i := 0; i < len(story); i += 2 {
			if got := does(t, conn, story[i]); got != story[i+1] {
				t.Errorf("%s: %s, want %s", story[i], got, story[i+1])
			}
		}
	}
	seer, restorer, purger := a.as(t, "seer"), a.as(t, "restorer"), a.as(t, "purger")
	tags(seer, restore, "UPDATE 0", "SET tombstone.visibility = 'all'", "SET", restore, "42501", "DELETE FROM users WHERE id IN (5, 6)", "DELETE 1", "DELETE FROM users WHERE id IN (5, 6)", "DELETE 0")
	tags(restorer, restore, "UPDATE 0", "SET tombstone.visibility = 'deleted'", "SET", "UPDATE users SET deleted_at = NULL WHERE id IN (5, 6, 7)", "UPDATE 2", restore, "UPDATE 0",
		"MERGE INTO users u USING (VALUES (10), (11)) v (id) ON v.id = u.id WHEN MATCHED THEN UPDATE SET deleted_at = NULL", "MERGE 1", "DELETE FROM users WHERE id = 7", "DELETE 0",
		"RESET tombstone.visibility", "RESET", "SELECT id FROM users WHERE id IN (5, 6, 10)", "SELECT 3")
	if got := ask(t, a.db, users); got != "30|4" {
		t.Errorf("after restore: %s", got)
	}

	// The database's guard goes by the same setting.
	ask(t, a.db, `CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF coalesce(current_setting('tombstone.delete', true), '') <> 'purge' THEN RAISE EXCEPTION 'guarded'; END IF; RETURN OLD; END $$;
		CREATE TRIGGER guard BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION guard()`)
	tags(purger, "SET tombstone.delete = 'purge'", "SET", "DELETE FROM users WHERE id IN (14, 15)", "DELETE 1")
	if got := ask(t, a.db, "SELECT count(*) FILTER (WHERE id = 14), count(*) FILTER (WHERE id = 15), count(*), count(deleted_at) FROM users"); got != "0|1|29|4" {
		t.Errorf("a purge that sees live rows: %s", got)
	}
	tags(purger, "SET tombstone.visibility = 'deleted'", "SET", "DELETE FROM users WHERE id IN (12, 15) OR id = 13", "DELETE 1", "DELETE FROM users RETURNING id", "DELETE 3", "UPDATE users SET name = 'x'", "42501")
	if got := ask(t, a.db, users); got != "25|0" {
		t.Errorf("a purge that sees deleted rows: %s", got)
	}
	tags(purger, "TRUNCATE orders", "TRUNCATE TABLE", "SET tombstone.visibility = live", "SET")
	if got := ask(t, a.db, "SELECT count(*), count(deleted_at) FROM orders"); got != "69|0" {
		t.Errorf("TRUNCATE of what is deleted: %s", got)
	}
	tags(purger, "RESET tombstone.delete", "RESET", "DELETE FROM orders WHERE id < 4", "DELETE 3", "SET tombstone.delete = purge", "SET", "TRUNCATE orders", "TRUNCATE TABLE")
	if got := ask(t, a.db, "SELECT count(*), count(deleted_at) FROM orders"); got != "3|3" {
		t.Errorf("TRUNCATE of what is live: %s", got)
	}
	tags(purger, "BEGIN", "BEGIN", "SET LOCAL tombstone.visibility = 'all'", "SET", "DELETE FROM orders", "DELETE 3", "ROLLBACK", "ROLLBACK", "DELETE FROM orders", "DELETE 0")
	if got := a.used.count("tombstone.delete=purge"); got < 7 {
		t.Errorf("%d real deletes are counted", got)
	}

	// Who may not purge is not lent it by startup options, and goes on reading.
	conn := a.as(t, "nobody", "tombstone.delete=purge")
	tags(conn, "SELECT id FROM users WHERE id = 1", "SELECT 1", "DELETE FROM users WHERE id = 1", "42501", "TRUNCATE users", "42501", "RESET tombstone.delete", "RESET",
		"SET tombstone.delete = bury", "SET", "DELETE FROM users WHERE id = 1", "DELETE 1")
	if got := ask(t, a.db, "SELECT deleted_at IS NOT NULL FROM users WHERE id = 1"); got != "t" {
		t.Errorf("%s", got)
	}
}

// The rows that there were at a moment.
func TestAsOf(t *testing.T) {
	a := newAsking(t)
	conn := a.as(t, "restorer")
	ids := "SELECT string_agg(id::text, ' ' ORDER BY id) FROM visits"
	goes(t, conn, ids, "1 3",
		"SET tombstone.as_of = '2023-12-31 00:00+00'", "", ids, "4", "SET tombstone.as_of = '2024-01-01 00:00+00'", "", ids, "1 2 4",
		"SET tombstone.as_of = '2024-02-01T00:00:00Z'", "", ids, "1 4", "SET tombstone.as_of = '2024-03-15'", "", ids, "1 3 4", "SHOW tombstone.as_of", "2024-03-15",
		"SELECT count(*) FROM orders", "69", "SET tombstone.as_of = '2024-02-15'", "", "SELECT count(*) FROM orders", "80",
		"SELECT count(*), count(v.id) FROM audit_log a LEFT JOIN visits v ON v.id = a.id", "20|2",
		"SELECT id FROM visits WHERE id = 1 FOR UPDATE", "1",
		"SET tombstone.visibility = 'deleted'", "", ids, "2", "SET tombstone.visibility = 'all'", "", ids, "1 2 4", "RESET tombstone.visibility", "")
	for _, sql := range []string{
		"INSERT INTO users VALUES (50, 'x')", "UPDATE users SET name = 'x'", "DELETE FROM users", "TRUNCATE users", "COPY users FROM STDIN",
		"MERGE INTO users u USING audit_log a ON a.id = u.id WHEN MATCHED THEN UPDATE SET name = 'x'", "WITH d AS (DELETE FROM users RETURNING 1) SELECT 1",
		"INSERT INTO users VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y'",
	} {
		_, err := conn.PgConn().Exec(within(t), sql).ReadAll()
		if e, ok := err.(*pgconn.PgError); !ok || e.Code != "25006" || !strings.Contains(e.Hint, "SET tombstone.as_of = ''") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	goes(t, conn, "INSERT INTO audit_log SELECT id + 1000 FROM visits RETURNING id", "1001\n1004", "RESET tombstone.as_of", "", "UPDATE users SET name = 'x' WHERE id = 1 RETURNING name", "x")
	goes(t, conn, "SET tombstone.as_of = 'yesterday'", "22023", "SET tombstone.as_of = '2024-02-30'", "22023", "SET tombstone.as_of = 'infinity'", "22023", ids, "1 3")

	// Another zone, another moment: as the server reads it.
	goes(t, conn, "SET TimeZone = 'Asia/Tokyo'", "", "SET tombstone.as_of = '2024-02-01 08:59'", "", ids, "1 2 4", "SET tombstone.as_of = '2024-02-01 09:00'", "", ids, "1 4",
		"SET tombstone.as_of = '2024-02-01 00:00 UTC'", "", ids, "1 4", "SET tombstone.as_of = '2024-01-31 23:59:59.999999+00:00'", "", ids, "1 2 4")
	if got := a.used.count("tombstone.as_of=set"); got < 10 {
		t.Errorf("%d statements are counted", got)
	}
}
