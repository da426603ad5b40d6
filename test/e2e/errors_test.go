package e2e

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// mistakes are statements that fail, with edits of the proxy before, at and
// after the place that the error points at.
var mistakes = []string{
	"SELECT 1/0 FROM userz u",
	"SELECT 1/0 FROM users u",
	"SELEC * FROM users",
	"SELECT * FROM users WHERE",
	"SELECT * FROM users WHERE id = 1 ORDR BY id",
	"SELECT * FROM users WHERE id = 1 ORDER BY nope",
	"SELECT nope FROM users WHERE id = 1",
	"SELECT * FROM users WHERE nope = 1",
	"SELECT * FROM users WHERE (id = 1 OR id = 2) GROUP BY nope",
	"SELECT * FROM users u WHERE u.id = 1 AND u.name = 'a' AND u.nope = 'b'",
	"SELECT 'Größe: žluťoučký 日本', nope FROM users",
	"SELECT * FROM users WHERE name = 'Łódź 日本 🙂' ORDER BY nope",
	`SELECT "Maß", nope FROM "Größe" WHERE "Ä b" = 'ß'`,
	`SELECT * FROM "Größe" g LEFT JOIN "Größe" h USING ("Maß") WHERE g."Ä b" = 'ß' AND nope = 1`,
	"SELECT * FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE nope = 1",
	"SELECT * FROM orders o LEFT JOIN users u ON u.id = o.nope WHERE o.id = 1",
	"SELECT * FROM orders o LEFT JOIN users u ON u.id = o.user_id LEFT JOIN users v ON v.id = o.user_id FULL JOIN memberships m ON m.nope = v.id",
	"SELECT * FROM users, orders, memberships WHERE user_id = 1",
	"SELECT id FROM users, orders",
	"SELECT * FROM users u, orders u",
	"SELECT * FROM users UNION SELECT * FROM orders",
	"SELECT * FROM users WHERE id IN (SELECT id, name FROM users)",
	"SELECT (SELECT nope FROM orders WHERE user_id = u.id) FROM users u WHERE id = 1 OR id = 2",
	"DELETE FROM users WHERE nope = 1",
	"DELETE FROM userz WHERE id = 1",
	"DELETE FROM users WHERE id = 1 RETURNING nope",
	"DELETE FROM users WHERE id = 1 OR id = 2 RETURNING id, name, *, nope",
	"DELETE FROM users USING orders o WHERE o.id = users.id RETURNING users.*, o.nope",
	"DELETE FROM users u WHERE users.id = 1",
	"DELETE FROM users WHERE id = 'one'",
	"DELETE FROM users WHERE id = 1 RETURNING 1/0",
	"DELETE FROM users WHERE id = 1 RETURNING fail('after')",
	"DELETE FROM users WHERE 1/(id - 1) > 0",
	"DELETE users WHERE id = 1",
	"DELETE FROM users WHERE id = 1 RETURN id",
	"DELETE FROM users WHERE count(*) > 1",
	"DELETE FROM users WHERE id = 1 LIMIT 1",
	"DELETE FROM ONLY (users) u WHERE u.nope = 1",
	"WITH d AS (DELETE FROM users WHERE id = 1 RETURNING nope) SELECT * FROM d",
	"WITH d AS (DELETE FROM users WHERE id = 1 RETURNING id) SELECT nope FROM d",
	"WITH d AS (DELETE FROM users WHERE id = 1) SELECT * FROM d",
	"WITH x AS (SELECT * FROM users WHERE id = 1), y AS (SELECT nope FROM x) SELECT * FROM y",
	"PREPARE p AS DELETE FROM users WHERE id = $1 AND nope = 2",
	"PREPARE p (int) AS SELECT * FROM users WHERE id = $1 AND name = $1",
	"EXECUTE nobody(1)",
	"EXPLAIN DELETE FROM users WHERE nope = 1",
	"COPY (SELECT * FROM users WHERE nope = 1) TO STDOUT",
	"COPY users (nope) TO STDOUT",
	"COPY users TO STDOUT WITH (FORMAT nope)",
	"DECLARE c CURSOR FOR SELECT * FROM users WHERE nope = 1",
	"UPDATE users SET nope = 1 WHERE id = 1",
	"UPDATE users SET name = 'x' WHERE id = 1 AND nope = 1",
	"UPDATE users SET name = 'x', name = 'y' WHERE id = 1 OR id = 2",
	"UPDATE users SET id = 1 WHERE id = 2",
	"UPDATE users SET name = NULL WHERE id = 1",
	"INSERT INTO users (id, nope) SELECT id, name FROM users WHERE id = 1",
	"INSERT INTO audit_log SELECT id, nope FROM users WHERE id = 1",
	"INSERT INTO audit_log SELECT id, name FROM users",
	"INSERT INTO users VALUES (1, 'again')",
	"TRUNCATE userz",
	"TABLE userz",
	"SELECT * FROM (SELECT * FROM users) WHERE id = 1 AND nope = 1",
	"SELECT fail('in ' || name) FROM users WHERE id = 4",
	"SELECT name::int FROM users WHERE id = 4 OR id = 5",
	"SELECT city, name FROM users GROUP BY city",
	"SELECT * FROM users WHERE id = 1; SELECT nope FROM users; SELECT 2",
	"DELETE FROM users WHERE id = 1; DELETE FROM users WHERE nope = 1",
	"DELETE FROM users WHERE id = 1;\n\n\tDELETE FROM orders\n\t WHERE 'ü' = 'ü' OR nope = 1;\nSELECT 1",
	"SELECT count(*) FROM users WHERE id = 1; SELECT * FROM orders o LEFT JOIN users u ON true WHERE 1 = ; SELECT 1",
	"SELECT * FROM users\n  WHERE id = 1 -- größer\n  AND city = 'Köln'\n  AND nope = 3\n  ORDER BY id",
	"/* ü */ SELECT /* ß */ id FROM users /* é */ WHERE /* 日 */ id = 1 OR id = 2 GROUP /* 本 */ BY city",
	"SELECT * FROM users WHERE id = 1 AND $tag$ü nope$tag$ = nope",
	"SELECT E'\\n\\u00fc', U&'\\00fc', nope FROM users WHERE true OR false",
	"SELECT * FROM users WHERE id = 1 AND 'unterminated",
	"SELECT * FROM users WHERE id = 1 AND \"unterminated",
	"SELECT * FROM users WHERE id = 1 /* unterminated",
	"SELECT nope(id) FROM users WHERE id = 1 OR id = 2",
	"SELECT id FROM users WHERE id = 1 HAVING nope > 1",
	"SELECT * FROM users u JOIN orders o USING (nope)",
	"SELECT * FROM users NATURAL JOIN orders NATURAL JOIN nope",
	"SELECT * FROM users FOR UPDATE OF nope",
	"SELECT max(id) FROM users WHERE id > 1 FOR UPDATE",
	"SELECT * FROM nope.users WHERE id = 1",
	"SELECT * FROM other.public.users WHERE id = 1",
}

// An error comes back as the server gave it, its position moved to where the
// client wrote what it points at.
func TestErrors(t *testing.T) {
	w := newTwin(t, shopTables)
	for _, sql := range mistakes {
		w.try(t, sql)
	}
}

// What psql prints, caret line and all, is what it prints on a direct
// connection.
func TestPsqlShowsTheSameErrors(t *testing.T) {
	w := newTwin(t, shopTables)
	var args []string
	for _, sql := range append([]string{
		"SELECT 1", "DELETE FROM users WHERE id = 5", "DELETE FROM users WHERE id = 6 RETURNING *", "\\d users",
		"BEGIN; DELETE FROM users WHERE id = 7; SELECT nope FROM users; COMMIT",
	}, mistakes...) {
		label := strings.ReplaceAll(sql, "'", "''")
		args = append(args, "-c", "\\echo '### "+label+"'", "-c", "\\warn '### "+label+"'", "-c", "BEGIN", "-c", sql, "-c", "ROLLBACK")
	}
	hardOut, hardErr := psql(t, server.DSN(w.hard), args...)
	softOut, softErr := psql(t, w.front.dsn(w.soft), args...)
	if n := strings.Count(hardErr, "^\n"); n < 50 {
		t.Errorf("%d carets, want at least 50:\n%s", n, hardErr)
	}
	sameSections(t, "standard error", hardErr, softErr)
	sameSections(t, "standard output", hardOut, softOut)
}

// sameSections compares what psql printed, a statement at a time.
func sameSections(t *testing.T, what, hard, soft string) {
	t.Helper()
	a, b := strings.Split(hard, "### "), strings.Split(soft, "### ")
	if len(a) != len(b) || len(a) < len(mistakes) {
		t.Fatalf("%s: %d statements direct, %d through the proxy\n%s", what, len(a), len(b), soft)
	}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("%s\ndirect\n%sthrough the proxy\n%s", what, a[i], b[i])
		}
	}
}

// psql runs psql and returns what it printed.
func psql(t *testing.T, dsn string, args ...string) (stdout, stderr string) {
	t.Helper()
	name, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal("psql is not in PATH; install PostgreSQL's client programs (Debian: postgresql-client)")
	}
	cmd := exec.CommandContext(within(t), name, append([]string{"-X", "-d", dsn}, args...)...)
	cmd.Env = environ()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String()
}

// What the server says of the UPDATE that a DELETE became, it says of the
// DELETE.
func TestDeletesThatFailAsUpdates(t *testing.T) {
	w := newTwin(t, shopTables)
	for _, db := range []string{w.hard, w.soft} {
		ask(t, db, "CREATE VIEW grouped AS SELECT city, deleted_at FROM users GROUP BY 1, 2")
	}
	w.defines = true
	w.direct, w.behind = watch(t, server.DSN(w.hard)), watch(t, start(t, shopTables).dsn(w.soft))
	w.try(t, "DELETE FROM grouped")
	w.same(t, "PREPARE d AS DELETE FROM users")
	for _, sql := range []string{
		"DELETE FROM users", "WITH d AS (DELETE FROM users RETURNING id) SELECT * FROM d", "EXECUTE d", "TRUNCATE users", "TRUNCATE users, orders",
		"EXPLAIN ANALYZE DELETE FROM users", "COPY (DELETE FROM users RETURNING id) TO STDOUT", "WITH d AS (DELETE FROM users RETURNING id) UPDATE orders SET total = 1", "UPDATE users SET name = 'x'", "INSERT INTO users VALUES (1)",
	} {
		for _, y := range ways {
			w.same(t, "BEGIN READ ONLY")
			w.sameIn(t, y, sql, nil)
			w.same(t, "ROLLBACK")
		}
	}
}
