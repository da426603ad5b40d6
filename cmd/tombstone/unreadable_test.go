package main

import (
	"encoding/json"
	"strings"
	"testing"

	"tombstone/lifecycle"
)

// A row in the archive whose value its column does not take any more is named, with what to do; and that brings it back.
func TestValuesOfBefore(t *testing.T) {
	s := newStage(t, `CREATE TYPE color AS ENUM ('red', 'blue'); CREATE TABLE cars (id int PRIMARY KEY, c color, n bigint)`, "tables: [{name: public.cars}]")
	s.call(0, "prepare", "--apply")
	conn := s.proxy("postgres")
	for _, sql := range []string{
		"INSERT INTO cars VALUES (1, 'red', 5000000000), (2, 'blue', 1), (3, 'red', 2)", "DELETE FROM cars", "INSERT INTO cars VALUES (1, 'blue'), (2, 'blue'), (3, 'blue')",
		"DELETE FROM cars WHERE id < 9",
	} {
		if _, err := conn.Exec(s.ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	id := strings.TrimSpace(s.sql("SELECT id FROM tombstone.deletions ORDER BY at LIMIT 1"))
	s.sql("SET tombstone.delete = purge; DELETE FROM cars; ALTER TYPE color RENAME VALUE 'red' TO 'crimson'")
	for _, args := range [][]string{{"undo", id}, {"restore", "cars", "--key", "1"}, {"undo", "--dry-run", id}} {
		got := s.call(1, args...)
		for _, want := range []string{"public.cars (id)=(1): its c in the archive", `"red"`, "public.cars (id)=(3)", "UPDATE tombstone.archive SET row"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q: there is no %s:\n%s", args, want, got)
			}
		}
		if strings.Contains(got, "(id)=(2)") {
			t.Errorf("%q: blue is a color still:\n%s", args, got)
		}
	}
	var r lifecycle.Restoration
	if err := json.Unmarshal([]byte(s.call(1, "undo", "--json", id)), &r); err != nil || len(r.Collisions) != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	for _, c := range r.Collisions {
		_, sql, _ := strings.Cut(c.Why, "archive: ")
		s.sql(strings.Replace(sql, "'..'", "'crimson'", 1))
	}
	if got := s.call(0, "undo", "--dry-run", id); !strings.Contains(got, "3 public.cars") {
		t.Error(got)
	}
	s.sql("ALTER TABLE cars ALTER n TYPE int")
	s.call(0, "prepare", "--apply")
	if got := s.call(1, "undo", id); !strings.Contains(got, "(id)=(1): its n in the archive") || strings.Contains(got, "(id)=(2)") {
		t.Error(got)
	}
	if got := s.call(1, "restore", "cars", "--where", "n = 'some'"); !strings.Contains(got, "--where: ") || strings.Contains(got, "archive") {
		t.Errorf("a mistake of whoever calls it: %s", got)
	}
}
