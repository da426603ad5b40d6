package lifecycle

import "testing"

// A column that triggers name goes with CASCADE, and a table at once; prepare forgets both.
func TestDropped(t *testing.T) {
	_, soft := twins(t, "dropped", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE codes (code text PRIMARY KEY, deleted_at timestamptz);
INSERT INTO users VALUES (1), (2); INSERT INTO orders VALUES (1, 1), (2, 2); INSERT INTO codes VALUES ('a')`)
	for _, sql := range []string{"DELETE FROM codes", "INSERT INTO codes VALUES ('a')", "DELETE FROM users WHERE id = 1", "DROP TABLE codes", "ALTER TABLE orders DROP COLUMN user_id CASCADE"} {
		if got := soft.do(t, sql); len(got) > 12 {
			t.Errorf("%s: %s", sql, got)
		}
	}
	if missing := Prepare(soft.database(t)).Missing(); len(missing) == 0 {
		t.Error("nothing is missing")
	} else {
		for _, step := range missing {
			for _, sql := range step.SQL {
				if _, err := soft.Exec(within(t), sql); err != nil {
					t.Errorf("%v:\n%s", err, sql)
				}
			}
		}
	}
	if missing := Prepare(soft.database(t)).Missing(); len(missing) > 0 {
		t.Errorf("missing: %+v", missing)
	}
	if got := soft.do(t, "SELECT relation::text FROM tombstone.tables ORDER BY 1"); got != "[orders]\n[users]\n2;" {
		t.Error(got)
	}
	if got := soft.do(t, "DELETE FROM users"); got != "1;" {
		t.Error(got)
	}
	list, err := History(within(t), soft.Conn, Filter{})
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, d := range list {
		if _, err := Undo(within(t), soft.Conn, soft.database(t), d.ID, false); err != nil {
			t.Error(err)
		}
	}
}
