package lifecycle

import (
	"strings"
	"testing"
)

// A reference that a deletion has cut is set again only if that leaves no live row that refers to a deleted one: its column may be one of another key, too.
func TestMendOfASharedColumn(t *testing.T) {
	t.Run("at once", func(t *testing.T) { mendShared(t, "mend_shared", "") })
	t.Run("deferred", func(t *testing.T) { mendShared(t, "mend_shared_late", "DEFERRABLE INITIALLY DEFERRED") })
}

func mendShared(t *testing.T, name, when string) {
	_, soft := twins(t, name, `
CREATE TABLE makers (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE parts (id int PRIMARY KEY, ref int, deleted_at timestamptz);
ALTER TABLE parts ADD CONSTRAINT of_maker FOREIGN KEY (ref) REFERENCES makers `+when+`, ADD CONSTRAINT of_part FOREIGN KEY (ref) REFERENCES parts ON DELETE SET NULL;
INSERT INTO makers VALUES (1); INSERT INTO parts VALUES (1, NULL), (2, 1)`)
	for _, sql := range []string{"DELETE FROM parts WHERE id = 1", "DELETE FROM makers"} {
		if got := soft.do(t, sql); got != "1;" {
			t.Fatalf("%s: %s", sql, got)
		}
	}
	list, err := History(within(t), soft.Conn, Filter{})
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	const parts = "SELECT id, ref FROM parts ORDER BY id"
	if r, err := Undo(within(t), soft.Conn, soft.database(t), list[1].ID, false); err == nil || !strings.Contains(err.Error(), "of_maker") {
		t.Errorf("undo of the first alone: %+v, %v", r, err)
	}
	if got := soft.do(t, parts); got != "[2 ]\n1;" {
		t.Errorf("after that, parts are %s", got)
	}
	for _, d := range list {
		if _, err := Undo(within(t), soft.Conn, soft.database(t), d.ID, false); err != nil {
			t.Errorf("undo of %v: %v", d.Tables, err)
		}
	}
	if got := soft.do(t, parts); got != "[1 ]\n[2 1]\n2;" {
		t.Errorf("at last, parts are %s", got)
	}
}
