package rewrite

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"tombstone/config"
	"tombstone/config/configtest"
	"tombstone/policy"
)

// observing resolves a policy for testdata/schema.sql.
func observing(t testing.TB, tables string) *policy.Set {
	t.Helper()
	shop, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	known, err := Schema(string(shop))
	if err != nil {
		t.Fatal(err)
	}
	c := configtest.Parse(t, "tables:\n"+tables)
	return policy.New(c.Tables, c.Bodies).Resolve(known)
}

// outcomes writes what would be done, one outcome a line.
func outcomes(p *Plan) string {
	if p.Observed == nil {
		return ""
	}
	var lines []string
	for _, o := range p.Observed.Outcomes {
		lines = append(lines, fmt.Sprintf("%d %s %s %s", o.Stmt, o.Table, o.Action, strings.Join(o.Rules, ",")))
	}
	return strings.Join(lines, "; ")
}

// Users are protected and orders only observed: what is done is about users, what would be done about orders.
func TestObserve(t *testing.T) {
	set := observing(t, "  - {name: public.users}\n  - {name: public.orders, mode: observe}\n")
	for _, c := range []struct{ sql, sent, would, wouldSend string }{
		{"DELETE FROM orders WHERE id = 1", "", "0 public.orders buried bury-delete",
			"UPDATE orders SET deleted_at = now() WHERE (id = 1) AND orders.deleted_at IS NULL"},
		{"SELECT 1 FROM orders o, users u", "SELECT 1 FROM orders o, users u WHERE u.deleted_at IS NULL", "0 public.orders hidden hide-where",
			"SELECT 1 FROM orders o, users u WHERE o.deleted_at IS NULL AND u.deleted_at IS NULL"},
		{"DELETE FROM users USING orders o", "UPDATE users SET deleted_at = now() FROM orders o WHERE users.deleted_at IS NULL", "0 public.orders hidden hide-where", ""},
		{"DELETE FROM users", "UPDATE users SET deleted_at = now() WHERE users.deleted_at IS NULL", "", ""},
		{"TRUNCATE orders RESTART IDENTITY", "", "0 public.orders refused truncate-restart", ""},
		{"TRUNCATE users, orders", `TRUNCATE "tombstone refused this statement"`, "", ""}, // as with a table that the policy does not name
		{"SELECT 1; TRUNCATE orders CASCADE; DELETE FROM orders", "", "1 public.orders refused truncate-cascade; 2 public.orders buried bury-delete", ""},
		{"MERGE INTO orders USING users ON true WHEN NOT MATCHED BY SOURCE THEN DELETE", "", "", ""}, // both refuse it: users is named
		{"SELECT JSON_QUERY(x, 'a' WITH ANY WRAPPER ON) FROM orders", "", "0 public.orders refused unparsed", ""},
		{"SELECT query_to_xml('TABLE orders', true, true, '')", "", "0 public.orders refused runs-strings", ""},
		{"SELECT 1", "", "", ""},
		{"WITH orders AS (SELECT 1) SELECT * FROM orders", "", "", ""},
		{"PREPARE p AS DELETE FROM orders", "", "0 public.orders buried bury-delete", ""},
		{"ALTER TABLE orders RENAME TO old_orders", "", "0 public.orders refused unprotects", ""},
		{"CREATE VIEW v AS SELECT id FROM orders", "", "0 public.orders hidden hide-where", ""},
	} {
		env := &Env{Set: set, Path: []string{"pg_catalog", "public"}}
		p := Observe(c.sql, env)
		if c.sent == "" && !strings.HasPrefix(c.sql, "MERGE") {
			c.sent = c.sql
			if p.Edited() || p.Probe {
				t.Errorf("%s\nis not left alone", c.sql)
			}
		}
		if got := p.Apply(c.sql); c.sent != "" && got != c.sent {
			t.Errorf("%s\nsent  %s\nwant  %s", c.sql, got, c.sent)
		}
		if got := outcomes(p); got != c.would {
			t.Errorf("%s\nwould %s\nwant  %s", c.sql, got, c.would)
		}
		if c.wouldSend != "" && (p.Observed == nil || p.Observed.Plan.Apply(c.sql) != c.wouldSend) {
			t.Errorf("%s\nwould send another text than %s", c.sql, c.wouldSend)
		}
	}
}

// Where everything is only observed, each statement of the specification is left alone, and what it says would be done.
func TestObserveEverything(t *testing.T) {
	text, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := config.Parse("policy.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.Tables {
		f.Tables[i].Mode = "observe"
	}
	shop, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	known, err := Schema(string(shop))
	if err != nil {
		t.Fatal(err)
	}
	enforced, observed, told := shopSet(t, ""), policy.New(f.Tables, "pass").Resolve(known), 0
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".test") {
			return
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			env := Env{Set: observed, Path: []string{"pg_catalog", "public"}}
			for _, a := range d.CmdArgs {
				switch a.Key {
				case "backslash":
					env.Backslash = true
				case "encoding":
					env.Encoding = a.Vals[0]
				case "path":
					env.Path = a.Vals
				}
			}
			p := Observe(d.Input, &env)
			env.Set = enforced
			would := Rewrite(d.Input, &env)
			if p.Probe || p.Edited() && !refusedName(p) {
				d.Fatalf(t, "%s\nbecomes %s", d.Input, p.Apply(d.Input))
			}
			switch o := p.Observed; {
			case strings.Contains(d.Input, "bare"): // it has no marker yet, and what would be done is told as if it had
			case o != nil && o.Plan.Apply(d.Input) != would.Apply(d.Input):
				d.Fatalf(t, "%s\nwould become %s\nand not %s", d.Input, would.Apply(d.Input), o.Plan.Apply(d.Input))
			case o == nil && (would.Edited() || would.Probe) && !refusedName(p):
				d.Fatalf(t, "%s\nwould become %s, and nobody is told", d.Input, would.Apply(d.Input))
			case o != nil:
				told++
			}
			return d.Expected
		})
	})
	if told < 250 {
		t.Errorf("of only %d statements it is told what would be done", told)
	}
}

// refusedName reports whether a plan refuses a name that is the proxy's own, which is no matter of tables.
func refusedName(p *Plan) bool {
	for i := range p.Stmts {
		if r := p.Stmts[i].Refusal; r != nil && r.Rule != "reserved-name" {
			return false
		}
	}
	return true
}

// What is kept of a shape holds for each of its texts, with what would be done to them.
func TestCacheKeepsWhatIsObserved(t *testing.T) {
	c, scratch := NewCache(1<<20), new(Scratch)
	env := &Env{Set: observing(t, "  - {name: public.orders, mode: observe}\n"), Path: []string{"pg_catalog", "public"}, Key: "k"}
	first := c.Rewrite("DELETE FROM orders WHERE id = 1", env, scratch)
	if outcomes(first) != "0 public.orders buried bury-delete" || !first.Observed.First() || first.Observed.First() {
		t.Fatalf("%+v", first.Observed)
	}
	if again := c.Rewrite("DELETE FROM orders WHERE id = 2", env, scratch); again != first {
		t.Error("it is planned again")
	}
	// What a literal decides of what would be done is not kept by shape.
	for _, sql := range []string{"SELECT query_to_xml('TABLE items', true, true, '')", "SELECT query_to_xml('TABLE orders', true, true, '')"} {
		if got := outcomes(c.Rewrite(sql, env, scratch)); (got != "") != strings.Contains(sql, "orders") {
			t.Errorf("%s: %q", sql, got)
		}
	}
}

// Texts of one pattern have one gist.
func TestGist(t *testing.T) {
	for _, same := range [][]string{
		{"SELECT 1 FROM t WHERE id IN (1)", "SELECT 2 FROM t  WHERE id IN (1, 2, $3) -- why"},
		{"INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"},
	} {
		if Gist(same[0]) != Gist(same[1]) {
			t.Errorf("%s\n%s", Gist(same[0]), Gist(same[1]))
		}
	}
	for _, other := range [][]string{
		{"SELECT 1 FROM t WHERE id = 1", "SELECT 1 FROM u WHERE id = 1"},
		{"SELECT f(1), g(1)", "SELECT f(1), f(1)"},
		{"UPDATE t SET a = 1, b = 2", "UPDATE t SET a = 1"},
	} {
		if Gist(other[0]) == Gist(other[1]) {
			t.Error(Gist(other[0]))
		}
	}
}
