package main

import (
	"encoding/json"
	"strings"
	"testing"

	"tombstone/lifecycle"
)

// Who logged in is written down beside the role that SET ROLE named, and is asked for as that is. A deletion of before that was so says nothing
// of it.
func TestLoginIsRecorded(t *testing.T) {
	s := newStage(t, `CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 4);
CREATE ROLE support; GRANT SELECT, DELETE ON a TO support; CREATE ROLE bob LOGIN IN ROLE support; CREATE ROLE ann LOGIN IN ROLE support`, "tables: [{name: public.a}]")
	s.call(0, "prepare", "--apply")
	s.sql("ALTER TABLE tombstone.deletions DROP COLUMN login")
	if _, err := s.proxy("bob").Exec(s.ctx, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	s.sql("INSERT INTO tombstone.deletions (id, at, exact, role, tables) VALUES ('5', '2026-01-01', true, 'old', '{}')")
	if got := s.call(0, "history"); !strings.Contains(got, "old") {
		t.Errorf("before prepare has run again: %s", got)
	}
	s.sql("COMMENT ON SCHEMA tombstone IS 'of an earlier version'")
	s.call(0, "prepare", "--apply")
	for _, who := range []struct{ role, sql string }{{"bob", "SET ROLE support"}, {"ann", "RESET ROLE"}} {
		conn := s.proxy(who.role)
		for _, sql := range []string{who.sql, "DELETE FROM a WHERE id = (SELECT min(id) FROM a)"} {
			if _, err := conn.Exec(s.ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	var list []lifecycle.Deletion
	if err := json.Unmarshal([]byte(s.call(0, "history", "--json")), &list); err != nil || len(list) != 3 {
		t.Fatalf("%+v %v", list, err)
	}
	for i, want := range []string{"ann ann", "support bob", "old "} {
		if got := list[i].Role + " " + list[i].Login; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	got := s.call(0, "history")
	if !strings.Contains(got, "  support (bob)  ") || !strings.Contains(got, "  ann  ") || !strings.Contains(got, "  old  ") || strings.Contains(got, "ann (") {
		t.Error(got)
	}
	if got := s.call(0, "history", "--role", "bob"); !strings.Contains(got, "support (bob)") || strings.Contains(got, "ann") {
		t.Errorf("by login: %s", got)
	}
	if got := s.call(0, "show", s.sql("SELECT id FROM tombstone.deletions WHERE role = 'support'")); !strings.Contains(got, "login    bob") {
		t.Error(got)
	}
}
