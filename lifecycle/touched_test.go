package lifecycle

import "testing"

// A row that a trigger of the application changes as soon as it is written is looked at all the same: it may not refer to a tombstone.
func TestTouchedAtOnce(t *testing.T) {
	hard, soft := twins(t, "touched", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, note text, deleted_at timestamptz);
CREATE TABLE later (id int PRIMARY KEY, user_id int REFERENCES users DEFERRABLE INITIALLY DEFERRED, note text, deleted_at timestamptz);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	EXECUTE format('UPDATE %s SET note = $1', TG_RELID::regclass) USING 'touched'; RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OF user_id ON orders FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO users VALUES (1), (2); INSERT INTO orders VALUES (1, 2)`)
	state := "SELECT 'users', id, '' FROM users UNION ALL SELECT 'orders', id, note FROM orders UNION ALL SELECT 'later', id, note FROM later ORDER BY 1, 2"
	for _, sql := range []string{
		"DELETE FROM users WHERE id = 1",
		"INSERT INTO orders VALUES (10, 1)",
		"INSERT INTO orders VALUES (11, 2)",
		"INSERT INTO orders VALUES (12, 2), (13, 1)",
		"UPDATE orders SET user_id = 1",
		"BEGIN; INSERT INTO later VALUES (10, 1); UPDATE later SET note = 'touched'; COMMIT",
		"BEGIN; INSERT INTO later VALUES (10, 1); UPDATE later SET note = 'touched', user_id = 2; COMMIT",
	} {
		alike(t, hard, soft, sql, state)
	}
}
