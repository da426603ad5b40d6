package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What is restored is what one deletion took; what is in the way is told, all of it, and then nothing happens.
func TestRestore(t *testing.T) {
	_, soft := twins(t, "restored", actions+natural+`ALTER TABLE tree ADD code int UNIQUE; UPDATE tree SET code = id;
CREATE TABLE ren (id int PRIMARY KEY, old text, deleted_at timestamptz); INSERT INTO ren VALUES (1, 'x');
CREATE TABLE logged (t text); CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO logged VALUES (TG_OP); RETURN coalesce(new, old); END $$;
CREATE TRIGGER aud BEFORE INSERT OR UPDATE OR DELETE ON ren FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TABLE shifts (id int PRIMARY KEY, during int4range, deleted_at timestamptz, EXCLUDE USING gist (during WITH &&)); INSERT INTO shifts VALUES (1, '[1,5)');
CREATE TABLE docs (code text PRIMARY KEY, doc jsonb, deleted_at timestamptz); INSERT INTO docs VALUES ('de', '{"a": 1}');
CREATE TABLE days (day date PRIMARY KEY, note text, deleted_at timestamptz); INSERT INTO days VALUES ('2026-01-02', 'x');`)
	soft.raw(t, "UPDATE notes SET user_id = 9 WHERE id = 1")
	one := func(sql string) string { return strings.TrimSuffix(soft.do(t, sql), "1;") }
	restore := func(table, where string, dry bool) string {
		t.Helper()
		d := soft.database(t)
		found, err := d.Find(table)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Restore(within(t), soft.Conn, d, found, where, dry)
		var c *CollisionError
		if errors.As(err, &c) {
			return fmt.Sprint(c.Collisions)
		}
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(r.Restored, r.Links, r.Collisions, r.Changed)
	}
	for _, c := range []struct{ do, table, where, want, check, state string }{
		{"DELETE FROM items WHERE id = 20; DELETE FROM orders WHERE id = 1", "orders", "id = 1", "[{public.items 2} {public.orders 1}] 0 [] []", "SELECT count(*) FROM items WHERE order_id = 1", "[2]\n"},
		{"DELETE FROM items WHERE order_id = 3", "orders", "id = 3", "[] 0 [] []", "", ""},
		// Links that were cut are set again, but for those that are no longer as the deletion left them.
		{"DELETE FROM users WHERE id = 3", "users", "id = 3", "[{public.items 15} {public.orders 5} {public.users 1}] 2 [] []", "SELECT user_id FROM notes WHERE id = 2", "[3]\n"},
		{"DELETE FROM users WHERE id = 3; UPDATE notes SET user_id = 1 WHERE id = 2", "users", "id = 3", "public.notes (id)=(2): its reference notes_user_id_fkey is not set again: the row has changed or is gone", "SELECT user_id FROM notes WHERE id = 2", "[1]\n"},
		{"DELETE FROM tree WHERE id = 1; INSERT INTO tree (id, up, code) VALUES (20, NULL, 2), (21, NULL, 3)", "tree", "id = 1",
			"[public.tree (id)=(2): (code) is taken by the row (id)=(20) public.tree (id)=(3): (code) is taken by the row (id)=(21)]", "SELECT count(*) FROM tree WHERE id < 5", "[0]\n"},
		{"", "tree", "id = 2", "[public.tree (id)=(2): (code) is taken by the row (id)=(20) public.tree (id)=(3): (code) is taken by the row (id)=(21) public.tree (id)=(2): refers to (id)=(1) of public.tree, which is deleted (deletion", "", ""},
		{"", "tree", "id = 1 AND nothing", "column \"nothing\" does not exist", "", ""},
		// A key that is used again and again: the last one comes back, also out of the archive, and makes room for nobody that is live.
		{"DELETE FROM countries WHERE code = 'de'", "countries", "code = 'de'", "[{public.cities 2} {public.countries 1}] 0 [] []", "SELECT count(*) FROM cities", "[3]\n"},
		{"DELETE FROM countries WHERE code = 'de'; INSERT INTO countries VALUES ('de', 'Neuland')", "countries", "name = 'Germany'", "[public.countries (code)=(de): (code) is taken by the row (code)=(de)]", "", ""},
		{"DELETE FROM countries WHERE code = 'de'", "countries", "code = 'de' AND name = 'Germany'", "[{public.cities 2} {public.countries 1}] 0 [] []", "SELECT name FROM countries WHERE code = 'de'", "[Germany]\n"},
		{"", "countries", "name = 'Neuland'", "[public.countries (code)=(de): (code) is taken by the row (code)=(de)]", "", ""},
		{"DELETE FROM countries WHERE code = 'de'", "countries", "true", "[{public.cities 2} {public.countries 1}] 0 [] []", "SELECT name FROM countries WHERE code = 'de'", "[Germany]\n"},
		// A reference that was changed and cut again is the later deletion's, and a row that has only the key of the one that was cut is another.
		{"DELETE FROM users WHERE id = 9; UPDATE notes SET user_id = 10 WHERE id = 1; DELETE FROM users WHERE id = 10", "users", "id = 9", "[{public.users 1}] 0 [] []", "SELECT user_id FROM notes WHERE id = 1", "[]\n"},
		{"", "users", "id = 10", "[{public.users 1}] 1 [] []", "SELECT user_id FROM notes WHERE id = 1", "[10]\n"},
		{"DELETE FROM users WHERE id = 10; DELETE FROM notes WHERE id = 1; INSERT INTO notes VALUES (1, NULL)", "users", "id = 10", "[{public.users 1}] 0 [] []", "SELECT user_id FROM notes WHERE id = 1", "[]\n"},
		{"DELETE FROM shifts; INSERT INTO shifts VALUES (2, '[2,3)')", "shifts", "id = 1", "[public.shifts shifts_during_excl: conflicting key value violates exclusion constraint", "", ""},
		{"DELETE FROM ren; INSERT INTO ren VALUES (1, 'y'); DELETE FROM ren", "ren", "old = 'x'", "[{public.ren 1}] 0 [] []", "SELECT old FROM ren", "[x]\n"},
		{"DELETE FROM ren; INSERT INTO ren VALUES (1, 'z'); DELETE FROM ren; ALTER TABLE ren RENAME old TO fresh", "ren", "fresh IS NULL", "[public.ren (id)=(1): it has a value of column old, which the table does not have any more", "SELECT count(*) FROM tombstone.archive WHERE relation = 'ren'::regclass", "[2]\n"},
		{"DELETE FROM docs; INSERT INTO docs VALUES ('de', NULL); DELETE FROM docs", "docs", "doc ->> 'a' = '1'", "[{public.docs 1}] 0 [] []", "SELECT doc ->> 'a' FROM docs", "[1]\n"},
		{"DELETE FROM days", "days", "day = '2026-01-02'", "[{public.days 1}] 0 [] []", "SELECT note FROM days", "[x]\n"},
		{"DELETE FROM days; INSERT INTO days VALUES ('2026-01-02', 'y'); DELETE FROM days", "days", "note = 'x'", "[{public.days 1}] 0 [] []", "SELECT note FROM days", "[x]\n"},
	} {
		if c.do != "" {
			for _, sql := range strings.Split(c.do, "; ") { // each a deletion of its own
				if got := soft.do(t, sql); strings.Contains(got, "|") {
					t.Fatalf("%s: %s", sql, got)
				}
			}
		}
		if dry := restore(c.table, c.where, true); !strings.Contains(dry, c.want) {
			t.Errorf("%s; dry: restore %s %s: %s, want %s", c.do, c.table, c.where, dry, c.want)
		}
		if got := restore(c.table, c.where, false); !strings.Contains(got, c.want) {
			t.Errorf("%s; restore %s %s: %s, want %s", c.do, c.table, c.where, got, c.want)
		}
		if c.check != "" {
			if got := one(c.check); got != c.state {
				t.Errorf("after %s; restore %s %s: %s: %s, want %s", c.do, c.table, c.where, c.check, got, c.state)
			}
		}
	}
}
