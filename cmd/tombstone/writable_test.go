package main

import (
	"os"
	"path/filepath"
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

// On a standby, what looks goes on, and what writes, if only to see whether it could, says where to go.
func TestStandby(t *testing.T) {
	s := newStage(t, "CREATE TABLE a (id int PRIMARY KEY, deleted_at timestamptz); INSERT INTO a SELECT generate_series(1, 3)", "tables: [{name: public.a, retention: 1s}]")
	s.call(0, "prepare", "--apply")
	s.sql("UPDATE a SET deleted_at = now()")
	id := strings.TrimSpace(s.sql("SELECT id FROM tombstone.deletions"))
	if err := os.WriteFile(filepath.Join(s.server.DataDir, "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Restart(s.ctx); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"undo", id}, {"undo", "--dry-run", id}, {"restore", "a", "--key", "1"}, {"purge"}, {"purge", "--dry-run"}, {"erase", "a", "--key", "1"}, {"erase", "a", "--key", "1", "--dry-run"},
		{"prepare", "--apply"}, {"prepare", "--remove"},
	} {
		if got := s.call(1, args...); !strings.Contains(got, "this server is a standby") {
			t.Errorf("%q: %s", args, got)
		}
	}
	for _, args := range [][]string{{"history"}, {"show", id}, {"doctor"}, {"prepare", "--check"}, {"prepare"}} {
		s.call(0, args...)
	}
}
