package lifecycle

import (
	"strings"
	"testing"
)

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

// What was noted of a deleted row goes when the row goes to the archive with its parent: another row may have its key by and by, and is then of
// one deletion, not of two.
func TestNoteOfDeparted(t *testing.T) {
	soft := &twin{Conn: database(t, "note_of_departed")}
	if _, err := soft.Exec(within(t), `
CREATE TABLE owners (id int PRIMARY KEY); -- not protected
CREATE TABLE flags (id int PRIMARY KEY, owner_id int REFERENCES owners ON DELETE CASCADE, gone boolean NOT NULL DEFAULT false);
INSERT INTO owners VALUES (1), (2); INSERT INTO flags VALUES (7, 1)`); err != nil {
		t.Fatal(err)
	}
	soft.prepare(t, "tables: [{name: public.flags, marker: gone}]\n")
	for _, sql := range []string{"DELETE FROM flags", "DELETE FROM owners WHERE id = 1", "INSERT INTO flags VALUES (7, 2)", "DELETE FROM flags"} {
		if got := soft.do(t, sql); strings.Contains(got, "ERROR") {
			t.Fatalf("%s: %s", sql, got)
		}
	}
	if got := soft.do(t, "SELECT count(*) FROM tombstone.keyed"); got != "[1]\n1;" {
		t.Errorf("notes of the key: %s", got)
	}
	if got := soft.do(t, "SELECT count(DISTINCT deletion) FROM tombstone.archive"); got != "[1]\n1;" {
		t.Errorf("deletions of the archive: %s", got)
	}
}
