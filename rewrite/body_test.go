package rewrite

import (
	"fmt"
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

// Where PostgreSQL's own parser of PL/pgSQL, as pg_query has it, can read a body, it finds no SQL that is not found here.
func TestPLpgSQLAgainstTheParser(t *testing.T) {
	env := &Env{Set: shopSet(t, ""), Path: []string{"pg_catalog", "public"}}
	read := 0
	datadriven.Walk(t, "testdata/bodies", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			tree, err := pg.ParsePlPgSqlToJSON(d.Input)
			if err != nil || !strings.Contains(d.Input, "plpgsql") {
				return d.Expected
			}
			read++
			b := Read(d.Input, env)
			for table := range map[string]bool{"users": true, "orders": true} {
				theirs := 0
				for _, query := range strings.Split(tree, `"query":`)[1:] {
					query, _, _ = strings.Cut(query, `,"parseMode"`)
					theirs += strings.Count(query, "FROM "+table) + strings.Count(query, "UPDATE "+table) + strings.Count(query, "TRUNCATE "+table)
				}
				ours := 0
				for _, u := range b.Uses {
					if u.Table == "public."+table {
						ours++
					}
				}
				if len(b.Dynamic) == 0 && ours < theirs {
					t.Errorf("%s: the parser finds %d, we find %d:\n%s", d.Pos, theirs, ours, d.Input)
				}
			}
			return d.Expected
		})
	})
	if read < 5 {
		t.Errorf("only %d bodies could be compared", read)
	}
}
