package lifecycle

import (
	"io"
	"strings"
	"testing"
)

// Some DDL does not go while our triggers are there. It goes when they have been taken out, and then everything can be put back.
func TestMigrationsBetweenRemoveAndPrepare(t *testing.T) {
	_, soft := twins(t, "migrations", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (id int, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE events (id int PRIMARY KEY, deleted_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE events_1 (id int PRIMARY KEY, deleted_at timestamptz);
INSERT INTO users VALUES (1), (2); INSERT INTO orders VALUES (1, 1); INSERT INTO events_1 VALUES (1)`)
	for _, c := range []struct{ sql, refused string }{
		{"ALTER TABLE users ALTER id TYPE bigint", "0A000"},
		{"ALTER TABLE orders ALTER user_id TYPE bigint", "0A000"},
		{"ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM (0) TO (10)", "42710"},
	} {
		if got := soft.raw(t, c.sql); !strings.Contains(got, c.refused) {
			t.Errorf("%s: %s, want %s", c.sql, got, c.refused)
		}
		if err := Remove(soft.database(t)).Apply(within(t), soft.Conn, io.Discard); err != nil {
			t.Fatal(err)
		}
		soft.raw(t, "RESET search_path")
		if got := soft.raw(t, c.sql); got != "" {
			t.Fatalf("%s: %s", c.sql, got)
		}
		if err := Prepare(soft.database(t)).Missing().Apply(within(t), soft.Conn, io.Discard); err != nil {
			t.Fatalf("after %s: %v", c.sql, err)
		}
		soft.raw(t, "RESET search_path")
		for _, step := range Prepare(soft.database(t)).Missing() {
			t.Errorf("after %s is missing: %s: %s", c.sql, step.Object, step.Why)
		}
	}
	soft.set = soft.database(t).Set
	soft.do(t, "DELETE FROM users WHERE id = 1")
	if got := soft.do(t, "SELECT count(*) FROM orders"); got != "[0]\n1;" {
		t.Errorf("orders of a user that is deleted: %s", got)
	}
	if got := soft.raw(t, "DELETE FROM events_1"); !strings.Contains(got, "42501") {
		t.Errorf("a real DELETE from the partition: %s", got)
	}
}
