package lifecycle

import "testing"

// A row without a key is told by all that it has, however long that is.
func TestLongRowsWithoutKey(t *testing.T) {
	hard, soft := twins(t, "long", `
CREATE TABLE lines (at date, body text, deleted_at boolean NOT NULL DEFAULT false);
CREATE TABLE pages (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE notes (body text, page int REFERENCES pages ON DELETE SET NULL, deleted_at timestamptz);
INSERT INTO lines SELECT '2026-01-01', string_agg(md5(g::text), '') FROM generate_series(1, 400) g;
INSERT INTO pages VALUES (1); INSERT INTO notes SELECT string_agg(md5(g::text), ''), 1 FROM generate_series(1, 400) g`)
	alike(t, hard, soft, "DELETE FROM lines", "SELECT count(*) FROM lines")
	alike(t, hard, soft, "DELETE FROM pages", "SELECT page, length(body) FROM notes")
	list, err := History(within(t), soft.Conn, Filter{})
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for _, d := range list {
		if _, err := Undo(within(t), soft.Conn, soft.database(t), d.ID, false); err != nil {
			t.Error(err)
		}
	}
	if got := soft.do(t, "SELECT page FROM notes; SELECT count(*) FROM lines"); got != "[1]\n1;[1]\n1;" {
		t.Error(got)
	}
}
