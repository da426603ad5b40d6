package e2e

import (
	"strings"
	"testing"
)

// A unique index of live rows stands where the other twin has a unique
// constraint: what conflicts with a tombstone conflicts with nothing.
func TestUpserts(t *testing.T) {
	w := newTwin(t, shopTables)
	ask(t, w.hard, "CREATE UNIQUE INDEX users_email ON users (email); CREATE UNIQUE INDEX users_name ON users (lower(name), city)")
	ask(t, w.soft, "CREATE UNIQUE INDEX users_email ON users (email) WHERE deleted_at IS NULL; CREATE UNIQUE INDEX users_name ON users (lower(name), city) WHERE deleted_at IS NULL")
	// The proxy learns of the index when a statement fails for want of it.
	fails := "INSERT INTO users (id, name, email) VALUES (105, 'new', 'u5@example.org') ON CONFLICT (email) DO NOTHING"
	if got := simple(t, w.behind, fails, nil); !strings.Contains(got, "42P10") {
		t.Fatalf("the index is known already:\n%s", got)
	}
	for _, sql := range []string{
		// u5, u10, .. are deleted.
		"INSERT INTO users (id, name, email) VALUES (105, 'new', 'u5@example.org') ON CONFLICT (email) DO NOTHING",
		"INSERT INTO users (id, name, email) VALUES (105, 'new', 'u5@example.org') ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING *",
		"INSERT INTO users (id, name, email) VALUES (104, 'new', 'u4@example.org') ON CONFLICT (email) DO UPDATE SET name = excluded.name || '!' RETURNING *",
		"INSERT INTO users AS u (id, name, email) VALUES (104, 'new', 'u4@example.org') ON CONFLICT (email) DO UPDATE SET name = u.name || '!' WHERE u.id = 3 OR u.name = 'user 4'",
		"INSERT INTO users (id, name, email) VALUES (104, 'new', 'u4@example.org') ON CONFLICT (email) DO UPDATE SET name = 'x' WHERE users.id = 3 RETURNING id",
		"INSERT INTO users (id, name, email) SELECT 200 + id, name, email FROM users WHERE id < 8 ON CONFLICT (email) DO NOTHING",
		"INSERT INTO users (id, name, email) SELECT 200 + i, 'n', 'u' || i || '@example.org' FROM generate_series(1, 12) i ON CONFLICT (email) DO UPDATE SET city = (SELECT count(*) FROM users)",
		"INSERT INTO users (id, name, city) VALUES (1000, 'USER 4', 'Łódź') ON CONFLICT (lower(name), city) DO UPDATE SET name = 'twice'",
		"INSERT INTO users (id, name, city) VALUES (1000, 'USER 5', 'Oslo') ON CONFLICT (lower(name), city) DO UPDATE SET name = 'twice'",
		"INSERT INTO users (id, name, email) VALUES (1, 'new', 'u5@example.org') ON CONFLICT (email) DO NOTHING",
		"INSERT INTO users (id, name, email) VALUES (105, 'a', 'u5@example.org'), (106, 'b', 'u5@example.org') ON CONFLICT (email) DO NOTHING",
		"INSERT INTO users (id, name, email) VALUES (105, 'a', 'u5@example.org'), (106, 'b', 'u5@example.org') ON CONFLICT (email) DO UPDATE SET name = 'c'",
		// The primary key covers every row: right as long as the row in the way is live.
		"INSERT INTO users (id, name) VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING *",
		"INSERT INTO users (id, name) VALUES (1, 'new'), (101, 'newer') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.name <> 'user 1'",
		"INSERT INTO users (id, name) VALUES (1, 'new') ON CONFLICT (id) DO NOTHING RETURNING *",
		"INSERT INTO users (id, name) VALUES (1, 'new'), (101, 'newer') ON CONFLICT (id) DO NOTHING RETURNING *",
		"INSERT INTO memberships (user_id, team) VALUES (1, 'red') ON CONFLICT DO NOTHING",
		"INSERT INTO memberships (user_id, team) VALUES (1, 'red'), (1, 'green') ON CONFLICT (team, user_id) DO UPDATE SET since = '2020-02-02' RETURNING team, since",
		"INSERT INTO memberships (user_id, team) SELECT id, 'red' FROM users ON CONFLICT ON CONSTRAINT memberships_pkey DO NOTHING",
		"WITH n AS (INSERT INTO users (id, name) VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET name = 'x' RETURNING id) SELECT n.*, users.name FROM n, users WHERE users.id = n.id",
		"INSERT INTO users (id, name) VALUES (1, 'new') ON CONFLICT (name) DO NOTHING",
		"INSERT INTO users (id, name) VALUES (1, 'new') ON CONFLICT ON CONSTRAINT nope DO NOTHING",
		"INSERT INTO users (id, name) VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET nope = 1",
		"INSERT INTO users (id, name) VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET name = 'x' WHERE nope = 1",
		"INSERT INTO users (id, name) VALUES (1, 'new') ON CONFLICT (id) WHERE nope DO UPDATE SET name = 'x' WHERE users.id = 1",
		"INSERT INTO audit_log SELECT id FROM users WHERE id < 7 ON CONFLICT (id) DO UPDATE SET what = 'seen' WHERE audit_log.id IN (SELECT user_id FROM orders)",
		"PREPARE s AS INSERT INTO users (id, name, email) VALUES ($1, 'p', $2) ON CONFLICT (email) DO UPDATE SET name = 'q'; EXECUTE s(300, 'u5@example.org'); EXECUTE s(301, 'u4@example.org'); DEALLOCATE s",
	} {
		w.try(t, sql)
	}
	w.try(t, "INSERT INTO users (id, name, email) VALUES ($1, $2, $3) ON CONFLICT (email) DO UPDATE SET name = excluded.name", "900", "Zoë", "u5@example.org")
	w.try(t, "INSERT INTO users (id, name, email) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = $3", "1", "Zoë", "z@example.org")
	w.try(t, "INSERT INTO users (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", "1", "Zoë")
}

// DO NOTHING that gives way to what may be a tombstone in an exclusion
// constraint is refused: DO UPDATE, which could look at it, takes none.
func TestUpsertOfAnExclusion(t *testing.T) {
	db := database(t)
	ask(t, db, "ALTER TABLE files ADD EXCLUDE USING btree (body WITH =)")
	conn := watch(t, start(t, shopTables).dsn(db))
	for _, sql := range []string{"INSERT INTO files VALUES (2, 'x') ON CONFLICT DO NOTHING", "INSERT INTO files VALUES (2, 'x') ON CONFLICT ON CONSTRAINT files_body_excl DO NOTHING"} {
		if got := simple(t, conn, sql, nil); !strings.Contains(got, "0A000") {
			t.Errorf("%s: %s", sql, got)
		}
	}
}

// Where NULLs are equal, a tombstone's NULL is in the way of a new row's.
func TestUpsertAtATombstonesNull(t *testing.T) {
	db := database(t)
	ask(t, db, "CREATE UNIQUE INDEX ON files (body) NULLS NOT DISTINCT; ALTER TABLE files DROP CONSTRAINT files_pkey; INSERT INTO files VALUES (1, NULL, now())")
	conn := watch(t, start(t, shopTables).dsn(db))
	if got := simple(t, conn, "INSERT INTO files (id) VALUES (2) ON CONFLICT DO NOTHING", nil); !strings.Contains(got, "23505") {
		t.Errorf("the row is lost, or not: %s", got)
	}
}

// A key that only a tombstone holds is an error that says so, in each way to
// send it, and the tombstone stays as it was.
func TestUpsertAtATombstonesKey(t *testing.T) {
	w := newTwin(t, shopTables)
	before := ask(t, w.soft, "SELECT row_to_json(u) FROM users u WHERE id = 5")
	for _, sql := range []string{
		"INSERT INTO users (id, name) VALUES (5, 'new') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
		"INSERT INTO users (id, name) VALUES (5, 'new') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.name = 'nobody'",
		"INSERT INTO users (id, name) VALUES (1, 'a'), (5, 'new') ON CONFLICT (id) DO NOTHING",
		"INSERT INTO users (id, name) VALUES (5, 'new') ON CONFLICT DO NOTHING",
		"PREPARE s AS INSERT INTO users (id, name) VALUES (5, 'new') ON CONFLICT DO NOTHING; EXECUTE s",
	} {
		for _, y := range ways {
			if y.name != "simple" && strings.Contains(sql, ";") {
				continue
			}
			if got := y.send(t, w.behind, sql, nil); !strings.Contains(got, "23505") || !strings.Contains(got, "a deleted row holds the key") {
				t.Errorf("%s: %s:\n%s", y.name, sql, got)
			}
		}
	}
	if after := ask(t, w.soft, "SELECT row_to_json(u) FROM users u WHERE id = 5"); after != before {
		t.Errorf("the tombstone is %s, was %s", after, before)
	}
	w.sameContents(t, "all that")
}
