package lifecycle

import (
	"fmt"
	"strings"
	"testing"
)

// Undoing a deletion gives back the state before it, whatever foreign keys did, and nothing of other deletions.
func TestUndo(t *testing.T) {
	for name, schema := range map[string]string{"undo_actions": actions, "undo_natural": natural} {
		t.Run(name, func(t *testing.T) {
			_, soft := twins(t, name, schema)
			tables := soft.do(t, "SELECT relation::text FROM tombstone.tables UNION SELECT 'loose' WHERE to_regclass('loose') IS NOT NULL ORDER BY 1")
			state := func() string {
				var b strings.Builder
				for line := range strings.Lines(tables) {
					if table, ok := strings.CutPrefix(strings.TrimSpace(line), "["); ok {
						table = strings.TrimSuffix(table, "]")
						b.WriteString(table + "\n" + soft.do(t, "SELECT x FROM "+table+" x ORDER BY x::text"))
					}
				}
				return b.String()
			}
			deletions := []string{
				"DELETE FROM users WHERE id = 2", "DELETE FROM items WHERE id = 3", "DELETE FROM users WHERE id IN (3, 8)", "DELETE FROM tree WHERE id = 1",
				"BEGIN; DELETE FROM orders WHERE id = 8; DELETE FROM users WHERE id = 4; COMMIT", "DELETE FROM notes",
			}
			if name == "undo_natural" {
				deletions = []string{"DELETE FROM cities WHERE name = 'Bonn'", "DELETE FROM countries WHERE code = 'de'", "DELETE FROM a", "DELETE FROM rooms"}
			}
			states := []string{state()}
			for _, sql := range deletions {
				if got := soft.do(t, sql); !strings.Contains(got, ";") || strings.Contains(got, "|") {
					t.Fatalf("%s: %s", sql, got)
				}
				states = append(states, state())
			}
			if name == "undo_natural" { // the key is used again, and free once more
				soft.do(t, "INSERT INTO countries VALUES ('de', 'Deutschland'); INSERT INTO a VALUES (1, NULL)")
				if got := soft.raw(t, "SET tombstone.delete = purge; DELETE FROM countries WHERE name = 'Deutschland'; DELETE FROM a WHERE deleted_at IS NULL; RESET tombstone.delete"); got != "" {
					t.Fatal(got)
				}
			}
			list, err := History(within(t), soft.Conn, Filter{})
			if err != nil || len(list) != len(deletions) {
				t.Fatalf("%d deletions: %+v, %v", len(list), list, err)
			}
			for i, d := range list {
				if got := state(); got != states[len(list)-i] {
					t.Fatalf("before %q is undone:\n got %s\nwant %s", deletions[len(list)-1-i], got, states[len(list)-i])
				}
				for _, dry := range []bool{true, false} {
					if r, err := Undo(within(t), soft.Conn, soft.database(t), d.ID, dry); err != nil || len(r.Restored) == 0 {
						t.Fatalf("undo %q: %+v %v", deletions[len(list)-1-i], r, err)
					}
				}
			}
			if got := state(); got != states[0] {
				t.Errorf("at the end:\n got %s\nwant %s", got, states[0])
			}
			for _, table := range []string{"archive", "keyed", "severed", "undoing"} {
				if got := soft.do(t, "SELECT count(*) FROM tombstone."+table); got != "[0]\n1;" {
					t.Errorf("tombstone.%s is left with %s", table, got)
				}
			}
		})
	}
}

// raw runs a statement past the proxy's rewriting and returns the error.
func (x *twin) raw(t testing.TB, sql string) string {
	t.Helper()
	if _, err := x.PgConn().Exec(within(t), sql).ReadAll(); err != nil {
		return err.Error()
	}
	return ""
}

// The traps that soft deletes are known for.
func TestTraps(t *testing.T) {
	_, soft := twins(t, "traps", actions)
	for _, c := range []struct{ about, sql, want string }{ // ! is past the proxy
		{"restoring a row does not restore what was deleted before it", "DELETE FROM orders WHERE id = 1", "1;"},
		{"", "DELETE FROM users WHERE id = 2", "1;"},
		{"", "!UPDATE users SET deleted_at = NULL WHERE id = 2", ""},
		{"", "!SELECT count(*) FROM orders WHERE user_id = 2 AND deleted_at IS NULL", "4"},
		{"", "!SELECT count(*) FROM orders WHERE id = 1 AND deleted_at IS NOT NULL", "1"},
		{"a child of a deleted parent cannot be restored alone", "DELETE FROM users WHERE id = 2", "1;"},
		{"", "!UPDATE orders SET deleted_at = NULL WHERE id = 5", "23503"},
		{"a second delete does not stamp again", "!CREATE TEMP TABLE stamp AS SELECT deleted_at FROM users WHERE id = 2", ""},
		{"", "DELETE FROM users WHERE id = 2", "0;"},
		{"", "!SELECT count(*) FROM users u JOIN stamp s ON u.id = 2 AND u.deleted_at = s.deleted_at", "1"},
		{"a real DELETE is refused", "!DELETE FROM users", "42501"},
		{"and TRUNCATE", "!TRUNCATE users CASCADE", "42501"},
	} {
		sql, raw := strings.CutPrefix(c.sql, "!")
		var got string
		if raw {
			rows, err := soft.PgConn().Exec(within(t), sql).ReadAll()
			switch {
			case err != nil:
				got = err.Error()
			case len(rows) > 0 && len(rows[0].Rows) > 0:
				got = string(rows[0].Rows[0][0])
			}
		} else {
			got = soft.do(t, sql)
		}
		if got != c.want && (len(c.want) != 5 || !strings.Contains(got, "SQLSTATE "+c.want)) {
			t.Errorf("%s: %s: %s, want %s", c.about, c.sql, got, c.want)
		}
	}
}

// What goes with a row of an unprotected table that goes with a deletion is kept, too, and comes back either way. A key whose marker does not tell its
// deletion is used again, and each deletion has its own row.
func TestFarAway(t *testing.T) {
	_, soft := twins(t, "far", `
CREATE TABLE a (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE);
CREATE TABLE c (id int PRIMARY KEY, b int REFERENCES b ON DELETE CASCADE);
CREATE TABLE e (id int PRIMARY KEY, b int REFERENCES b ON DELETE SET NULL);
CREATE TABLE f (id int PRIMARY KEY, c int REFERENCES c ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE flags (id int PRIMARY KEY, n int, deleted_at date);
INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1, 1), (11, 1), (2, 2); INSERT INTO e VALUES (1, 1), (2, 2); INSERT INTO f VALUES (1, 1), (2, 2);
INSERT INTO flags VALUES (1, 1);
CREATE TABLE moments (at timestamptz, day date, bytes bytea, deleted_at date, PRIMARY KEY (at, day, bytes)); INSERT INTO moments VALUES ('2026-01-02 03:04:05.678+00', '2026-02-03', '\xDEADbeef');
CREATE TABLE twice (id int PRIMARY KEY, n int, deleted_at timestamptz); INSERT INTO twice VALUES (1, 1);
CREATE TABLE nokey (k int NOT NULL UNIQUE, a int REFERENCES a ON DELETE SET NULL, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO nokey VALUES (1, 2)`)
	state := func() string {
		return soft.do(t, `SELECT (SELECT array_agg(a ORDER BY id) FROM a), (SELECT array_agg(b ORDER BY id) FROM b), (SELECT array_agg(c ORDER BY id) FROM c), (SELECT array_agg(e ORDER BY id) FROM e), (SELECT array_agg(f ORDER BY id) FROM f)`)
	}
	before := state()
	undo := func(n int) string {
		t.Helper()
		list, err := History(within(t), soft.Conn, Filter{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Undo(within(t), soft.Conn, soft.database(t), list[n].ID, false)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(r.Restored, r.Links)
	}
	soft.do(t, "DELETE FROM a WHERE id = 1")
	if got := soft.do(t, "SELECT (SELECT count(*) FROM b), (SELECT count(*) FROM c), (SELECT count(*) FROM e WHERE b IS NULL), (SELECT count(*) FROM f)"); got != "[1 1 1 1]\n1;" {
		t.Errorf("after the deletion: %s", got)
	}
	if got := undo(0); got != "[{public.a 1} {public.b 1} {public.c 2} {public.f 1}] 1" || state() != before {
		t.Errorf("undone: %s\n got %s\nwant %s", got, state(), before)
	}
	soft.do(t, "DELETE FROM a WHERE id = 1")
	if got := soft.raw(t, "UPDATE a SET deleted_at = NULL WHERE id = 1"); got != "" {
		t.Error(got)
	}
	if got := soft.do(t, "SELECT (SELECT count(*) FROM b), (SELECT count(*) FROM c), (SELECT count(*) FROM f)"); got != "[2 3 2]\n1;" {
		t.Errorf("restored in SQL: %s", got)
	}
	soft.do(t, "DELETE FROM flags")
	soft.do(t, "INSERT INTO flags VALUES (1, 2)")
	soft.do(t, "DELETE FROM flags")
	if got := undo(1); got != "[{public.flags 1}] 0" {
		t.Errorf("the first of two: %s", got)
	}
	if got := soft.do(t, "SELECT n FROM flags"); got != "[1]\n1;" {
		t.Error(got)
	}
	// What tells a row does not depend on how the session writes dates.
	soft.raw(t, "SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'; SET bytea_output = 'escape'")
	soft.do(t, "DELETE FROM moments")
	soft.raw(t, "RESET datestyle; RESET timezone; RESET bytea_output")
	if got := undo(0); got != "[{public.moments 1}] 0" {
		t.Error(got)
	}
	// A row that is deleted twice in one transaction comes back as it was before it.
	soft.do(t, "DELETE FROM twice; INSERT INTO twice VALUES (1, 2); DELETE FROM twice")
	if got := undo(0); got != "[{public.twice 1}] 0" || soft.do(t, "SELECT n FROM twice") != "[1]\n1;" {
		t.Error(got, soft.do(t, "SELECT n FROM twice"))
	}
	// A unique key that is of live rows only tells a live row, not a tombstone.
	soft.do(t, "DELETE FROM a WHERE id = 2")
	if got := undo(0); got != "[{public.a 1} {public.b 1} {public.c 1} {public.f 1}] 2" || soft.do(t, "SELECT a FROM nokey") != "[2]\n1;" {
		t.Error(got, soft.do(t, "SELECT a FROM nokey"))
	}
	soft.do(t, "DELETE FROM nokey")
	soft.do(t, "INSERT INTO nokey VALUES (1, NULL)")
	soft.do(t, "DELETE FROM nokey")
	if got := undo(0); got != "[{public.nokey 1}] 0" || soft.do(t, "SELECT a FROM nokey") != "[]\n1;" {
		t.Error(got, soft.do(t, "SELECT a FROM nokey"))
	}
}
