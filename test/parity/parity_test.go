package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// limit is how long a test may take in all. It is there so that a hang fails.
const limit = 5 * time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func stage(t *testing.T) *Stage {
	t.Helper()
	s, err := NewStage(within(t), os.Stderr, 0, protects)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A small sample of what CI runs: all scripts, and some hundred statements.
func TestParity(t *testing.T) {
	var out bytes.Buffer
	agreed, err := run(within(t), []string{"-ways", "simple,binary", "-statements", "400", "-seed", "1"}, &out, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if !agreed {
		t.Errorf("%s", out.String())
	}
}

// blind makes soft a twin without a proxy, whose deletes are real and whose
// tombstones show: all that the oracle is there to find.
func blind(t *testing.T, s *Stage) *Twin {
	t.Helper()
	w, err := s.NewTwin(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.soft.dsn = s.cluster.DSN(w.soft.db)
	return w
}

// The oracle sees what goes wrong, and shrinks it to what is needed.
func TestOracle(t *testing.T) {
	w := blind(t, stage(t))
	world := func() *World {
		id, word := &Column{Name: "id", Type: integer, NotNull: true}, &Column{Name: "b", Type: text}
		gone := &Column{Name: marker, Type: timestamptz, Marker: true}
		p1 := &Relation{Schema: "public", Name: "p1", Protected: true, Columns: []*Column{id, word, gone}, Key: []int{0}}
		u1 := &Relation{Schema: "public", Name: "u1", Columns: []*Column{id, word}, Key: []int{0}}
		for i := range 6 {
			p1.Rows = append(p1.Rows, &Row{Values: []string{fmt.Sprint(i), "x", nothing}, Tombstone: i == 3})
			u1.Rows = append(u1.Rows, &Row{Values: []string{fmt.Sprint(i), "y"}})
		}
		return &World{Tables: []*Relation{p1, u1}}
	}
	one := func(kind string, parts ...any) *Step {
		return &Step{Statements: []*Statement{statement(kind, AnyOrder, parts...)}}
	}
	harmless := one("select", "SELECT * FROM u1", opt(" WHERE id > 1"))
	for _, x := range []struct {
		name, stage string
		step        *Step
		sql         string // what is left of it
		rows        int    // and of p1
	}{
		{"a tombstone shows", "reply", one("select", "SELECT * FROM p1", opt(" WHERE id < 9"), opt(" ORDER BY 1")), "SELECT * FROM p1", 2},
		{"a tombstone is changed", "reply", one("update", "UPDATE p1 SET b = 'z'", opt(" WHERE id < 9")), "UPDATE p1 SET b = 'z'", 1},
		{"a row is really deleted", "LOST", one("delete", "DELETE FROM p1 WHERE id = 1", opt(" AND b = 'x'")), "DELETE FROM p1 WHERE id = 1", 1},
		{"a table is emptied", "LOST", one("truncate", "TRUNCATE p1", opt(" RESTRICT")), "TRUNCATE p1", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := &Case{World: world(), Steps: []*Step{harmless, x.step, harmless}}
			s := &Shrinker{twin: w, c: c, until: time.Now().Add(limit)}
			d, err := s.play(within(t))
			if err != nil || d == nil {
				t.Fatalf("no difference: %v", err)
			}
			s.found = d
			if err := s.Run(within(t)); err != nil {
				t.Fatal(err)
			}
			if d.Stage != x.stage || len(c.Steps) != 1 || len(c.World.Tables) != 1 || len(c.World.Tables[0].Rows) != x.rows || c.Steps[0].SQL()[0] != x.sql {
				var out strings.Builder
				c.write(&out, s.found)
				t.Errorf("%s: %s\n%s", d.Stage, d.Class, out.String())
			}
		})
	}
}

// A case is a pure function of the seed and its number.
func TestCaseIsDeterministic(t *testing.T) {
	text := func(n int) string {
		var out strings.Builder
		NewCase(3, n, NewWorld(3, uint64(n/casesPerWorld))).write(&out, nil)
		return out.String()
	}
	seen := map[string]bool{}
	for n := range 60 {
		a := text(n)
		if a != text(n) {
			t.Fatalf("case %d is not the same twice", n)
		}
		if seen[a] {
			t.Errorf("case %d is like one before", n)
		}
		seen[a] = true
	}
}

// Nothing that a clock or chance decides gets into a statement.
func TestCaseIsNotVolatile(t *testing.T) {
	for n := range 200 {
		for _, step := range NewCase(4, n, NewWorld(4, uint64(n/casesPerWorld))).Steps {
			for _, sql := range step.SQL() {
				for _, word := range []string{"now()", "random()", "ctid", "xmax", "current_timestamp"} {
					if strings.Contains(sql, word) {
						t.Errorf("case %d: %s", n, sql)
					}
				}
			}
		}
	}
}

func TestSplit(t *testing.T) {
	for _, x := range []struct {
		script string
		want   []string
	}{
		{"SELECT 1; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
		{";; SELECT 1;;", []string{"SELECT 1"}},
		{"SELECT ';', \"a;b\", $$;$$ -- ;\n, E'\\';' /* ; */; SELECT 2;", []string{"SELECT ';', \"a;b\", $$;$$ -- ;\n, E'\\';'", "SELECT 2"}},
		{"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", []string{"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"}},
		{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3", []string{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", "SELECT 3"}},
		{"BEGIN; SELECT 1; END;", []string{"BEGIN", "SELECT 1", "END"}},
		{"COPY t FROM STDIN;\na;b\n\\.\nSELECT 'after';", []string{"COPY t FROM STDIN", "SELECT 'after'"}},
		{"\\set x 1\nSELECT 1;\n\\d t\nSELECT 2;", []string{"SELECT 1", "SELECT 2"}},
		{"SELECT 1; SELECT 'open; SELECT 3", []string{"SELECT 1", "SELECT 'open; SELECT 3"}},
	} {
		pieces, _ := split(x.script)
		var got []string
		for _, p := range pieces {
			got = append(got, p.SQL)
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%q\ngot  %q\nwant %q", x.script, got, x.want)
		}
	}
	pieces, skipped := split("-- soft:\nSELECT 1;\n-- hard:\nCOPY t FROM stdin;\na\tb\n\\.\n\\echo x\n")
	if len(pieces) != 2 || pieces[0].Only != "soft" || pieces[1].Only != "hard" || pieces[1].Data != "a\tb\n" || pieces[1].Line != 4 || len(skipped) != 1 {
		t.Errorf("%+v %q", pieces, skipped)
	}
}

func TestTree(t *testing.T) {
	both := &Fate{}
	n := seq("INSERT INTO t (", list(", ", 1, linked(both, "a"), seq("b")), ") VALUES (", list(", ", 1, linked(both, literal("int", "1")), literal("text", "o'x")), ")", opt(" RETURNING *"))
	step := &Step{Mode: Unnamed, Parameters: true}
	for _, x := range []struct {
		gone  bool
		plain string
		sent  string
	}{
		{false, "INSERT INTO t (a, b) VALUES (1, 'o''x'::text) RETURNING *", "INSERT INTO t (a, b) VALUES ($1::int, $2::text) RETURNING *"},
		{true, "INSERT INTO t (b) VALUES ('o''x'::text) RETURNING *", "INSERT INTO t (b) VALUES ($1::text) RETURNING *"},
	} {
		both.gone = x.gone
		if got := n.SQL(); got != x.plain {
			t.Errorf("got  %s\nwant %s", got, x.plain)
		}
		if got, values := step.write(&Statement{Node: n}); got != x.sent || values[len(values)-1] != "o'x" {
			t.Errorf("got  %s %q\nwant %s", got, values, x.sent)
		}
	}
}

func TestCompare(t *testing.T) {
	row := func(v string) Reply { return Reply{Type: 'D', Values: []string{v}} }
	tag := Reply{Type: 'C', Text: "SELECT 2"}
	names := newNames(nil)
	for _, x := range []struct {
		order      Order
		hard, soft Answer
		same       bool
	}{
		{AnyOrder, Answer{row("a"), row("b"), tag}, Answer{row("b"), row("a"), tag}, true},
		{AsTheyCome, Answer{row("a"), row("b"), tag}, Answer{row("b"), row("a"), tag}, false},
		{AnyOrder, Answer{row("a"), row("b"), tag}, Answer{row("b"), row("b"), tag}, false},
		{AnyOrder, Answer{row(nothing), tag}, Answer{row("NULL"), tag}, false},
		{NotCompared, Answer{row("a"), tag}, Answer{row("b"), row("c"), tag}, true},
		{AnyOrder, Answer{tag}, Answer{{Type: 'C', Text: "SELECT 3"}}, false},
	} {
		order := func(int) Order { return x.order }
		if d := differ(x.hard.lines(names, order), x.soft.lines(names, order)); (d == nil) != x.same {
			t.Errorf("%d: %v %v: %+v", x.order, x.hard, x.soft, d)
		}
	}
}
