package rewrite

import "testing"

// What DDL changes for later statements decides whether other sessions must ask for the names again, and whether transactions that
// keep their snapshot can go on.
func TestDDLThatChangesNothing(t *testing.T) {
	for sql, nothing := range map[string]bool{
		"ALTER INDEX some_index SET (fastupdate = on)":                 true,
		"ALTER INDEX some_index RESET (fastupdate)":                    true,
		"ALTER INDEX some_index RENAME TO other":                       false,
		"ALTER TABLE plain DETACH PARTITION plain_1":                   true,
		"ALTER TABLE plain DETACH PARTITION plain_1 CONCURRENTLY":      true,
		"ALTER TABLE plain DETACH PARTITION plain_1 FINALIZE":          true,
		"ALTER TABLE plain DETACH PARTITION users":                     false, // it is a table of its own again
		"ALTER TABLE users DETACH PARTITION plain_1":                   false,
		"ALTER TABLE elsewhere.users DETACH PARTITION plain_1":         false,
		"ALTER TABLE plain DETACH PARTITION plain_1, ADD COLUMN x int": false,
		"ALTER TABLE plain ATTACH PARTITION plain_1 FOR VALUES IN (1)": false,
		"ALTER TABLE plain SET (fillfactor = 50)":                      false,
		"CREATE TYPE pair AS (a int, b int)":                           true,
		"CREATE DOMAIN small AS int CHECK (VALUE < 9)":                 true,
		"CREATE TYPE span AS RANGE (subtype = float8)":                 true,
		"DROP TYPE pair":                               true,
		"DROP DOMAIN IF EXISTS small RESTRICT":         true,
		"DROP FUNCTION f(int)":                         true,
		"DROP TYPE pair CASCADE":                       false, // columns go with it
		"DROP TABLE plain":                             false,
		"ALTER VIEW plain SET (security_invoker = on)": false,
	} {
		if p := Rewrite(sql, shopEnv(t)); (p.Changes == 0) != nothing {
			t.Errorf("%s: changes %b", sql, p.Changes)
		}
	}
	stale := *shopEnv(t)
	stale.Stale = true
	if p := Rewrite("ALTER TABLE plain DETACH PARTITION plain_1", &stale); p.Changes == 0 && !p.Stale {
		t.Error("what plain stands for is not known")
	}
}
