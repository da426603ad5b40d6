package lifecycle

import (
	"strings"
	"testing"
)

// Whoever has a large table has an index of its tombstones made, and dropped again when the policy no longer wants it.
func TestIndex(t *testing.T) {
	_, soft := twins(t, "index_of_tombstones", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz) WITH (fillfactor = 50);
INSERT INTO users SELECT generate_series(1, 100)`)
	in := func(config string) (indexed bool, missing int) {
		soft.prepare(t, config)
		d, err := Read(within(t), soft.Conn, policyOf(t, config))
		if err != nil {
			t.Fatal(err)
		}
		got := soft.do(t, "SELECT to_regclass('users_tombstones') IS NOT NULL")
		return strings.HasPrefix(got, "[t]"), len(Prepare(d).Missing())
	}
	if there, missing := in("tables: [{name: public.users, index: true}]\n"); !there || missing != 0 {
		t.Errorf("index: true: there is one: %t, %d steps are missing", there, missing)
	}
	soft.do(t, "DELETE FROM users WHERE id <= 20")
	if there, missing := in("tables: [{name: public.users}]\n"); there || missing != 0 {
		t.Errorf("by default: there is one: %t, %d steps are missing", there, missing)
	}
	if got := soft.do(t, "SELECT count(*) FROM users"); got != "[80]\n1;" {
		t.Error(got)
	}
}
