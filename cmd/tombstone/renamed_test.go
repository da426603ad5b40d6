package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Between a migration that renames and the prepare behind it, writes fail and say what to do; nothing is lost, what was deleted can still be
// listed, the doctor calls it an error, and prepare mends all of it.
func TestRenamed(t *testing.T) {
	for what, rename := range map[string]string{
		"a table":      "ALTER TABLE a RENAME TO z",
		"a key column": "ALTER TABLE a RENAME id TO ident",
		"a reference":  "ALTER TABLE b RENAME a TO up",
	} {
		t.Run(what, func(t *testing.T) {
			s := newStage(t, `CREATE TABLE a (id int PRIMARY KEY, n int, deleted_at timestamptz); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE, deleted_at timestamptz);
INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 1), (2, 2)`, `tables: [{name: "public.*"}]`)
			s.call(0, "prepare", "--apply")
			conn := s.proxy("postgres")
			exec := func(sql string) error {
				_, err := conn.Exec(s.ctx, sql)
				return err
			}
			if err := exec("DELETE FROM a WHERE id = 1"); err != nil {
				t.Fatal(err)
			}
			if err := exec(rename); err != nil {
				t.Fatal(err)
			}
			table, id := "a", "id"
			switch what {
			case "a table":
				table = "z"
			case "a key column":
				id = "ident"
			}
			for _, sql := range []string{"DELETE FROM " + table + " WHERE " + id + " = 2", "INSERT INTO b VALUES (3, 2)"} {
				var e *pgconn.PgError
				if err := exec(sql); err != nil && (!errors.As(err, &e) || !strings.Contains(e.Hint, "tombstone prepare")) {
					t.Errorf("%s: %v, hint %q", sql, err, e.Hint)
				}
			}
			if err := exec("DELETE FROM " + table + " WHERE " + id + " = 2"); err == nil {
				t.Error("it is deleted all the same: this is no trap any more")
			}
			if got := s.call(0, "history"); !strings.Contains(got, "1 public.b") {
				t.Errorf("history: %s", got)
			}
			if got := s.call(1, "doctor"); !strings.Contains(got, "stale-trigger") || !strings.Contains(got, "tombstone prepare") {
				t.Errorf("doctor: %s", got)
			}
			s.call(0, "prepare", "--apply")
			if got := s.call(0, "history"); !strings.Contains(got, "1 public."+table+", 1 public.b") && !strings.Contains(got, "1 public.b, 1 public."+table) {
				t.Errorf("history: %s", got)
			}
			if err := exec("DELETE FROM " + table + " WHERE " + id + " = 2"); err != nil {
				t.Error(err)
			}
			if got := s.call(0, "doctor"); strings.Contains(got, "stale-trigger") {
				t.Errorf("doctor: %s", got)
			}
		})
	}
}
