package lifecycle

import (
	"strings"
	"testing"
)

// A role that could delete can bury, what it sees is what it saw, and nobody can do more than before.
func TestGrants(t *testing.T) {
	admin := connect(t, "postgres")
	if _, err := admin.Exec(within(t), `CREATE ROLE deletes; CREATE ROLE "reads two"; CREATE ROLE truncates; CREATE ROLE writes; CREATE ROLE nothing`); err != nil {
		t.Fatal(err)
	}
	hard, soft := twins(t, "granted", `
CREATE TABLE users (id int PRIMARY KEY, name text, secret text, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE open (id int PRIMARY KEY, deleted_at timestamptz);
GRANT SELECT, DELETE ON users TO deletes; GRANT SELECT (id, name) ON users TO "reads two"; GRANT TRUNCATE ON orders TO truncates; GRANT INSERT, UPDATE, SELECT ON users TO writes;
GRANT DELETE, SELECT (id) ON open TO PUBLIC;
INSERT INTO users SELECT i, 'user', 'secret' FROM generate_series(1, 5) i; INSERT INTO orders SELECT i, i FROM generate_series(1, 5) i; INSERT INTO open VALUES (1), (2);
`)
	for _, c := range []struct{ role, sql string }{
		{"deletes", "DELETE FROM users WHERE id = 1 RETURNING name"},
		{"deletes", "UPDATE users SET name = 'x'"},
		{"deletes", "DELETE FROM orders"},
		{"reads two", "SELECT id, name FROM users ORDER BY 1"},
		{"reads two", "SELECT secret FROM users"},
		{"reads two", "DELETE FROM users"},
		{"writes", "UPDATE users SET name = 'y' WHERE id = 2"},
		{"writes", "DELETE FROM users"},
		{"truncates", "TRUNCATE orders"},
		{"nothing", "DELETE FROM open WHERE id = 1"},
		{"nothing", "DELETE FROM open"},
		{"nothing", "SELECT * FROM users"},
	} {
		for _, x := range []*twin{hard, soft} {
			if got := x.raw(t, `SET ROLE "`+c.role+`"`); got != "" {
				t.Fatal(got)
			}
		}
		want, got := hard.do(t, c.sql), soft.do(t, c.sql)
		for _, x := range []*twin{hard, soft} {
			x.raw(t, "RESET ROLE")
		}
		// That a role which may UPDATE all may now bury is the known difference.
		if want != got && !(c.role == "writes" && strings.HasPrefix(want, "42501")) {
			t.Errorf("%s: %s: got %s, want %s", c.role, c.sql, got, want)
		}
	}
	if missing := Prepare(soft.database(t)).Missing(); len(missing) > 0 {
		t.Errorf("missing: %+v", missing)
	}
}
