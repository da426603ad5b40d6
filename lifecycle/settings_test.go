package lifecycle

import (
	"strings"
	"testing"
)

// Rows of tables that are not protected go to the archive with what took them along, also when a trigger of the application deletes something else
// in between that takes such rows along.
func TestKeptInBetween(t *testing.T) {
	soft := &twin{Conn: database(t, "kept_in_between")}
	if _, err := soft.Exec(within(t), `
CREATE TABLE regions (id int PRIMARY KEY);
CREATE TABLE users (id int PRIMARY KEY, region int REFERENCES regions ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE sessions (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE);
CREATE TABLE hits (id int PRIMARY KEY, session int REFERENCES sessions ON DELETE CASCADE);
CREATE TABLE docs (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE pages (id int PRIMARY KEY, doc int REFERENCES docs ON DELETE CASCADE);
CREATE FUNCTION drop_docs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	UPDATE docs SET deleted_at = now() WHERE id = OLD.id AND deleted_at IS NULL;
	RETURN OLD;
END $$;
CREATE TRIGGER zz_docs AFTER DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION drop_docs();
CREATE TRIGGER aa_docs BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION drop_docs();
INSERT INTO regions VALUES (1), (2); INSERT INTO users VALUES (1, 1), (2, 2), (3, 2); INSERT INTO sessions VALUES (1, 1), (2, 1), (3, 1);
INSERT INTO hits SELECT id, id FROM sessions; INSERT INTO docs SELECT generate_series(1, 5); INSERT INTO pages SELECT id, id FROM docs`); err != nil {
		t.Fatal(err)
	}
	soft.prepare(t, "tables: [{name: public.users}, {name: public.docs}]\n")
	kept := "SELECT relation, string_agg(row ->> 'id', ',' ORDER BY row ->> 'id') FROM tombstone.archive GROUP BY relation::text, relation ORDER BY relation::text"
	for _, c := range []struct{ sql, told, kept string }{
		{"DELETE FROM users WHERE id = 1", "1;", "[hits 1,2,3]\n[pages 1,2,3]\n[sessions 1,2,3]\n3;"},
		{"INSERT INTO docs VALUES (2), (3); INSERT INTO pages VALUES (12, 2), (13, 3); DELETE FROM regions WHERE id = 2", "0 2;0 2;1;", "[docs 2,3]\n[hits 1,2,3]\n[pages 1,12,13,2,3]\n[sessions 1,2,3]\n[users 2,3]\n5;"},
	} {
		if got := soft.do(t, c.sql); got != c.told {
			t.Errorf("%s: %s", c.sql, got)
		}
		if got := soft.do(t, kept); got != c.kept {
			t.Errorf("after %s, kept are\n%s", c.sql, got)
		}
	}
}

// A row that goes to another partition is not lost, also if a trigger of the application takes others there in between. Of a row that has stayed after
// all it says nothing: a real DELETE of it is refused.
func TestMovedInBetween(t *testing.T) {
	hard, soft := twins(t, "moved_in_between", `
CREATE TABLE users (id int, region text, boss int, deleted_at timestamptz, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE users_eu PARTITION OF users FOR VALUES IN ('eu'); CREATE TABLE users_us PARTITION OF users FOR VALUES IN ('us');
CREATE FUNCTION take_along() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE users SET region = NEW.region WHERE boss = OLD.id; RETURN NEW; END $$;
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER zz_along BEFORE UPDATE OF region ON users FOR EACH ROW EXECUTE FUNCTION take_along();
CREATE TRIGGER zz_stay BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.id = 9) EXECUTE FUNCTION stay();
INSERT INTO users VALUES (1, 'eu', NULL), (2, 'eu', 1), (3, 'eu', 2), (4, 'eu', 1), (5, 'eu', NULL), (9, 'us', NULL)`)
	for _, sql := range []string{"UPDATE users SET region = 'us' WHERE id IN (1, 5)", "UPDATE users SET region = 'eu' WHERE id = 2", "UPDATE users SET region = 'eu' WHERE id = 9"} {
		alike(t, hard, soft, sql, "SELECT tableoid::regclass, id, boss FROM users ORDER BY id")
	}
	soft.do(t, "BEGIN; UPDATE users SET region = 'eu' WHERE id = 9")
	if got := soft.raw(t, "DELETE FROM users WHERE id = 9"); !strings.Contains(got, "SQLSTATE 42501") {
		t.Errorf("a real DELETE is told %q", got)
	}
}

// What one statement has done by its cascades says nothing of a deferred key of the next, however the two are sent: in one message, or by one function.
func TestNextStatement(t *testing.T) {
	hard, soft := twins(t, "next_statement", actions)
	for _, sql := range []string{
		"DELETE FROM tree WHERE id = 1; INSERT INTO later VALUES (50, 9); UPDATE later SET user_id = 10 WHERE id = 50; DELETE FROM users WHERE id = 9",
		"INSERT INTO tree VALUES (11, NULL), (12, 11), (13, 12); BEGIN; DELETE FROM users WHERE id = 11; DELETE FROM tree WHERE id = 11; INSERT INTO later VALUES (51, 11); DELETE FROM later WHERE id = 51; COMMIT",
	} {
		alike(t, hard, soft, sql, "SELECT 'users', id, 0 FROM users UNION ALL SELECT 'later', id, user_id FROM later UNION ALL SELECT 'orders', id, user_id FROM orders UNION ALL SELECT 'tree', id, up FROM tree ORDER BY 1, 2")
	}
}

// What the server deletes for good is kept as a part of a deletion only while one takes it along: a trigger of the application that deletes later, in
// the same transaction, means what it says, and undo has nothing of it.
func TestKeptNoLonger(t *testing.T) {
	soft := &twin{Conn: database(t, "kept_no_longer")}
	if _, err := soft.Exec(within(t), `
CREATE TABLE regions (id int PRIMARY KEY);
CREATE TABLE users (id int PRIMARY KEY, region int REFERENCES regions ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE sessions (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE);
CREATE TABLE logouts (user_id int);
CREATE FUNCTION log_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM sessions WHERE user_id = NEW.user_id; RETURN NEW; END $$;
CREATE TRIGGER log_out AFTER INSERT ON logouts FOR EACH ROW EXECUTE FUNCTION log_out();
INSERT INTO regions VALUES (1), (2); INSERT INTO users VALUES (1, 1), (2, 2); INSERT INTO sessions VALUES (1, 1), (2, 2)`); err != nil {
		t.Fatal(err)
	}
	soft.prepare(t, "tables: [{name: public.users}]\n")
	for _, sql := range []string{"BEGIN", "DELETE FROM regions WHERE id = 1", "INSERT INTO logouts VALUES (2)", "COMMIT"} {
		soft.do(t, sql)
	}
	if got := soft.do(t, "SELECT relation, row ->> 'id' FROM tombstone.archive ORDER BY id"); got != "[users 1]\n[sessions 1]\n2;" {
		t.Errorf("kept are\n%s", got)
	}
}
