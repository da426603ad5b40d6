package lifecycle

import "testing"

// A tombstone that makes room, after an unprotected row was really deleted in the same transaction, is kept once: by what moves it, and not also
// by what keeps the rows that the server deletes. Twice in the archive, it could never be restored (23505).
func TestArchivedOnce(t *testing.T) {
	_, soft := twins(t, "archived_once", `
CREATE TABLE owners (id int PRIMARY KEY); -- not protected
CREATE TABLE users (id int PRIMARY KEY, owner_id int REFERENCES owners ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);`)
	for _, sql := range []string{
		"DELETE FROM owners",
		"BEGIN; DELETE FROM owners WHERE id = 1; DELETE FROM owners WHERE id = 2; COMMIT",
		"BEGIN; DELETE FROM owners WHERE id = 1; INSERT INTO users VALUES (2, NULL); COMMIT",
	} {
		if got := soft.raw(t, `SET tombstone.delete = purge; DELETE FROM orders; DELETE FROM users; DELETE FROM owners; RESET tombstone.delete; TRUNCATE tombstone.archive, tombstone.deletions;
INSERT INTO owners VALUES (1), (2); INSERT INTO users VALUES (1, 1), (2, 2); INSERT INTO orders VALUES (1, 1), (2, 2)`); got != "" {
			t.Fatal(got)
		}
		soft.do(t, "DELETE FROM users WHERE id = 2")
		soft.do(t, sql)
		if got := soft.do(t, "SELECT relation, row ->> 'id', count(*) FROM tombstone.archive WHERE row ->> 'id' = '2' GROUP BY 1, 2 ORDER BY 1, 2"); got != "[users 2 1]\n[orders 2 1]\n2;" {
			t.Errorf("%s: archived are\n%s", sql, got)
		}
	}
}
