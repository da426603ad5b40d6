package e2e

import (
	"strings"
	"testing"
)

// Some tables take neither UPDATE nor DELETE, for the same reason: what the server says of the UPDATE that a DELETE became, it says
// of the DELETE. An UPDATE of the client's keeps its words.
func TestTablesThatTakeNoDelete(t *testing.T) {
	tables := shopTables + "  - name: public.far\n  - name: public.locked\n"
	w := newTwin(t, tables)
	for _, db := range []string{w.hard, w.soft} {
		ask(t, db, `
			ALTER TABLE users REPLICA IDENTITY NOTHING;
			CREATE PUBLICATION a FOR TABLE users;
			CREATE PUBLICATION b FOR TABLE orders WHERE (total > 1);
			CREATE EXTENSION file_fdw;
			CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
			CREATE FOREIGN TABLE far (id int, deleted_at timestamptz) SERVER files OPTIONS (filename '/dev/null');
			CREATE EXTENSION postgres_fdw;
			CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (updatable 'false');
			CREATE USER MAPPING FOR postgres SERVER elsewhere;
			CREATE FOREIGN TABLE locked (id int, deleted_at timestamptz) SERVER elsewhere`)
	}
	w.defines = true
	w.direct, w.behind = watch(t, server.DSN(w.hard)), watch(t, start(t, tables).dsn(w.soft))
	for table, words := range map[string]string{
		"users":  `55000 "cannot delete from table \"users\" because it does not have a replica identity and publishes deletes"`,
		"orders": `42P10 "cannot delete from table \"orders\""`,
		"far":    `0A000 "cannot delete from foreign table \"far\""`,
		"locked": `55000 "foreign table \"locked\" does not allow deletes"`,
	} {
		w.same(t, "PREPARE d"+table+" AS DELETE FROM "+table)
		for _, sql := range []string{
			"DELETE FROM @", "DELETE FROM @ WHERE id = 0 RETURNING id", "EXECUTE d@", "COPY (DELETE FROM @ RETURNING id) TO STDOUT",
			"WITH d AS (DELETE FROM @ RETURNING id) SELECT * FROM d", "WITH d AS (DELETE FROM @) INSERT INTO audit_log VALUES (99)",
			"SELECT 1; DELETE FROM audit_log; DELETE FROM @", "UPDATE @ SET id = 0", "WITH u AS (UPDATE @ SET id = 0 RETURNING id) SELECT * FROM u",
		} {
			isDelete := !strings.Contains(sql, "UPDATE")
			sql = strings.ReplaceAll(sql, "@", table)
			for _, y := range ways {
				if strings.Contains(sql, ";") && y.name != "simple" {
					continue
				}
				if told := w.sameIn(t, y, sql, nil); strings.Contains(told, words) != isDelete {
					t.Errorf("%s: %s: the client is told\n%s", y.name, sql, told)
				}
			}
		}
	}
	if got := ask(t, w.soft, "SELECT count(*) FROM users WHERE deleted_at IS NULL"); got != "24" {
		t.Errorf("%s live rows, want 24: nothing was deleted", got)
	}
}
