package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"tombstone/lifecycle"
)

// Who purges a row by tombstone.delete sees no tombstones, and loses none: those that refer to the row go to the archive, whatever ON DELETE says,
// and are of their deletion still. Live rows go as the server has it. Who sees all loses what the server's own keys take.
func TestPurgeLosesNothingUnseen(t *testing.T) {
	const schema = `CREATE ROLE dba LOGIN SUPERUSER; CREATE ROLE helper LOGIN IN ROLE pg_read_all_data, pg_write_all_data;
CREATE TABLE p (id int PRIMARY KEY, r int);
CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, keep boolean NOT NULL DEFAULT true);
CREATE TABLE g (id int PRIMARY KEY, c int REFERENCES c ON DELETE CASCADE);
CREATE TABLE n (id int PRIMARY KEY, p int REFERENCES p ON DELETE SET NULL);
CREATE TABLE s (id int PRIMARY KEY, p int REFERENCES p);
CREATE TABLE parts (id int, r int, p int REFERENCES p ON DELETE CASCADE, PRIMARY KEY (id, r)) PARTITION BY RANGE (r);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10); CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO p SELECT i FROM generate_series(1, 6) i;
INSERT INTO c SELECT i, 2 FROM generate_series(1, 3) i; INSERT INTO g VALUES (1, 1), (2, 2), (3, 3); INSERT INTO n VALUES (1, 2), (2, 2); INSERT INTO s VALUES (1, 2);
INSERT INTO parts VALUES (1, 1, 2), (2, 11, 2);`
	s := newStage(t, schema, "roles: {see: [dba, helper], purge: [dba, helper]}\ntables: [{name: public.p}, {name: public.c, hold: keep}, {name: public.g}, {name: public.n}, {name: public.s}, {name: public.parts}]")
	s.call(0, "prepare", "--apply")
	conn := s.proxy("helper")
	exec := func(sql, want string) {
		t.Helper()
		tag, err := conn.Exec(s.ctx, sql)
		if got := tag.String(); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", sql, got, err, want)
		}
	}
	exec("DELETE FROM c WHERE id < 3", "DELETE 2")
	exec("DELETE FROM n WHERE id = 1", "DELETE 1")
	exec("DELETE FROM s", "DELETE 1")
	exec("DELETE FROM parts WHERE id = 2", "DELETE 1")
	exec("UPDATE parts SET r = 12 WHERE id = 1", "UPDATE 1")
	var before, after []lifecycle.Deletion
	read := func(into *[]lifecycle.Deletion) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.call(0, "history", "--json")), into); err != nil {
			t.Fatal(err)
		}
	}
	read(&before)
	exec("SET tombstone.delete = purge", "SET")
	exec("UPDATE parts SET r = 1 WHERE id = 1", "UPDATE 1") // to another partition, and no row is lost
	exec("DELETE FROM p WHERE id = 2", "DELETE 1")
	read(&after)
	if len(before) != 4 || len(after) != 4 {
		t.Fatalf("%d deletions, then %d", len(before), len(after))
	}
	for i := range before {
		if got, want := counted(after[i].Tables), counted(before[i].Tables); got != want {
			t.Errorf("deletion %d: %s are left of %s", before[i].ID, got, want)
		}
	}
	state := "SELECT (SELECT count(*) FROM p WHERE id = 2), (SELECT string_agg(id::text, ' ') FROM c), (SELECT string_agg(id::text, ' ') FROM g), (SELECT string_agg(id || '-' || (p IS NULL), ' ') FROM n), (SELECT count(*) FROM s), (SELECT count(*) FROM parts), (SELECT string_agg(relation || ' ' || (row ->> 'id') || ' ' || coalesce(row ->> 'p', row ->> 'c'), ', ' ORDER BY relation::text, row ->> 'id') FROM tombstone.archive)"
	if got, want := strings.TrimSpace(s.sql(state)), "0|||2-true|0|0|c 1 2, c 2 2, g 1 1, g 2 2, n 1 2, parts 2 2, s 1 2"; got != want {
		t.Errorf("behind the proxy: %s\nwant %s", got, want)
	}
	if got := s.call(0, "purge"); strings.Contains(got, "archived") {
		t.Errorf("a purge: %s", got)
	}
	if got := s.call(1, "undo", "--dry-run", id(before[3])); !strings.Contains(got, "refers to (id)=(2) of public.p, which is gone") {
		t.Error(got)
	}
	exec("INSERT INTO p VALUES (2)", "INSERT 0 1")
	if got := s.call(0, "undo", id(before[3])); !strings.Contains(got, "2 public.c, 2 public.g") {
		t.Error(got)
	}

	// Who sees all is told by the server's own keys, or loses what they take; past the proxy nothing is lost either.
	exec("RESET tombstone.delete", "RESET")
	exec("DELETE FROM c WHERE id = 1", "DELETE 1")
	exec("INSERT INTO s VALUES (5, 5)", "INSERT 0 1")
	exec("DELETE FROM s WHERE id = 5", "DELETE 1")
	exec("SET tombstone.delete = purge", "SET")
	exec("SET tombstone.visibility = 'all'", "SET")
	if _, err := conn.Exec(s.ctx, "DELETE FROM p WHERE id = 5"); err == nil || !strings.Contains(err.Error(), "23503") {
		t.Errorf("it sees what refers to the row: %v", err)
	}
	exec("DELETE FROM p WHERE id = 2", "DELETE 1")
	if got := strings.TrimSpace(s.sql("SELECT count(*) FROM tombstone.archive WHERE relation = 'c'::regclass")); got != "0" {
		t.Errorf("%s rows are in the archive that the session saw go", got)
	}
	s.sql("SET tombstone.delete = purge; DELETE FROM p WHERE id = 5")
	if got := strings.TrimSpace(s.sql("SELECT count(*) FROM tombstone.archive WHERE relation = 's'::regclass AND row ->> 'id' = '5'")); got != "1" {
		t.Errorf("a row of s past the proxy: %s", got)
	}
}

// Commands that take a row with all that refers to it take the tombstones, too. A table that refers to itself can be emptied, from either side.
func TestEraseTakesWhatRefers(t *testing.T) {
	s := newStage(t, `CREATE TABLE self (id int PRIMARY KEY, up int REFERENCES self ON DELETE CASCADE, deleted_at timestamptz); INSERT INTO self VALUES (1, NULL), (2, 1), (3, 2);
CREATE TABLE p (id int PRIMARY KEY, deleted_at timestamptz); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE, deleted_at timestamptz);
INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1, 1), (2, 2)`, "roles: {purge: [postgres]}\ntables: [{name: public.p}, {name: public.c}, {name: public.self}]")
	s.call(0, "prepare", "--apply")
	conn := s.proxy("postgres")
	for _, sql := range []string{"DELETE FROM c", "DELETE FROM self WHERE id = 3", "SET tombstone.delete = purge", "DELETE FROM self"} {
		if _, err := conn.Exec(s.ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if got := strings.TrimSpace(s.sql("SELECT (SELECT count(*) FROM self), string_agg(row ->> 'id', ' ') FROM tombstone.archive")); got != "0|3" {
		t.Errorf("self, and the archive: %s", got)
	}
	s.sql(`DELETE FROM tombstone.archive; INSERT INTO self VALUES (1, NULL), (2, 1), (3, 2); UPDATE self SET deleted_at = now() WHERE id = 3;
SET tombstone.delete = purge; SET tombstone.visibility = 'all'; DELETE FROM self`)
	s.call(0, "erase", "p", "--key", "1", "--live", "--cascade")
	if got := strings.TrimSpace(s.sql("SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM c), (SELECT count(*) FROM tombstone.archive)")); got != "1|1|0" {
		t.Errorf("left, and in the archive: %s", got)
	}
}

func id(d lifecycle.Deletion) string { return strconv.FormatUint(d.ID, 10) }
