package lifecycle

import (
	"strings"
	"testing"
)

// A publication of all tables is one of the house's, too, and takes updates and deletes only of a table with a replica identity. Deletions, undo and keys
// that are used again go on all the same.
func TestPublicationOfAllTables(t *testing.T) {
	hard, soft := twins(t, "published", `
CREATE TABLE users (id int PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE flags (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at boolean NOT NULL DEFAULT false);
CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE SET NULL, deleted_at timestamptz);
CREATE PUBLICATION everything FOR ALL TABLES;
INSERT INTO users VALUES (1, 'a'), (2, 'b'); INSERT INTO flags VALUES (1, 1), (2, 2); INSERT INTO notes VALUES (1, 1), (2, 2)`)
	if why := Prepare(soft.database(t))[0].Why; !strings.Contains(why, "Publication everything is of all tables") {
		t.Errorf("prepare says: %s", why)
	}
	for _, sql := range []string{
		"DELETE FROM users WHERE id = 1", "DELETE FROM flags", "INSERT INTO flags VALUES (1, 2)", "INSERT INTO users VALUES (1, 'again')", "DELETE FROM users",
	} {
		alike(t, hard, soft, sql, "SELECT id, user_id FROM flags ORDER BY 1; SELECT id, user_id FROM notes ORDER BY 1")
	}
	if got := soft.raw(t, "UPDATE users SET deleted_at = NULL WHERE name = 'b'"); got != "" {
		t.Error(got)
	}
	if got := soft.do(t, "SELECT user_id FROM notes WHERE id = 2"); got != "[2]\n1;" {
		t.Errorf("the note refers to %s", got)
	}
}
