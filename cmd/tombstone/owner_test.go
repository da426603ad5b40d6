package main

import (
	"regexp"
	"strings"
	"testing"
)

// The owner of the tables, where a superuser has run prepare, is told which rights are missing; with these every command works.
func TestOwnerWithoutRights(t *testing.T) {
	s := newStage(t, `CREATE ROLE own LOGIN; GRANT CREATE ON SCHEMA public TO own; CREATE TABLE a (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE, deleted_at timestamptz); CREATE TABLE c (id int PRIMARY KEY, a int REFERENCES a ON DELETE SET NULL);
ALTER TABLE a OWNER TO own; ALTER TABLE b OWNER TO own; ALTER TABLE c OWNER TO own;
INSERT INTO a SELECT generate_series(1, 5); INSERT INTO b SELECT i, i FROM generate_series(1, 5) i; INSERT INTO c SELECT i, i FROM generate_series(1, 5) i`,
		"tables: [{name: public.a, retention: 1s}, {name: public.b, retention: 1s}]")
	s.call(0, "prepare", "--apply")
	conn := s.proxy("own")
	exec := func(list ...string) {
		t.Helper()
		for _, sql := range list {
			if _, err := conn.Exec(s.ctx, sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	exec("DELETE FROM a WHERE id = 1", "INSERT INTO a VALUES (1)", "DELETE FROM a WHERE id = 2", "DELETE FROM a WHERE id = 3", "DELETE FROM a WHERE id = 4")
	ids := strings.Fields(s.sql("SELECT id FROM tombstone.deletions ORDER BY at"))
	commands := [][]string{
		{"history"}, {"show", ids[1]}, {"undo", ids[1]}, {"restore", "a", "--key", "3"}, {"purge"}, {"erase", "a", "--key", "4", "--cascade"}, {"prepare", "--check"}, {"show", ids[0]},
	}
	grant := ""
	for _, args := range commands {
		got := s.call(1, append(args, "--dsn", s.direct("own"))...)
		found := regexp.MustCompile(`GRANT .*;`).FindString(got)
		if found == "" || strings.Count(got, "read the catalog: ") > 1 {
			t.Errorf("%q: %s", args, got)
			continue
		}
		grant = found
	}
	s.sql(grant)
	s.sql("UPDATE tombstone.deletions SET at = at") // it is what superusers may
	for _, args := range commands[:4] {
		s.call(0, append(args, "--dsn", s.direct("own"))...)
	}
	for _, args := range commands[5:7] {
		s.call(0, append(args, "--dsn", s.direct("own"))...)
	}
	s.sql("UPDATE a SET deleted_at = deleted_at - interval '1 day' WHERE deleted_at IS NOT NULL; UPDATE b SET deleted_at = deleted_at - interval '1 day' WHERE deleted_at IS NOT NULL")
	s.call(0, "purge", "--dsn", s.direct("own"))
}
