package e2e

import "testing"

// However a name comes to mean a protected table between the moment that a
// statement was prepared and the moment that it runs, no row is lost.
func TestNothingIsLost(t *testing.T) {
	const prepared = "PREPARE s AS DELETE FROM users WHERE id > 5"
	for _, c := range []struct {
		name  string
		story []string
	}{
		{"EXECUTE after SET in one text", []string{"SET search_path = archive", prepared, "SET search_path = public; EXECUTE s"}},
		{"EXECUTE after set_config in one text", []string{"SET search_path = archive", prepared, "SELECT set_config('search_path', 'public', false); EXECUTE s"}},
		{"EXECUTE after DO in one text", []string{"SET search_path = archive", prepared, "DO $$ BEGIN SET search_path = public; END $$; EXECUTE s"}},
		{"EXPLAIN ANALYZE EXECUTE", []string{"SET search_path = archive", prepared, "SET search_path = public", "EXPLAIN ANALYZE EXECUTE s"}},
		{"CREATE TABLE AS EXECUTE", []string{"SET search_path = archive",
			"PREPARE s AS WITH d AS (DELETE FROM users WHERE id > 5 RETURNING id) SELECT * FROM d", "SET search_path = public", "CREATE TEMP TABLE x AS EXECUTE s"}},
		{"PREPARE of another name on its way", []string{"SET search_path = archive", prepared, "SET search_path = public", "PREPARE z AS SELECT 1; EXECUTE s"}},
		{"end of a transaction in one text", []string{"BEGIN", "SET LOCAL search_path = archive", prepared, "COMMIT; EXECUTE s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := database(t)
			conn := watch(t, start(t, shopTables).dsn(db))
			before := ask(t, db, "SELECT count(*) FROM users")
			for _, sql := range c.story {
				simple(t, conn, sql, nil)
			}
			if after := ask(t, db, "SELECT count(*) FROM users"); after != before {
				t.Errorf("%s rows of %s are left", after, before)
			}
		})
	}
}

// What another session creates is protected in a transaction that was open
// before, and after COMMIT AND CHAIN too.
func TestNothingOfAnotherSessionsIsLost(t *testing.T) {
	for _, c := range []struct {
		name       string
		one, other []string
	}{
		{"in an open transaction", []string{"CREATE TABLE late (id int, deleted_at timestamptz)", "INSERT INTO late SELECT generate_series(1, 10)"}, []string{"DELETE FROM late", "COMMIT"}},
		{"after COMMIT AND CHAIN", []string{"BEGIN", "CREATE TABLE late (id int, deleted_at timestamptz)", "INSERT INTO late SELECT generate_series(1, 10)", "COMMIT AND CHAIN"}, []string{"DELETE FROM late", "COMMIT"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := database(t)
			f := start(t, everything)
			one, other := watch(t, f.dsn(db)), watch(t, f.dsn(db))
			simple(t, other, "BEGIN", nil)
			simple(t, other, "SELECT count(*) FROM users", nil)
			for _, sql := range c.one {
				simple(t, one, sql, nil)
			}
			for _, sql := range c.other {
				simple(t, other, sql, nil)
			}
			if got := ask(t, db, "SELECT count(*) FROM late"); got != "10" {
				t.Errorf("%s rows of 10 are left", got)
			}
		})
	}
}
