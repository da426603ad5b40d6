package lifecycle

import (
	"strings"
	"testing"
)

// Only where neither a key nor the marker tells is a row like another.
func TestAlike(t *testing.T) {
	_, soft := twins(t, "alike", `
CREATE TABLE flags (v text, deleted_at boolean NOT NULL DEFAULT false);
CREATE TABLE maybe (v text UNIQUE, deleted_at date);
CREATE TABLE seconds (v text NOT NULL, deleted_at bigint NOT NULL DEFAULT 0); CREATE UNIQUE INDEX ON seconds (v) WHERE deleted_at = 0;
CREATE TABLE times (v text, deleted_at timestamptz);
CREATE TABLE keyed (id int PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false);
`)
	var got []string
	for _, table := range soft.database(t).Alike() {
		got = append(got, table.Relation)
	}
	if len(got) != 3 || got[0] != "flags" || got[1] != "maybe" || got[2] != "seconds" {
		t.Error(got)
	}
}

// Of equal rows that several deletions took, an undo brings back as many as its deletion took, and leaves the others to theirs.
func TestUndoOfEqualRows(t *testing.T) {
	_, soft := twins(t, "equal_rows", "CREATE TABLE flags (v text, deleted_at boolean NOT NULL DEFAULT false)")
	soft.do(t, "INSERT INTO flags VALUES ('a'), ('a'), ('b')")
	for _, sql := range []string{"DELETE FROM flags", "INSERT INTO flags VALUES ('a')", "DELETE FROM flags WHERE v = 'a'"} {
		if got := soft.do(t, sql); !strings.HasSuffix(got, ";") {
			t.Fatalf("%s: %s", sql, got)
		}
	}
	list, err := History(within(t), soft.Conn, Filter{})
	if err != nil || len(list) != 2 || list[0].Tables[0].Count != 1 || list[1].Tables[0].Count != 3 {
		t.Fatal(list, err)
	}
	for i, want := range []string{"[a]\n1;", "[a]\n[a]\n[a]\n[b]\n4;"} {
		if shown, err := Show(within(t), soft.Conn, soft.database(t), list[i].ID, 0); err != nil || len(shown.Rows) != int(list[i].Tables[0].Count) {
			t.Errorf("show: %+v, %v", shown, err)
		}
		if _, err := Undo(within(t), soft.Conn, soft.database(t), list[i].ID, false); err != nil {
			t.Fatal(err)
		}
		if got := soft.do(t, "SELECT v FROM flags ORDER BY v"); got != want {
			t.Errorf("after undo of %d rows there are %s, want %s", list[i].Tables[0].Count, got, want)
		}
	}
	noted := func() string { return soft.do(t, "SELECT FROM tombstone.keyed") }
	if got := noted(); got != "0;" {
		t.Errorf("what was noted is still there: %s", got)
	}
	for _, sql := range []string{"DELETE FROM flags WHERE v = 'a'", "INSERT INTO flags VALUES ('a')", "DELETE FROM flags WHERE v = 'a'"} {
		soft.do(t, sql)
	}
	flags, err := soft.database(t).Find("flags")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(within(t), soft.Conn, soft.database(t), flags, "true", false); err != nil {
		t.Fatal(err)
	}
	if got := noted(); got != "0;" {
		t.Errorf("what was noted is still there after all are restored: %s", got)
	}
}
