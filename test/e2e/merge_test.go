package e2e

import "testing"

func TestMerge(t *testing.T) {
	w := newTwin(t, shopTables)
	for _, sql := range []string{
		"MERGE INTO users u USING orders o ON o.user_id = u.id AND o.id < 9 WHEN MATCHED THEN DELETE",
		"MERGE INTO users USING (SELECT 1 AS id UNION SELECT 105) s ON s.id = users.id WHEN MATCHED THEN UPDATE SET name = 'x' WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, 'new')",
		"MERGE INTO users u USING (VALUES (1), (2), (3)) s (id) ON s.id = u.id WHEN MATCHED AND u.id = 2 THEN DO NOTHING WHEN MATCHED AND CASE WHEN u.id = 1 THEN true ELSE false END THEN DELETE WHEN MATCHED THEN UPDATE SET name = CASE WHEN u.id = 3 THEN 'three' END",
		"MERGE INTO memberships m USING users u ON u.id = m.user_id OR false WHEN MATCHED AND m.team = 'blue' THEN DELETE",
		"MERGE INTO audit_log a USING users u ON a.user_id = u.id WHEN MATCHED THEN UPDATE SET what = u.name WHEN NOT MATCHED THEN INSERT VALUES (100 + u.id, 'x', u.id)",
		"MERGE INTO audit_log a USING (users u LEFT JOIN orders o ON o.user_id = u.id AND o.id < 20) ON a.user_id = u.id AND o.id IS NULL WHEN MATCHED THEN DELETE",
		"MERGE INTO users u USING orders o JOIN memberships m ON m.user_id = o.user_id ON u.id = o.user_id AND m.team = 'red' AND o.id < 30 WHEN MATCHED THEN DELETE",
		"WITH w AS (SELECT id FROM users WHERE id < 12) MERGE INTO users USING w ON w.id = users.id WHEN MATCHED AND EXISTS (SELECT 1 FROM orders WHERE user_id = users.id) THEN DELETE WHEN MATCHED THEN UPDATE SET city = 'none'",
		"MERGE INTO users u USING orders o ON u.id = 1 WHEN MATCHED THEN DELETE",
		"MERGE INTO users u USING orders o ON u.id = o.user_id WHEN MATCHED THEN UPDATE SET nope = 1",
		"MERGE INTO users u USING orders o ON u.id = o.nope WHEN MATCHED THEN DELETE",
		"MERGE INTO users u USING orders o ON u.id = o.user_id WHEN MATCHED AND nope THEN DELETE",
		"MERGE INTO nowhere u USING orders o ON u.id = o.user_id WHEN MATCHED THEN DELETE",
		"MERGE INTO tenant.users u USING archive.users o ON u.id = o.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (o.id + 100, o.name)",
		`MERGE INTO "Größe" USING users ON "Maß" = id WHEN MATCHED THEN DELETE`,
		"EXPLAIN (COSTS OFF) MERGE INTO audit_log a USING audit_log b ON a.id = b.id WHEN MATCHED THEN DELETE",
		"PREPARE s AS MERGE INTO users u USING orders o ON o.id = u.id WHEN MATCHED THEN DELETE; EXECUTE s; DEALLOCATE s",
	} {
		w.try(t, sql)
	}
	w.try(t, "MERGE INTO users u USING orders o ON o.id = u.id AND o.id = $1 WHEN MATCHED THEN UPDATE SET name = $2", "2", "two")
}
