package lifecycle

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Tables of several owners: what one of them has prepared does not run as that one for ever.
func TestTablesOfSeveralOwners(t *testing.T) {
	soft := &twin{Conn: database(t, "owners")}
	setUp := `
CREATE ROLE one LOGIN; CREATE ROLE other LOGIN; GRANT CREATE ON DATABASE owners TO one; GRANT ALL ON SCHEMA public TO one, other;
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz); ALTER TABLE users OWNER TO one;
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz); ALTER TABLE orders OWNER TO one;
INSERT INTO users VALUES (1), (2); INSERT INTO orders VALUES (1, 1), (2, 2)`
	if got := soft.raw(t, setUp); got != "" {
		t.Fatal(got)
	}
	t.Cleanup(func() {
		soft.raw(t, "DROP OWNED BY one CASCADE; DROP OWNED BY other CASCADE; DROP ROLE one; DROP ROLE other")
	})
	const everything = "tables: [{name: \"*.*\"}]\n"
	conn, err := pgx.Connect(within(t), strings.Replace(server.DSN("owners"), "postgres@", "one@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(within(t))
	one := &twin{Conn: conn}
	one.prepare(t, everything)
	if got := soft.raw(t, "ALTER TABLE orders OWNER TO other"); got != "" {
		t.Fatal(got)
	}
	if missing := Prepare(soft.database(t)).Missing(); len(missing) == 0 || !strings.Contains(missing[0].Why, "It runs as one, which may not change the table public.orders") {
		t.Errorf("missing: %+v", missing)
	}
	soft.prepare(t, everything)
	if missing := Prepare(soft.database(t)).Missing(); len(missing) > 0 {
		t.Errorf("missing: %+v", missing)
	}
	if got := one.do(t, "DELETE FROM users WHERE id = 1"); got != "1;" {
		t.Error(got)
	}
	if got := one.do(t, "INSERT INTO users VALUES (1)"); got != "0 1;" {
		t.Error(got)
	}

	// And a role that row-level security binds.
	if got := soft.raw(t, "DROP SCHEMA tombstone CASCADE; ALTER TABLE orders OWNER TO one; ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY"); got != "" {
		t.Fatal(got)
	}
	one.prepare(t, everything)
	if missing := Prepare(one.database(t)).Missing(); len(missing) > 0 {
		t.Errorf("missing to one who can do no better: %+v", missing)
	}
	soft.prepare(t, everything)
	if got := one.do(t, "DELETE FROM users WHERE id = 2"); got != "1;" {
		t.Error(got)
	}
	if got := soft.do(t, "SELECT count(*) FROM orders"); got != "[0]\n1;" {
		t.Error(got)
	}
}
