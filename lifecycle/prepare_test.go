package lifecycle

import (
	"fmt"
	"strings"
	"testing"
)

const actions = `
CREATE TABLE users (id bigint PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE notes (id int PRIMARY KEY, user_id bigint DEFAULT 1 REFERENCES users ON DELETE SET NULL, deleted_at timestamptz);
CREATE TABLE badges (id int PRIMARY KEY, user_id bigint DEFAULT 1 REFERENCES users ON DELETE SET DEFAULT, deleted_at timestamptz);
CREATE TABLE locks (id int PRIMARY KEY, user_id bigint REFERENCES users ON DELETE RESTRICT, deleted_at timestamptz);
CREATE TABLE bills (id int PRIMARY KEY, user_id bigint REFERENCES users, deleted_at timestamptz);
CREATE TABLE later (id int PRIMARY KEY, user_id bigint REFERENCES users DEFERRABLE INITIALLY DEFERRED, deleted_at timestamptz);
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE loose (id int PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE, extra numeric[]);
INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 12) i;
INSERT INTO orders SELECT i, 1 + i % 4 FROM generate_series(1, 20) i;
INSERT INTO items SELECT i, 1 + i % 20 FROM generate_series(1, 60) i;
INSERT INTO notes VALUES (1, 2), (2, 3), (3, NULL);
INSERT INTO badges VALUES (1, 2), (2, 3);
INSERT INTO locks VALUES (1, 5);
INSERT INTO bills VALUES (1, 6);
INSERT INTO later VALUES (1, 7);
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 1), (5, NULL);
INSERT INTO loose VALUES (1, 2, '[0:1]={1.50,2}'), (2, 8, NULL);
`

// What a DELETE does to rows that refer to the row, and what it is told, is what foreign keys say.
func TestOnDelete(t *testing.T) {
	hard, soft := twins(t, "actions", actions)
	state := `SELECT 'users', id::text, '' FROM users UNION ALL SELECT 'orders', id::text, user_id::text FROM orders UNION ALL SELECT 'items', id::text, order_id::text FROM items
		UNION ALL SELECT 'notes', id::text, user_id::text FROM notes UNION ALL SELECT 'badges', id::text, user_id::text FROM badges UNION ALL SELECT 'locks', id::text, user_id::text FROM locks
		UNION ALL SELECT 'bills', id::text, user_id::text FROM bills UNION ALL SELECT 'later', id::text, user_id::text FROM later UNION ALL SELECT 'tree', id::text, up::text FROM tree
		UNION ALL SELECT 'loose', id::text, user_id::text FROM loose ORDER BY 1, 2`
	for _, sql := range []string{
		"DELETE FROM users WHERE id = 2",
		"DELETE FROM users WHERE id = 5",
		"DELETE FROM locks; DELETE FROM users WHERE id = 5",
		"DELETE FROM users WHERE id = 6",
		"DELETE FROM users WHERE id = 7",
		"BEGIN; DELETE FROM users WHERE id = 7; DELETE FROM later; COMMIT",
		"INSERT INTO orders VALUES (100, 2)",
		"INSERT INTO orders VALUES (100, 77)",
		"INSERT INTO orders VALUES (100, NULL)",
		"UPDATE orders SET user_id = 2 WHERE id = 3",
		"UPDATE orders SET user_id = 3 WHERE id = 4",
		"INSERT INTO later VALUES (9, 2)",
		"DELETE FROM tree WHERE id = 1",
		"INSERT INTO tree VALUES (9, 3)",
		"DELETE FROM users WHERE id IN (3, 4, 8)",
		"DELETE FROM users",
		"DELETE FROM bills; DELETE FROM users",
	} {
		alike(t, hard, soft, sql, state)
	}
}

const natural = `
CREATE TABLE countries (code text PRIMARY KEY, name text UNIQUE, deleted_at timestamptz);
CREATE TABLE cities (country text REFERENCES countries ON DELETE CASCADE, name text, deleted_at timestamptz, PRIMARY KEY (country, name));
CREATE TABLE a (id int PRIMARY KEY, b int, deleted_at timestamptz);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE, deleted_at timestamptz);
ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b ON DELETE CASCADE;
CREATE TABLE rooms (id int PRIMARY KEY, during int4range, deleted_at timestamptz, EXCLUDE USING gist (during WITH &&));
INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France');
INSERT INTO cities VALUES ('de', 'Bonn'), ('de', 'Berlin'), ('fr', 'Paris');
INSERT INTO a VALUES (1, NULL); INSERT INTO b VALUES (1, 1); UPDATE a SET b = 1;
INSERT INTO rooms VALUES (1, '[1,5)');
`

// A key that a deleted row has can be used again, and nothing of the deleted row is lost.
func TestKeysAreUsedAgain(t *testing.T) {
	hard, soft := twins(t, "natural", natural)
	state := `SELECT 'countries', code, name FROM countries UNION ALL SELECT 'cities', country, name FROM cities
		UNION ALL SELECT 'a', id::text, b::text FROM a UNION ALL SELECT 'b', id::text, a::text FROM b UNION ALL SELECT 'rooms', id::text, during::text FROM rooms ORDER BY 1, 2, 3`
	for _, sql := range []string{
		"DELETE FROM countries WHERE code = 'de'",
		"INSERT INTO cities VALUES ('de', 'Bonn')",
		"INSERT INTO countries VALUES ('de', 'Germany')",
		"INSERT INTO cities VALUES ('de', 'Bonn')",
		"INSERT INTO cities VALUES ('de', 'Bonn')",
		"DELETE FROM cities WHERE name = 'Bonn'",
		"INSERT INTO cities VALUES ('de', 'Bonn') ON CONFLICT (country, name) DO NOTHING",
		"INSERT INTO cities VALUES ('de', 'Bonn') ON CONFLICT (country, name) DO NOTHING",
		"DELETE FROM countries WHERE code = 'fr'",
		"UPDATE countries SET code = 'fr', name = 'France' WHERE code = 'de'",
		"DELETE FROM cities; UPDATE countries SET code = 'fr', name = 'France' WHERE code = 'de'",
		"DELETE FROM a",
		"INSERT INTO a VALUES (1, NULL); INSERT INTO b VALUES (1, 1)",
		"DELETE FROM rooms; INSERT INTO rooms VALUES (2, '[2,4)')",
		"INSERT INTO rooms VALUES (3, '[3,4)')",
	} {
		alike(t, hard, soft, sql, state)
	}
	// Germany with its two cities, Bonn once more, and the cycle, at least: each knows its deletion.
	if got := soft.do(t, "SELECT count(*) FILTER (WHERE row ->> 'deleted_at' IS NOT NULL AND deletion IS NOT NULL) >= 6, count(*) FILTER (WHERE deletion IS NULL) FROM tombstone.archive"); got != "[t 0]\n1;" {
		t.Errorf("the archive: %s", got)
	}
}

const parted = `
CREATE TABLE users (id int, region text, name text, deleted_at timestamptz, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE users_eu PARTITION OF users FOR VALUES IN ('eu') PARTITION BY HASH (id);
CREATE TABLE users_eu_0 PARTITION OF users_eu FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE users_eu_1 PARTITION OF users_eu FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE users_us PARTITION OF users FOR VALUES IN ('us');
CREATE TABLE orders (id int, user_id int, region text, deleted_at timestamptz, PRIMARY KEY (id, user_id), UNIQUE (user_id, region, id), FOREIGN KEY (user_id, region) REFERENCES users ON DELETE CASCADE) PARTITION BY HASH (user_id);
CREATE TABLE orders_0 PARTITION OF orders FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO users SELECT i, CASE WHEN i % 3 = 0 THEN 'us' ELSE 'eu' END, 'user ' || i FROM generate_series(1, 12) i;
INSERT INTO orders SELECT i, 1 + i % 12, CASE WHEN (1 + i % 12) % 3 = 0 THEN 'us' ELSE 'eu' END FROM generate_series(1, 40) i;
`

// Partitioned tables, their partitions by name, and rows that go from one to another are as any.
func TestPartitions(t *testing.T) {
	hard, soft := twins(t, "parted", parted)
	state := "SELECT 'users', id, region, name FROM users UNION ALL SELECT 'orders', id, region, user_id::text FROM orders ORDER BY 1, 2, 3"
	for _, sql := range []string{
		"DELETE FROM users WHERE id = 2",
		"DELETE FROM users_us WHERE id = 3",
		"DELETE FROM orders_1",
		"INSERT INTO users VALUES (2, 'eu', 'again'); INSERT INTO orders VALUES (100, 2, 'eu')",
		"INSERT INTO orders VALUES (101, 3, 'us')",
		"INSERT INTO orders VALUES (100, 2, 'eu')",
		"INSERT INTO orders VALUES (100, 2, 'eu') ON CONFLICT (user_id, region, id) DO NOTHING",
		"DELETE FROM orders WHERE user_id = 4; UPDATE users SET region = 'us' WHERE id = 4",
		"UPDATE users SET region = 'us' WHERE id = 5",
		"DELETE FROM users WHERE id = 4",
		"DELETE FROM users",
		"INSERT INTO users VALUES (1, 'eu', 'x'); TRUNCATE users, orders",
	} {
		alike(t, hard, soft, sql, state)
	}
}

// What one statement deletes, inserts and takes along is what the server's own keys make of it, in their order.
func TestOneStatement(t *testing.T) {
	hard, soft := twins(t, "statement", `
CREATE TABLE top (id int PRIMARY KEY, x int, c int, deleted_at timestamptz);
CREATE TABLE mid (id text PRIMARY KEY, top int REFERENCES top ON DELETE CASCADE, low int, deleted_at timestamptz);
CREATE TABLE low (id int PRIMARY KEY, mid text REFERENCES mid ON DELETE CASCADE, deleted_at timestamptz);
ALTER TABLE mid ADD FOREIGN KEY (low) REFERENCES low;
CREATE TABLE self (id text PRIMARY KEY, up text REFERENCES self, deleted_at timestamptz);
CREATE TABLE later (id int PRIMARY KEY, up int REFERENCES later DEFERRABLE INITIALLY DEFERRED, deleted_at timestamptz);
CREATE TABLE orgs (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE people (id int PRIMARY KEY, org int REFERENCES orgs ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE posts (id int PRIMARY KEY, org int REFERENCES orgs ON DELETE CASCADE, author int REFERENCES people, deleted_at timestamptz);
INSERT INTO top VALUES (1, 1, 1), (2, 1, 1), (3, 1, 1); INSERT INTO mid VALUES ('k1', 1, NULL); INSERT INTO low VALUES (2, 'k1'); INSERT INTO mid VALUES ('k3', 2, 2), ('k4', 3, NULL);
INSERT INTO self VALUES ('k1', NULL);
INSERT INTO later VALUES (1, NULL), (2, 1);
INSERT INTO orgs VALUES (1), (2), (3); INSERT INTO people VALUES (1, 1), (2, 1), (3, 2), (4, 3); INSERT INTO posts VALUES (1, 1, 2), (2, 1, 1), (3, 2, 3), (4, 3, 3);
`)
	state := `SELECT 'top', id::text, x::text FROM top UNION ALL SELECT 'mid', id, top::text FROM mid UNION ALL SELECT 'low', id::text, mid FROM low UNION ALL SELECT 'self', id, up FROM self
		UNION ALL SELECT 'orgs', id::text, '' FROM orgs UNION ALL SELECT 'people', id::text, org::text FROM people UNION ALL SELECT 'posts', id::text, author::text FROM posts
		UNION ALL SELECT 'later', id::text, up::text FROM later ORDER BY 1, 2, 3`
	for _, sql := range []string{
		"DELETE FROM top WHERE id < 3",
		"DELETE FROM orgs WHERE id = 1",
		"DELETE FROM orgs WHERE id = 2",
		"DELETE FROM orgs WHERE id > 1",
		"DELETE FROM self",
		"INSERT INTO self VALUES ('k2', 'k1'), ('k1', 'k1')",
		"WITH d AS (DELETE FROM top t RETURNING id, x, c) INSERT INTO top SELECT id, x, c FROM d",
		"DELETE FROM top x",
		"INSERT INTO top VALUES (3, 2, 2)",
		"BEGIN; DELETE FROM later WHERE id = 1; INSERT INTO later VALUES (1, NULL); COMMIT",
		"BEGIN; DELETE FROM later WHERE id = 1; COMMIT",
		"BEGIN; INSERT INTO later VALUES (5, 4); INSERT INTO later VALUES (4, NULL); COMMIT",
		"DELETE FROM later",
	} {
		alike(t, hard, soft, sql, state)
	}
}

// A row that came to refer to another since a transaction's snapshot was taken is not left behind by a burial in that transaction.
func TestSnapshots(t *testing.T) {
	hard, soft := twins(t, "snapshots", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE bills (id int PRIMARY KEY, user_id int REFERENCES users, deleted_at timestamptz);
CREATE TABLE later (id int PRIMARY KEY, user_id int REFERENCES users DEFERRABLE INITIALLY DEFERRED, deleted_at timestamptz);
CREATE TABLE loose (id int PRIMARY KEY, user_id int REFERENCES users);
INSERT INTO users SELECT generate_series(1, 9);
INSERT INTO bills SELECT i, i FROM generate_series(1, 4) i; 
`)
	run := func(x *twin, level string, user int, meanwhile string) string {
		other := &twin{Conn: connect(t, x.Config().Database), set: x.set}
		x.do(t, "BEGIN ISOLATION LEVEL "+level)
		x.do(t, "SELECT FROM users")
		answer := other.do(t, meanwhile)
		code, _, _ := strings.Cut(x.do(t, fmt.Sprintf("DELETE FROM users WHERE id = %d", user)), "|")
		end, _, _ := strings.Cut(x.do(t, "COMMIT"), "|")
		answer += code + " " + end
		x.do(t, "ROLLBACK")
		return answer
	}
	for _, x := range []*twin{hard, soft} {
		x.do(t, "DELETE FROM bills") // tombstones that refer to users are no obstacle
	}
	for i, meanwhile := range []string{
		"INSERT INTO orders VALUES (1, 1)", "INSERT INTO loose VALUES (1, 2)", "INSERT INTO later VALUES (1, 3)", "INSERT INTO users VALUES (100)", "UPDATE orders SET id = 7 WHERE id = 77",
	} {
		for _, level := range []string{"REPEATABLE READ", "SERIALIZABLE", "READ COMMITTED"} {
			want, got := run(hard, level, i+1, meanwhile), run(soft, level, i+1, meanwhile)
			// Whether the row that has come was deleted again nobody can see: to try again tells.
			if want != got && !(strings.HasSuffix(want, "23503") && strings.HasSuffix(got, "40001")) {
				t.Errorf("%s, %s: got %s, want %s", level, meanwhile, got, want)
			}
		}
	}
	for _, x := range []*twin{hard, soft} { // alone, the key of a visible row speaks
		x.do(t, "INSERT INTO bills VALUES (8, 8)")
		x.do(t, "BEGIN ISOLATION LEVEL SERIALIZABLE")
		if got := x.do(t, "DELETE FROM users WHERE id = 8"); !strings.HasPrefix(got, "23503") {
			t.Error(got)
		}
		x.do(t, "ROLLBACK")
	}
	if got := soft.do(t, "SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id AND u.deleted_at IS NOT NULL WHERE o.deleted_at IS NULL"); got != "0;" {
		t.Errorf("live rows refer to deleted ones: %s", got)
	}
}

// An upsert that waits for a deletion finds the key free when that has been committed.
func TestUpsertMeetsDeletion(t *testing.T) {
	hard, soft := twins(t, "meets", "CREATE TABLE words (word text PRIMARY KEY, n int, deleted_at timestamptz); INSERT INTO words VALUES ('a', 1)")
	run := func(x *twin) string {
		other := &twin{Conn: connect(t, x.Config().Database), set: x.set}
		x.do(t, "BEGIN")
		x.do(t, "DELETE FROM words")
		answer := make(chan string)
		go func() {
			answer <- other.do(t, "INSERT INTO words AS w VALUES ('a', 1) ON CONFLICT (word) DO UPDATE SET n = w.n + 1 RETURNING n")
		}()
		for waits := "[0]\n1;"; waits != "[1]\n1;"; {
			waits = x.do(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
		}
		x.do(t, "COMMIT")
		return <-answer
	}
	if want, got := run(hard), run(soft); want != got {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What the server itself deletes with a row of a table that is not protected goes in the server's order, and into the archive.
func TestUnprotectedParents(t *testing.T) {
	const schema = `
CREATE TABLE u1 (id text PRIMARY KEY);
CREATE TABLE p2 (id bigint PRIMARY KEY, r2 text REFERENCES u1 (id) ON DELETE CASCADE, r4 text, deleted_at timestamptz);
ALTER TABLE p2 ADD FOREIGN KEY (r4) REFERENCES u1 (id);
CREATE TABLE p3 (id int PRIMARY KEY, p2 bigint REFERENCES p2 ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE p4 (id int PRIMARY KEY, p2 bigint REFERENCES p2 ON DELETE SET NULL, deleted_at timestamptz);
CREATE TABLE p5 (id int PRIMARY KEY, p2 bigint REFERENCES p2, deleted_at timestamptz);
CREATE TABLE u5 (id int PRIMARY KEY);
CREATE TABLE b6 (a int, b int, r4b int, r5 int REFERENCES u5 (id) ON DELETE CASCADE, deleted_at timestamptz, PRIMARY KEY (a, b));
ALTER TABLE b6 ADD FOREIGN KEY (a, r4b) REFERENCES b6 (a, b);
INSERT INTO u1 SELECT 'k' || i FROM generate_series(1, 9) i;
INSERT INTO p2 VALUES (2, 'k2', 'k1'), (4, 'k4', NULL), (5, 'k5', NULL), (6, 'k6', NULL), (7, 'k7', NULL);
INSERT INTO p3 VALUES (5, 5), (55, 5); INSERT INTO p4 VALUES (5, 5); INSERT INTO p5 VALUES (6, 6), (5, 5);
INSERT INTO u5 VALUES (1), (2); INSERT INTO b6 VALUES (1, 1, NULL, 1), (1, 2, 1, 2);
`
	hard, soft := twins(t, "unprotected", schema)
	state := `SELECT 'u1', id, '' FROM u1 UNION ALL SELECT 'p2', id::text, r2 FROM p2 UNION ALL SELECT 'p3', id::text, p2::text FROM p3 UNION ALL SELECT 'p4', id::text, p2::text FROM p4
		UNION ALL SELECT 'p5', id::text, p2::text FROM p5 UNION ALL SELECT 'u5', id::text, '' FROM u5 UNION ALL SELECT 'b6', b::text, r4b::text FROM b6 ORDER BY 1, 2`
	for _, sql := range []string{
		"DELETE FROM u1 WHERE id IN ('k1', 'k2')",
		"WITH d AS (DELETE FROM p2 x WHERE id = 4 RETURNING id) DELETE FROM u1 x WHERE id = 'k4'",
		"DELETE FROM u5",
		"DELETE FROM u1 WHERE id = 'k6'",
		"DELETE FROM p5 WHERE id IN (5, 6)",
		"DELETE FROM p3 WHERE id = 55",
		"DELETE FROM u1 WHERE id IN ('k5', 'k6')",
		"DELETE FROM u1 WHERE id = 'k7'",
	} {
		alike(t, hard, soft, sql, state)
	}
	if got := soft.raw(t, "DELETE FROM p2"); !strings.Contains(got, "42501") {
		t.Errorf("a real DELETE: %s", got)
	}
	list, err := History(within(t), soft.Conn, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	soft.do(t, "INSERT INTO u1 VALUES ('k5'), ('k6')")
	for _, d := range list {
		if fmt.Sprint(d.Tables) == "[{public.p2 2} {public.p3 1}]" {
			if r, err := Undo(within(t), soft.Conn, soft.database(t), d.ID, false); err != nil || fmt.Sprint(r.Restored, r.Links) != "[{public.p2 2} {public.p3 1}] 1" {
				t.Errorf("%+v %v", r, err)
			}
			return
		}
	}
	t.Errorf("%+v", list)
}
