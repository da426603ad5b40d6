package main

import (
	"strings"
	"testing"
)

// A login that is not to write does not; what only looks goes on.
func TestReadOnlyLogin(t *testing.T) {
	s := newStage(t, `CREATE ROLE reports SUPERUSER LOGIN; ALTER ROLE reports SET default_transaction_read_only = on;
CREATE TABLE a (id int PRIMARY KEY, deleted_at timestamptz); INSERT INTO a SELECT generate_series(1, 3)`, "tables: [{name: public.a, retention: 1s}]")
	s.call(0, "prepare", "--apply")
	if _, err := s.proxy("postgres").Exec(s.ctx, "DELETE FROM a"); err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(s.sql("SELECT id FROM tombstone.deletions"))
	as := func(dsn string, args ...string) []string { return append(args, "--dsn", dsn) }
	reports := s.direct("reports")
	for _, args := range [][]string{{"undo", id}, {"restore", "a", "--key", "1"}, {"purge"}, {"erase", "a", "--key", "1"}} {
		if got := s.call(1, as(reports, args...)...); !strings.Contains(got, "default_transaction_read_only") {
			t.Errorf("%q: %s", args, got)
		}
	}
	for _, args := range [][]string{{"history"}, {"show", id}, {"undo", "--dry-run", id}, {"purge", "--dry-run"}, {"erase", "a", "--key", "1", "--dry-run"}, {"doctor"}, {"prepare", "--check"}} {
		s.call(0, as(reports, args...)...)
	}
	if got := s.sql("SELECT count(*) FROM a WHERE deleted_at IS NOT NULL"); strings.TrimSpace(got) != "3" {
		t.Errorf("%s deleted rows are left", got)
	}
	s.call(0, as(reports+"?options=-c%20default_transaction_read_only%3Doff", "undo", id)...)
}
