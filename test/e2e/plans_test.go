package e2e

import (
	"fmt"
	"testing"
)

// grown makes the shop large enough for the planner to have a choice, with the
// indexes that live reads want.
const grown = `
	INSERT INTO users SELECT i, 'user ' || i, 'u' || i || '@example.org', 'city ' || i % 50, CASE WHEN i % 4 = 0 THEN timestamptz '2024-01-01' END FROM generate_series(1000, 9000) i;
	INSERT INTO orders SELECT i, i % 8000 + 1000, i % 100, date '2024-01-01' + i % 365, CASE WHEN i % 5 = 0 THEN timestamptz '2024-01-01' END FROM generate_series(1000, 21000) i;
	INSERT INTO memberships (user_id, team, since) SELECT i, 'red', '2024-01-01' FROM generate_series(1000, 6000) i;
	CREATE INDEX users_city ON users (city) WHERE deleted_at IS NULL;
	CREATE UNIQUE INDEX users_email ON users (email) WHERE deleted_at IS NULL;
	CREATE INDEX orders_user ON orders (user_id);
	CREATE INDEX orders_placed ON orders (placed) WHERE deleted_at IS NULL;
	VACUUM ANALYZE`

// planned lists queries, and the same with the predicate where a person would
// have written it.
var planned = []struct{ query, byHand string }{
	{"SELECT * FROM users", "SELECT * FROM users WHERE deleted_at IS NULL"},
	{"SELECT * FROM users WHERE id = 5", "SELECT * FROM users WHERE id = 5 AND deleted_at IS NULL"},
	{"SELECT * FROM users WHERE email = 'u1001@example.org'", "SELECT * FROM users WHERE email = 'u1001@example.org' AND deleted_at IS NULL"},
	{"SELECT * FROM users WHERE city = 'city 7' ORDER BY id LIMIT 5", "SELECT * FROM users WHERE city = 'city 7' AND deleted_at IS NULL ORDER BY id LIMIT 5"},
	{"SELECT count(*) FROM users WHERE city = 'city 7' OR id < 1100", "SELECT count(*) FROM users WHERE (city = 'city 7' OR id < 1100) AND deleted_at IS NULL"},
	{"SELECT city, count(*) FROM users GROUP BY city HAVING count(*) > 10", "SELECT city, count(*) FROM users WHERE deleted_at IS NULL GROUP BY city HAVING count(*) > 10"},
	{"SELECT DISTINCT ON (city) * FROM users ORDER BY city, id", "SELECT DISTINCT ON (city) * FROM users WHERE deleted_at IS NULL ORDER BY city, id"},
	{"SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.city = 'city 3'", "SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.city = 'city 3' AND u.deleted_at IS NULL AND o.deleted_at IS NULL"},
	{"SELECT * FROM users u, orders o WHERE o.user_id = u.id AND u.id = 1234", "SELECT * FROM users u, orders o WHERE o.user_id = u.id AND u.id = 1234 AND u.deleted_at IS NULL AND o.deleted_at IS NULL"},
	{"SELECT * FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE o.id < 1050", "SELECT * FROM orders o LEFT JOIN users u ON u.id = o.user_id AND u.deleted_at IS NULL WHERE o.id < 1050 AND o.deleted_at IS NULL"},
	{"SELECT * FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE u.id IS NULL", "SELECT * FROM orders o LEFT JOIN users u ON u.id = o.user_id AND u.deleted_at IS NULL WHERE u.id IS NULL AND o.deleted_at IS NULL"},
	{"SELECT * FROM users u RIGHT JOIN orders o ON u.id = o.user_id", "SELECT * FROM users u RIGHT JOIN orders o ON u.id = o.user_id AND u.deleted_at IS NULL WHERE o.deleted_at IS NULL"},
	{"SELECT * FROM users u FULL JOIN orders o ON u.id = o.user_id", "SELECT * FROM (SELECT * FROM users u WHERE u.deleted_at IS NULL) u FULL JOIN (SELECT * FROM orders o WHERE o.deleted_at IS NULL) o ON u.id = o.user_id"},
	{"SELECT user_id, u.name FROM orders o JOIN (SELECT id AS user_id, name FROM users) u USING (user_id)", "SELECT user_id, u.name FROM orders o JOIN (SELECT id AS user_id, name FROM users WHERE deleted_at IS NULL) u USING (user_id) WHERE o.deleted_at IS NULL"},
	{"SELECT * FROM orders JOIN memberships USING (user_id) WHERE team = 'red' AND placed = '2024-03-03'", "SELECT * FROM orders JOIN memberships USING (user_id) WHERE team = 'red' AND placed = '2024-03-03' AND orders.deleted_at IS NULL AND memberships.deleted_at IS NULL"},
	{"SELECT * FROM orders o LEFT JOIN memberships m USING (user_id) WHERE o.placed = '2024-03-03'", "SELECT * FROM orders o LEFT JOIN (SELECT * FROM memberships m WHERE m.deleted_at IS NULL) m USING (user_id) WHERE o.placed = '2024-03-03' AND o.deleted_at IS NULL"},
	{"SELECT * FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)", "SELECT * FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.deleted_at IS NULL) AND u.deleted_at IS NULL"},
	{"SELECT * FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)", "SELECT * FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.deleted_at IS NULL) AND u.deleted_at IS NULL"},
	{"SELECT * FROM users WHERE id IN (SELECT user_id FROM orders WHERE total > 98)", "SELECT * FROM users WHERE id IN (SELECT user_id FROM orders WHERE total > 98 AND deleted_at IS NULL) AND deleted_at IS NULL"},
	{"SELECT * FROM users WHERE id NOT IN (SELECT user_id FROM orders)", "SELECT * FROM users WHERE id NOT IN (SELECT user_id FROM orders WHERE deleted_at IS NULL) AND deleted_at IS NULL"},
	{"SELECT u.id, (SELECT max(total) FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id < 1100", "SELECT u.id, (SELECT max(total) FROM orders o WHERE o.user_id = u.id AND o.deleted_at IS NULL) FROM users u WHERE u.id < 1100 AND u.deleted_at IS NULL"},
	{"SELECT u.id, l.total FROM users u, LATERAL (SELECT total FROM orders o WHERE o.user_id = u.id ORDER BY placed DESC LIMIT 1) l", "SELECT u.id, l.total FROM users u, LATERAL (SELECT total FROM orders o WHERE o.user_id = u.id AND o.deleted_at IS NULL ORDER BY placed DESC LIMIT 1) l WHERE u.deleted_at IS NULL"},
	{"SELECT u.id, l.n FROM users u LEFT JOIN LATERAL (SELECT count(*) AS n FROM orders o WHERE o.user_id = u.id) l ON true", "SELECT u.id, l.n FROM users u LEFT JOIN LATERAL (SELECT count(*) AS n FROM orders o WHERE o.user_id = u.id AND o.deleted_at IS NULL) l ON true WHERE u.deleted_at IS NULL"},
	{"SELECT id FROM users UNION ALL SELECT user_id FROM orders", "SELECT id FROM users WHERE deleted_at IS NULL UNION ALL SELECT user_id FROM orders WHERE deleted_at IS NULL"},
	{"SELECT id FROM users EXCEPT SELECT user_id FROM orders", "SELECT id FROM users WHERE deleted_at IS NULL EXCEPT SELECT user_id FROM orders WHERE deleted_at IS NULL"},
	{"WITH big AS MATERIALIZED (SELECT * FROM orders WHERE total > 90) SELECT * FROM big JOIN users ON users.id = big.user_id", "WITH big AS MATERIALIZED (SELECT * FROM orders WHERE total > 90 AND deleted_at IS NULL) SELECT * FROM big JOIN users ON users.id = big.user_id WHERE users.deleted_at IS NULL"},
	{"WITH RECURSIVE r AS (SELECT id FROM users WHERE id = 1001 UNION ALL SELECT u.id FROM users u JOIN r ON u.id = r.id + 1) SELECT * FROM r", "WITH RECURSIVE r AS (SELECT id FROM users WHERE id = 1001 AND deleted_at IS NULL UNION ALL SELECT u.id FROM users u JOIN r ON u.id = r.id + 1 WHERE u.deleted_at IS NULL) SELECT * FROM r"},
	{"SELECT * FROM users u WHERE city = 'city 9' FOR UPDATE OF u SKIP LOCKED", "SELECT * FROM users u WHERE city = 'city 9' AND deleted_at IS NULL FOR UPDATE OF u SKIP LOCKED"},
	{"SELECT * FROM (users u JOIN orders o ON o.user_id = u.id) AS j (a) WHERE a = 1500", "SELECT * FROM ((SELECT * FROM users u WHERE u.deleted_at IS NULL) u JOIN (SELECT * FROM orders o WHERE o.deleted_at IS NULL) o ON o.user_id = u.id) AS j (a) WHERE a = 1500"},
	{"SELECT rank() OVER (PARTITION BY city ORDER BY id) FROM users", "SELECT rank() OVER (PARTITION BY city ORDER BY id) FROM users WHERE deleted_at IS NULL"},
	{"SELECT * FROM users TABLESAMPLE bernoulli (10) REPEATABLE (1)", "SELECT * FROM users TABLESAMPLE bernoulli (10) REPEATABLE (1) WHERE deleted_at IS NULL"},
	{"UPDATE users u SET name = 'x' FROM orders o WHERE o.user_id = u.id AND o.placed = '2024-05-05'", "UPDATE users u SET name = 'x' FROM orders o WHERE o.user_id = u.id AND o.placed = '2024-05-05' AND u.deleted_at IS NULL AND o.deleted_at IS NULL"},
	{"DELETE FROM users WHERE city = 'city 9'", "UPDATE users SET deleted_at = now() WHERE city = 'city 9' AND deleted_at IS NULL"},
	{"DELETE FROM orders o USING users u WHERE u.id = o.user_id AND u.city = 'city 9'", "UPDATE orders o SET deleted_at = now() FROM users u WHERE u.id = o.user_id AND u.city = 'city 9' AND o.deleted_at IS NULL AND u.deleted_at IS NULL"},
}

// The predicate costs what it costs where a person writes it: the plans are
// the same, costs and all.
func TestPlans(t *testing.T) {
	for _, major := range []int{15, 18} {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			c := majorServer(t, major)
			if _, err := c.Psql(within(t), "shop", grown); err != nil {
				t.Fatal(err)
			}
			through, direct := watch(t, startBefore(t, c, shopTables, nil).dsn("shop")), watch(t, c.DSN("shop"))
			for _, p := range planned {
				got, want := simple(t, through, "EXPLAIN "+p.query, nil), simple(t, direct, "EXPLAIN "+p.byHand, nil)
				if d := difference(want, got, false); d != "" {
					t.Errorf("%s\n%s", p.query, d)
				}
			}
		})
	}
}
