package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A story is statements that stand on each other; a name means what the server
// says it means, at every step.
func TestNames(t *testing.T) {
	const show = "SELECT count(*) FROM users"
	const del = "DELETE FROM users WHERE id = 1"
	for _, c := range []struct {
		name, tables string
		story        []string
	}{
		{"search_path", shopTables, []string{
			"SET search_path = archive", del, show, "SET search_path = tenant, public", del, show, "SELECT count(*) FROM orders",
			"SET search_path = nowhere, public", del, show, "SET search_path TO DEFAULT", show, "RESET search_path", show,
			`SET search_path = "$user", public`, show, "SET SCHEMA 'tenant'", show, "RESET ALL", show}},
		{"search_path, rolled back", shopTables, []string{
			"BEGIN", "SET search_path = archive", del, show, "ROLLBACK", del, show,
			"BEGIN", "SET LOCAL search_path = tenant", del, show, "COMMIT", show,
			"BEGIN", "SET LOCAL search_path = archive", show, "ROLLBACK", show,
			"BEGIN", "SAVEPOINT s", "SET search_path = tenant", show, "ROLLBACK TO s", show, del, "COMMIT", show,
			"BEGIN", "SET search_path = tenant", "SELECT nope", "ROLLBACK", show, del}},
		{"set_config", shopTables, []string{
			"SELECT set_config('search_path', 'archive', false)", del, show,
			"SELECT set_config('search_path', 'tenant', true)", del, show,
			"BEGIN", "SELECT pg_catalog.set_config('search_path', 'tenant', true)", show, "ROLLBACK", show,
			"SELECT set_config('search_' || 'path', 'public', false) FROM audit_log LIMIT 1", show}},
		{"set_config out of sight", shopTables, []string{
			"DO $$ BEGIN PERFORM set_config('search_path', 'archive', false); END $$", del, show,
			"CREATE FUNCTION public.go(text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('search_path', $1, false) $$",
			"CREATE PROCEDURE public.gone() LANGUAGE plpgsql AS $$ BEGIN SET search_path = tenant; END $$", "CALL public.gone()", show, del, show,
			"CREATE FUNCTION public.with_path() RETURNS text LANGUAGE sql SET search_path = archive AS $$ SELECT current_schema()::text $$",
			"SELECT public.with_path()", show}},
		{"temporary table", shopTables, []string{
			"CREATE TEMP TABLE users (id int)", "INSERT INTO users VALUES (1), (2)", del, show, "SELECT count(*) FROM public.users",
			"DELETE FROM pg_temp.users", show, "DROP TABLE users", del, show,
			"BEGIN", "CREATE TEMP TABLE users (id int) ON COMMIT DROP", show, del, "COMMIT", show,
			"BEGIN", "CREATE TEMP TABLE users AS SELECT 1 AS id", show, "ROLLBACK", show, del,
			"CREATE TEMP VIEW orders AS SELECT 1 AS id", "SELECT count(*) FROM orders", "DISCARD TEMP", "SELECT count(*) FROM orders",
			"SET search_path = public, pg_temp", "CREATE TEMP TABLE users (id int)", show, "DELETE FROM users WHERE id = 2", show}},
		{"new tables", everything, []string{
			"CREATE TABLE things (id int, deleted_at timestamptz)", "INSERT INTO things SELECT generate_series(1, 5)",
			"DELETE FROM things WHERE id < 3", "SELECT * FROM things", "DELETE FROM things WHERE id < 3",
			"ALTER TABLE things RENAME TO stuff", "DELETE FROM stuff WHERE id = 3", "SELECT * FROM stuff",
			"ALTER TABLE stuff SET SCHEMA archive", "DELETE FROM archive.stuff WHERE id = 4", "SELECT * FROM archive.stuff",
			"SELECT * FROM things", "DROP TABLE archive.stuff", "SELECT * FROM archive.stuff"}},
		{"new tables in a transaction", everything, []string{
			"BEGIN", "CREATE TABLE things (id int, deleted_at timestamptz)", "INSERT INTO things SELECT generate_series(1, 5)",
			"DELETE FROM things WHERE id < 3", "SELECT * FROM things", "ROLLBACK", "SELECT * FROM things",
			"BEGIN", "CREATE TABLE things (id int, deleted_at timestamptz)", "INSERT INTO things VALUES (1), (2)", "COMMIT",
			"DELETE FROM things WHERE id = 1", "SELECT * FROM things"}},
		{"new marker", everything, []string{
			"CREATE TABLE things (id int)", "INSERT INTO things SELECT generate_series(1, 5)", "SELECT * FROM things",
			"ALTER TABLE things ADD COLUMN deleted_at timestamptz", "DELETE FROM things WHERE id < 3", "SELECT * FROM things",
			"BEGIN", "CREATE TABLE more (id int)", "INSERT INTO more VALUES (1), (2)", "ALTER TABLE more ADD COLUMN deleted_at timestamptz",
			"DELETE FROM more WHERE id = 1 RETURNING *", "SELECT * FROM more", "COMMIT", "SELECT * FROM more", "DELETE FROM more RETURNING *"}},
		{"new marker, rolled back", everything, []string{
			"CREATE TABLE things (id int)", "INSERT INTO things VALUES (1), (2)",
			"BEGIN", "ALTER TABLE things ADD COLUMN deleted_at timestamptz", "DELETE FROM things WHERE id = 1", "SELECT * FROM things", "ROLLBACK",
			"SELECT * FROM things", "BEGIN", "SAVEPOINT s", "ALTER TABLE things ADD COLUMN deleted_at timestamptz", "SELECT * FROM things", "ROLLBACK TO s",
			"SELECT * FROM things", "COMMIT", "SELECT * FROM things"}},
		{"new columns", shopTables, []string{
			"ALTER TABLE users ADD COLUMN age int DEFAULT 3", "DELETE FROM users WHERE id = 1 RETURNING *", "SELECT * FROM users ORDER BY id",
			"ALTER TABLE users DROP COLUMN city", "DELETE FROM users WHERE id = 2 RETURNING *",
			"ALTER TABLE users RENAME COLUMN name TO label", "DELETE FROM users u WHERE id = 3 RETURNING u"}},
		{"a schema before the other", shopTables, []string{
			"CREATE SCHEMA postgres", show, "CREATE TABLE users (id int)", "INSERT INTO users VALUES (1), (2)", show, del, show,
			"SELECT count(*) FROM public.users", "DROP SCHEMA postgres CASCADE", show, del}},
		{"path moved by what was prepared or declared", shopTables, []string{
			"PREPARE go(text) AS SELECT set_config('search_path', $1, false)", "EXECUTE go('tenant')", del, show, "EXECUTE go('public')", del, show,
			"EXECUTE go('archive')", show, "BEGIN", "DECLARE c CURSOR FOR SELECT set_config('search_path', 'public', false) FROM generate_series(1, 2)",
			show, "FETCH c", "DELETE FROM users WHERE id = 2", show, "COMMIT", show,
			"SET search_path = tenant", show, "UPDATE pg_settings SET setting = 'public' WHERE name = 'search_path'", "DELETE FROM users WHERE id = 3", show}},
		{"SET in the same message", shopTables, []string{
			"SET search_path = tenant; DELETE FROM users WHERE id = 1; SELECT count(*) FROM users", show, "SET search_path = archive; DELETE FROM users WHERE id = 1; SET search_path = public; DELETE FROM users WHERE id = 1", show,
			"SELECT count(*) FROM archive.users", "BEGIN; SET LOCAL search_path = tenant; DELETE FROM users WHERE id = 3", show, "COMMIT", show,
			"SET search_path = nowhere, tenant; SELECT count(*) FROM users; SELECT count(*) FROM public.orders", show}},
		{"ALTER in the same message", shopTables, []string{
			"ALTER TABLE users ADD COLUMN age int; UPDATE users SET age = 7; DELETE FROM users WHERE id = 1", "SELECT * FROM users ORDER BY id", "DELETE FROM users WHERE id = 2 RETURNING *",
			"ALTER TABLE users DROP COLUMN city, ALTER COLUMN age SET DEFAULT 3; DELETE FROM users WHERE age = 7 AND id = 3; SELECT count(*) FROM users", "SELECT * FROM users ORDER BY id"}},
		{"what a DROP reveals", shopTables, []string{
			"SET search_path = tenant, public", show, "DROP TABLE tenant.users", "DELETE FROM users WHERE id = 4", show}},
		{"prepared under another path", shopTables, []string{
			"PREPARE d AS DELETE FROM users WHERE id = 1", "PREPARE r AS SELECT count(*) FROM users", "EXECUTE r", "EXECUTE d", "EXECUTE r", "DEALLOCATE ALL",
			"SET search_path = tenant", "PREPARE d AS DELETE FROM users WHERE id = 1", "EXECUTE d", show}},
		{"savepoints", shopTables, []string{
			"BEGIN", del, "SAVEPOINT a", "DELETE FROM users WHERE id = 2", show, "ROLLBACK TO a", show, "SAVEPOINT b", "SELECT nope", show, "ROLLBACK TO b", show,
			"RELEASE b", "COMMIT", show, "BEGIN", "DELETE FROM users", "ROLLBACK", show}},
		{"standard_conforming_strings", shopTables, []string{
			"SELECT name FROM users WHERE name = 'a\\b'", "SELECT 'it''s' FROM users WHERE id = 4 OR id = 5",
			"SET standard_conforming_strings = off", "SELECT 1", show, "SET standard_conforming_strings = on", show, del}},
		{"client_encoding", shopTables, []string{
			"SET client_encoding = 'LATIN1'", show, del, "DELETE FROM users WHERE city = 'Köln' OR id = 3 /* ü */", "UPDATE users SET name = 'Zoë' WHERE id = 4", "SELECT nope, 'ü' FROM users WHERE id = 4 OR true",
			"SELECT * FROM users ORDER BY id", "SET client_encoding = 'UTF8'", show}},
	} {
		t.Run(c.name, func(t *testing.T) {
			newTwin(t, c.tables).tell(t, c.story)
		})
	}
}

// tell runs statements that stand on each other.
func (w *twin) tell(t *testing.T, story []string) {
	t.Helper()
	w.defines = true
	for i, sql := range story {
		if w.same(t, sql); t.Failed() {
			t.Fatalf("at step %d", i)
		}
	}
	w.same(t, "ROLLBACK")
	w.sameContents(t, "the story")
}

// A role can bring its own search_path along.
func TestRolesOwnPath(t *testing.T) {
	w := newTwin(t, shopTables)
	for _, db := range []string{w.hard, w.soft} {
		ask(t, db, fmt.Sprintf(`DO $$ BEGIN CREATE ROLE tenant_role SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
			ALTER ROLE tenant_role IN DATABASE %s SET search_path = tenant`, db))
	}
	w.direct, w.behind = watch(t, keywords(w.hard)+" user=tenant_role"), watch(t, w.front.dsn(w.soft)+" user=tenant_role")
	w.same(t, "SHOW search_path")
	w.same(t, "DELETE FROM users WHERE id = 1")
	w.same(t, "SELECT * FROM users ORDER BY id")
	w.same(t, "SET search_path = public")
	w.same(t, "DELETE FROM users WHERE id = 1")
	w.same(t, "RESET search_path")
	w.same(t, "SELECT * FROM users ORDER BY id")
	w.sameContents(t, "all that")

	w.direct = watch(t, keywords(w.hard)+" options='-c search_path=archive'")
	w.behind = watch(t, w.front.dsn(w.soft)+" options='-c search_path=archive'")
	w.same(t, "DELETE FROM users WHERE id = 1 RETURNING *")
	w.sameContents(t, "options")
}

// What one session defines, another knows at once, whether or not the first
// sends anything more.
func TestAnotherSessionsTable(t *testing.T) {
	for _, c := range []struct{ name, then string }{{"goes on", "SELECT count(*) FROM things"}, {"is silent", ""}} {
		t.Run(c.name, func(t *testing.T) {
			db := database(t)
			f := start(t, everything)
			one, other := watch(t, f.dsn(db)), watch(t, f.dsn(db))
			for _, sql := range []string{"CREATE TABLE things (id int, deleted_at timestamptz)", "INSERT INTO things VALUES (1), (2)", c.then} {
				if sql != "" {
					simple(t, one, sql, nil)
				}
			}
			if got := simple(t, other, "DELETE FROM things WHERE id = 1", nil); got != "tag \"DELETE 1\"\ntransaction I\n" {
				t.Error(got)
			}
			if got := ask(t, db, "SELECT id FROM things WHERE deleted_at IS NOT NULL"); got != "1" {
				t.Errorf("another session's DELETE left %q buried, want 1", got)
			}
		})
	}
}

// The same for a marker that one session adds: the other, which knew the table
// without it, buries and hides at once.
func TestAnotherSessionsMarker(t *testing.T) {
	db := database(t)
	f := start(t, everything)
	one, other := watch(t, f.dsn(db)), watch(t, f.dsn(db))
	simple(t, one, "CREATE TABLE things (id int); INSERT INTO things VALUES (1), (2)", nil)
	simple(t, other, "SELECT * FROM things", nil)
	simple(t, one, "ALTER TABLE things ADD COLUMN deleted_at timestamptz", nil)
	simple(t, one, "DELETE FROM things WHERE id = 1", nil)
	if got := simple(t, other, "SELECT count(*) FROM things", nil); !strings.Contains(got, "row \"1\"") {
		t.Errorf("the other session still sees the tombstone:\n%s", got)
	}
}
