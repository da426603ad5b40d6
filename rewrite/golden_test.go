package rewrite

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"tombstone/config"
	"tombstone/policy"
	"tombstone/policy/catalog"
)

// shopSet resolves testdata/policy.yaml for testdata/schema.sql and more.
func shopSet(t testing.TB, extra string) *policy.Set { return shopSetWith(t, extra, "pass") }

func shopSetWith(t testing.TB, extra, bodies string) *policy.Set {
	t.Helper()
	shop, err := os.ReadFile("testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Schema(string(shop) + extra)
	if err != nil {
		t.Fatal(err)
	}
	f, err := config.Load("testdata/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return policy.New(f.Tables, bodies).Resolve(c)
}

// TestGolden runs testdata/*.test, the readable specification: a statement,
// four dashes, what is sent instead, and the rules that fired.
//
// Arguments of a case: path=(a,b) the search_path, temp=(t) the session's
// temporary tables, backslash (standard_conforming_strings is off), dirty (the
// transaction changed names), stale (names may have changed), bodies=refuse (the
// policy's word on what the server runs unseen), visibility=all, as_of=2026-01-31,
// delete=purge (the session's settings), may=(see,restore,purge) what its role
// may of that, all unless it is said.
func TestGolden(t *testing.T) {
	set, strict := shopSet(t, ""), shopSetWith(t, "", "refuse")
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".test") {
			return
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			env := &Env{Set: set, Path: []string{"pg_catalog", "public"}}
			rights := Rights{Known: true, See: true, Restore: true, Purge: true}
			var said catalog.Asked
			for _, a := range d.CmdArgs {
				switch a.Key {
				case "path":
					env.Path = a.Vals
					if !slices.Contains(a.Vals, "pg_catalog") {
						env.Path = append([]string{"pg_catalog"}, a.Vals...)
					}
				case "temp":
					env.Temp = a.Vals
					env.Path = append([]string{"pg_temp_3"}, env.Path...)
				case "bodies":
					env.Set = strict
				case "backslash":
					env.Backslash = true
				case "dirty":
					env.Dirty = true
				case "stale":
					env.Stale = true
				case "visibility":
					said[catalog.Visibility] = a.Vals[0]
				case "as_of":
					said[catalog.AsOf] = a.Vals[0]
				case "delete":
					said[catalog.Delete] = a.Vals[0]
				case "may":
					rights = Rights{Known: !slices.Contains(a.Vals, "unknown"), See: slices.Contains(a.Vals, "see"), Restore: slices.Contains(a.Vals, "restore"), Purge: slices.Contains(a.Vals, "purge")}
				case "failed":
					env.Failed = true
				case "encoding":
					env.Encoding = a.Vals[0]
				default:
					d.Fatalf(t, "unknown argument %q", a.Key)
				}
			}
			env.Asks, env.Rights = Ask(said, rights), rights
			return describe(d.Input, Rewrite(d.Input, env))
		})
	})
}

// describe prints a Plan for the goldens.
func describe(sql string, p *Plan) string {
	var b strings.Builder
	switch {
	case p.Rights:
		return "stale: what the role may is read first\n"
	case p.Stale:
		return "stale: the names are read again first\n"
	case p.Probe:
		return "probe: the server is asked for its own error; if it has none, refused " + p.Refusal.Code + "\n"
	case p.Unparsed:
		b.WriteString("unparsed, ")
		fallthrough
	case !p.Edited():
		b.WriteString("as sent\n")
	default:
		b.WriteString(p.Apply(sql) + "\n")
	}
	for _, s := range p.Stmts {
		fmt.Fprintf(&b, "%s: %s", s.Kind, s.Action)
		switch {
		case s.Tag == TagDelete:
			b.WriteString(", tag DELETE")
		case s.Tag == TagTruncate:
			b.WriteString(", tag TRUNCATE TABLE")
		case s.Tag == TagShow:
			b.WriteString(", tag SHOW")
		case s.PrepareTag == TagDelete:
			fmt.Fprintf(&b, ", EXECUTE %s has tag DELETE", s.Prepare)
		}
		for _, t := range s.Touched {
			fmt.Fprintf(&b, "; %s %s", t.Rule.Name, t.Table)
		}
		b.WriteString("\n")
		if r := s.Refusal; r != nil {
			fmt.Fprintf(&b, "  %s %s: %s\n", r.Code, r.Rule, r.Message)
			if r.Detail != "" {
				fmt.Fprintf(&b, "  detail: %s\n", r.Detail)
			}
			if r.Hint != "" {
				fmt.Fprintf(&b, "  hint: %s\n", r.Hint)
			}
			if r.Offset >= 0 && len(p.Stmts) == 1 && r.Offset < len(sql) {
				fmt.Fprintf(&b, "  at: %.20q\n", sql[r.Offset:])
			}
		}
	}
	return b.String()
}
