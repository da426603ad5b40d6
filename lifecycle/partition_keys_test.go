package lifecycle

import (
	"strings"
	"testing"
)

// A partition may have foreign keys that its table has not. Their triggers are on the partition alone, and count as installed once they are.
func TestKeyOfPartition(t *testing.T) {
	hard, soft := twins(t, "key_of_partition", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (user_id int, region text, deleted_at timestamptz) PARTITION BY LIST (region);
CREATE TABLE orders_eu PARTITION OF orders FOR VALUES IN ('eu');
ALTER TABLE orders_eu ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
INSERT INTO users VALUES (1), (2); INSERT INTO orders VALUES (1, 'eu'), (2, 'eu')`)
	for _, step := range Prepare(soft.database(t)).Missing() {
		t.Errorf("still missing: %s: %s", step.Object, step.Why)
	}
	alike(t, hard, soft, "DELETE FROM users WHERE id = 1", "SELECT user_id FROM orders")
	alike(t, hard, soft, "INSERT INTO orders VALUES (1, 'eu')", "SELECT user_id FROM orders")
	if got := soft.raw(t, "ALTER TABLE orders_eu DROP CONSTRAINT orders_eu_user_id_fkey"); got != "" {
		t.Fatal(got)
	}
	for _, step := range Prepare(soft.database(t)).Missing() {
		if _, err := soft.Exec(within(t), step.SQL[0]); err != nil {
			t.Fatal(err)
		}
	}
	if got := soft.do(t, "INSERT INTO orders VALUES (1, 'eu')"); got != "0 1;" {
		t.Errorf("without the key: %s", got)
	}
}

// Of a key to a partitioned table each partition has one of its own, with its own name. The error of a row that is still referred to has that.
func TestErrorNamesKeyOfPartition(t *testing.T) {
	hard, soft := twins(t, "error_of_partition", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE users_1 PARTITION OF users FOR VALUES FROM (0) TO (10);
CREATE TABLE users_2 PARTITION OF users FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (id);
CREATE TABLE users_21 PARTITION OF users_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE orders (user_id int REFERENCES users, later int REFERENCES users DEFERRABLE INITIALLY DEFERRED, deleted_at timestamptz);
CREATE TABLE users_3 PARTITION OF users FOR VALUES FROM (30) TO (40);
INSERT INTO users VALUES (1), (2), (11), (12), (31), (32); INSERT INTO orders VALUES (1, 2), (11, 12), (31, 32)`)
	for _, sql := range []string{
		"DELETE FROM users WHERE id = 1", "DELETE FROM users_1 WHERE id = 2",
		"DELETE FROM users WHERE id = 11", "DELETE FROM users WHERE id = 12",
		"DELETE FROM users WHERE id = 31", "DELETE FROM users WHERE id = 32",
	} {
		alike(t, hard, soft, sql, "SELECT id FROM users ORDER BY 1")
	}
}

// A key may refer to one partition, and is followed for its rows alone.
func TestKeyToPartition(t *testing.T) {
	hard, soft := twins(t, "key_to_partition", `
CREATE TABLE users (id int, region text, deleted_at timestamptz, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE users_eu PARTITION OF users FOR VALUES IN ('eu', 'uk') PARTITION BY LIST (region);
CREATE TABLE users_de PARTITION OF users_eu (UNIQUE (id)) FOR VALUES IN ('eu');
CREATE TABLE users_uk PARTITION OF users_eu FOR VALUES IN ('uk');
CREATE TABLE users_us PARTITION OF users (UNIQUE (id)) FOR VALUES IN ('us');
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users_de (id) ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE items (order_id int REFERENCES orders ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users_de (id) ON DELETE SET NULL, deleted_at timestamptz);
CREATE TABLE locks (user_id int REFERENCES users_de (id));
CREATE TABLE later (user_id int REFERENCES users_de (id) DEFERRABLE INITIALLY DEFERRED, deleted_at timestamptz);
CREATE TABLE british (id int, region text, FOREIGN KEY (id, region) REFERENCES users_eu ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE either (id int, region text, FOREIGN KEY (id, region) REFERENCES users, deleted_at timestamptz);
INSERT INTO users SELECT i, r FROM generate_series(1, 6) i, unnest('{eu,uk,us}'::text[]) r;
INSERT INTO orders SELECT i, i FROM generate_series(1, 6) i; INSERT INTO items SELECT i FROM generate_series(1, 6) i;
INSERT INTO notes SELECT i, i FROM generate_series(1, 6) i; INSERT INTO locks VALUES (5); INSERT INTO later VALUES (6);
INSERT INTO british SELECT i, r FROM generate_series(1, 6) i, unnest('{eu,uk}'::text[]) r; INSERT INTO either VALUES (4, 'us');`)
	for _, step := range Prepare(soft.database(t)).Missing() {
		t.Errorf("still missing: %s: %s", step.Object, step.Why)
	}
	state := `SELECT 'users', id::text, region FROM users UNION ALL SELECT 'orders', id::text, '' FROM orders UNION ALL SELECT 'items', order_id::text, '' FROM items
		UNION ALL SELECT 'notes', id::text, user_id::text FROM notes UNION ALL SELECT 'british', id::text, region FROM british ORDER BY 1, 2, 3`
	for _, sql := range []string{
		"DELETE FROM users WHERE id = 1 AND region = 'us'", "DELETE FROM users WHERE id = 1", "DELETE FROM users_de WHERE id = 2", "DELETE FROM users_eu WHERE id = 3",
		"DELETE FROM users WHERE id = 5 AND region <> 'eu'", "DELETE FROM users WHERE id = 5", "DELETE FROM users WHERE id = 6",
		"BEGIN; DELETE FROM users WHERE id = 6; DELETE FROM later; COMMIT", "DELETE FROM users WHERE id = 4",
		"INSERT INTO orders VALUES (9, 2)", "INSERT INTO orders VALUES (9, 4)", "INSERT INTO british VALUES (2, 'uk')", "INSERT INTO british VALUES (2, 'eu')",
		"INSERT INTO users VALUES (2, 'eu'); INSERT INTO orders VALUES (10, 2)", "INSERT INTO either VALUES (2, 'us')", "UPDATE orders SET user_id = 1 WHERE id = 10",
	} {
		alike(t, hard, soft, sql, state)
	}
}

// Above READ COMMITTED, too, no row comes to refer to one that was deleted since the snapshot was taken.
func TestDeletedSinceTheSnapshot(t *testing.T) {
	_, soft := twins(t, "since_the_snapshot", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz) PARTITION BY LIST (id);
CREATE TABLE users_1 PARTITION OF users FOR VALUES IN (1);
CREATE TABLE plain (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (user_id int REFERENCES users, plain_id int REFERENCES plain, deleted_at timestamptz);
INSERT INTO users VALUES (1); INSERT INTO plain VALUES (1)`)
	other := connect(t, "since_the_snapshot_soft")
	for _, level := range []string{"REPEATABLE READ", "SERIALIZABLE"} {
		for _, parent := range []string{"user", "plain"} {
			table := map[string]string{"user": "users", "plain": "plain"}[parent]
			soft.raw(t, "BEGIN ISOLATION LEVEL "+level)
			soft.raw(t, "SELECT FROM users")
			if _, err := other.Exec(within(t), "UPDATE "+table+" SET deleted_at = now()"); err != nil {
				t.Fatal(err)
			}
			if got := soft.raw(t, "INSERT INTO orders ("+parent+"_id) VALUES (1)"); !strings.Contains(got, "40001") && !strings.Contains(got, "23503") {
				t.Errorf("%s, %s: %q", level, table, got)
			}
			soft.raw(t, "ROLLBACK")
			if _, err := other.Exec(within(t), "UPDATE "+table+" SET deleted_at = NULL"); err != nil {
				t.Fatal(err)
			}
		}
	}
}
