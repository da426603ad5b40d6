package lifecycle

import (
	"testing"
	"time"
)

// Undo of many rows takes time in proportion to them, also where the planner takes the tables for empty ones.
func TestUndoOfMany(t *testing.T) {
	_, soft := twins(t, "undo_of_many", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE flags (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE SET NULL, deleted_at boolean NOT NULL DEFAULT false);
CREATE TABLE loose (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE);
CREATE INDEX ON orders (user_id); CREATE INDEX ON flags (user_id); CREATE INDEX ON loose (user_id)`)
	for _, sql := range []string{"VACUUM ANALYZE", "INSERT INTO users SELECT generate_series(1, 5000)", "INSERT INTO orders SELECT id, id FROM users", "INSERT INTO flags SELECT id, id FROM users", "INSERT INTO loose SELECT id, id FROM users", "UPDATE users SET deleted_at = now()"} {
		if got := soft.raw(t, sql); got != "" {
			t.Fatal(got)
		}
	}
	list, err := History(within(t), soft.Conn, Filter{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	begun := time.Now()
	r, err := Undo(within(t), soft.Conn, soft.database(t), list[0].ID, false)
	if err != nil || r.Links != 5000 {
		t.Fatalf("%+v, %v", r, err)
	}
	t.Log(time.Since(begun))
	if got := soft.do(t, "SELECT count(*) FROM flags WHERE user_id IS NOT NULL"); got != "[5000]\n1;" {
		t.Error(got)
	}
}
