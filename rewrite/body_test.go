package rewrite

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	pg "github.com/pganalyze/pg_query_go/v5"
)

// TestGoldenBodies runs testdata/bodies: a definition as the server prints it, what it does with protected tables, and the definition that
// does right. expr: an expression, as of a policy.
func TestGoldenBodies(t *testing.T) {
	env := &Env{Set: shopSet(t, ""), Path: []string{"pg_catalog", "public"}}
	datadriven.Walk(t, "testdata/bodies", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "expr" {
				return describeBody(Expression(d.Input, env))
			}
			return describeBody(Read(d.Input, env))
		})
	})
}

func describeBody(b *Body) string {
	var s strings.Builder
	for _, u := range b.Uses {
		fmt.Fprintf(&s, "line %d: %s %s", u.Line, u.Verb, u.Table)
		if u.Tested {
			s.WriteString(", tested")
		}
		s.WriteString("\n")
	}
	for _, line := range b.Dynamic {
		fmt.Fprintf(&s, "line %d: dynamic\n", line)
	}
	if b.Fault != "" {
		fmt.Fprintf(&s, "line %d: not read: %s\n", b.Line, b.Fault)
	}
	switch {
	case b.Why != "":
		fmt.Fprintf(&s, "not mended: %s\n", b.Why)
	case b.Mended != "":
		s.WriteString("mended:\n" + strings.TrimSpace(b.Mended) + "\n")
	case s.Len() == 0:
		s.WriteString("nothing\n")
	}
	return s.String()
}

// Where the parser of PL/pgSQL that pg_query has can read a body, it finds no query that is not found here.
func TestPLpgSQLAgainstTheParser(t *testing.T) {
	env := &Env{Set: shopSet(t, ""), Path: []string{"pg_catalog", "public"}}
	compared := 0
	datadriven.RunTest(t, "testdata/bodies/plpgsql.body", func(t *testing.T, d *datadriven.TestData) string {
		tree, err := pg.ParsePlPgSqlToJSON(d.Input)
		if err != nil { // it knows no types
			return d.Expected
		}
		b := Read(d.Input, env)
		found := map[string]int{}
		for _, u := range b.Uses {
			found[u.Table]++
		}
		for _, table := range []string{"users", "orders", "accounts"} {
			want := 0
			for _, query := range strings.Split(tree, `"query":`)[1:] {
				query, _, _ = strings.Cut(query, `,"parseMode"`)
				query = strings.ReplaceAll(query, `'DELETE FROM users'`, "")
				want += strings.Count(query, "FROM "+table) + strings.Count(query, "UPDATE "+table+" ") + strings.Count(query, "TRUNCATE "+table)
				compared++
			}
			if found["public."+table] < want {
				t.Errorf("%s: %s is named %d times, found %d:\n%s", d.Pos, table, want, found["public."+table], tree)
			}
		}
		return d.Expected
	})
	if compared < 20 {
		t.Errorf("only %d queries could be compared", compared)
	}
}

// What would overrun the parser's stack is not given to it, and said.
func TestBodyTooComplex(t *testing.T) {
	env := &Env{Set: shopSet(t, ""), Path: []string{"pg_catalog", "public"}}
	chain := "SELECT 1" + strings.Repeat(" + 1", 100_000) + " FROM users"
	for _, definition := range []string{
		"CREATE VIEW v AS " + chain,
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ " + chain + " $$",
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN (" + chain + "); END $$",
		"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE $q$" + chain + "$q$; END $$",
	} {
		if b := Read(definition, env); b.Fault == "" && b.Why == "" {
			t.Errorf("%.80s: %+v", definition, b)
		}
	}
	if !Names(strings.TrimPrefix(chain, "SELECT "), "deleted_at") {
		t.Error("a condition that cannot be read is taken not to name the marker")
	}
}

// Whoever may create functions decides what is in them: no text ends the doctor, and what is mended is right when it is read again.
func FuzzRead(f *testing.F) {
	for _, file := range []string{"testdata/bodies/sql.body", "testdata/bodies/plpgsql.body"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "\nread\n") {
			definition, _, _ := strings.Cut(part, "\n----")
			f.Add(definition)
		}
	}
	env := &Env{Set: shopSet(f, ""), Path: []string{"pg_catalog", "public"}}
	f.Fuzz(func(t *testing.T, definition string) {
		for _, text := range []string{definition, "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $function$" + definition + "$function$"} {
			b := Read(text, env)
			if b.Mended == "" {
				continue
			}
			if again := Read(b.Mended, env); again.wrong() {
				t.Errorf("mended, it is still wrong:\n%s\n%+v", b.Mended, again.Uses)
			}
		}
	})
}
