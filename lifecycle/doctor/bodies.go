package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tombstone/lifecycle"
	"tombstone/rewrite"
)

// judged says in words what a body does that is wrong, and the worst verb of it; "" if nothing is.
func judged(b *rewrite.Body, lines bool) (words string, worst rewrite.Verb) {
	order := []rewrite.Verb{rewrite.Deletes, rewrite.Truncates, rewrite.Updates, rewrite.Reads}
	say := map[rewrite.Verb]string{
		rewrite.Deletes: "really deletes rows of", rewrite.Truncates: "really empties",
		rewrite.Updates: "changes tombstones of", rewrite.Reads: "sees tombstones of",
	}
	var parts []string
	for _, verb := range order {
		var tables []string
		for _, u := range b.Uses {
			place := u.Table
			if lines {
				place = fmt.Sprintf("%s (line %d)", u.Table, u.Line)
			}
			if u.Verb == verb && !u.Tested && !slices.Contains(tables, place) {
				tables = append(tables, place)
			}
		}
		if len(tables) > 0 {
			parts = append(parts, say[verb]+" "+strings.Join(tables, ", "))
			if worst == "" {
				worst = verb
			}
		}
	}
	return strings.Join(parts, "; it "), worst
}

// mend takes over the mended definition, or why there is none.
func (f *Finding) mend(b *rewrite.Body) {
	if b.Mended != "" {
		f.SQL = []string{b.Mended}
		return
	}
	f.Advice = "Test the marker there, and mark rows instead of deleting them."
	if b.Why != "" {
		f.Advice += " It is not done for you: " + b.Why + "."
	}
}

// functions looks at the bodies of functions and procedures, those of triggers among them. The server runs them unseen by the proxy.
//
// Without it, a nightly job that deletes old users loses them for good, or fails at the guard; a function that counts users counts the
// deleted.
func (p *patient) functions(ctx context.Context) error {
	path := p.path
	var name, schema, language, source, definition string
	return p.each(ctx, `
SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), n.nspname, l.lanname, p.prosrc, pg_get_functiondef(p.oid)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE p.prokind IN ('f', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tombstone') AND l.lanname NOT IN ('c', 'internal')
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1`, nil, []any{&name, &schema, &language, &source, &definition}, func() {
		p.report.Looked["functions"]++
		mentions := p.Set.Mentions(definition)
		if !mentions && !rewrite.HasWord(source, "execute") {
			return
		}
		object := "function " + name
		if language != "sql" && language != "plpgsql" {
			if len(p.Set.NamedIn(source)) > 0 {
				p.find(Finding{
					Severity: Info, Check: "unread-body", Object: object,
					Why:    "It names protected tables and is written in " + language + ", which is not read here.",
					Advice: "See whether it deletes from them, or reads them without testing the marker.",
				})
			}
			return
		}
		searched := path
		if !slices.Contains(searched, schema) {
			searched = append(slices.Clone(searched), schema)
		}
		p.function(object, rewrite.Read(definition, p.env(searched)), definition)
	})
}

func (p *patient) function(object string, body *rewrite.Body, definition string) {
	words, worst := judged(body, true)
	checks := map[rewrite.Verb]Finding{
		rewrite.Deletes:   {Severity: Error, Check: "function-deletes"},
		rewrite.Truncates: {Severity: Error, Check: "function-deletes"},
		rewrite.Updates:   {Severity: Warning, Check: "function-updates"},
		rewrite.Reads:     {Severity: Warning, Check: "function-reads"},
	}
	if f, wrong := checks[worst]; wrong {
		f.Object, f.Why = object, "It "+words+". The proxy does not see what runs in it."
		f.mend(body)
		p.find(f)
	}
	if slices.ContainsFunc(body.Uses, func(u rewrite.Use) bool { return u.Verb == rewrite.Deletes && u.Tested }) {
		p.find(Finding{
			Severity: Info, Check: "function-purges", Object: object,
			Why: "It deletes rows by their marker, a purge of its own. The guard refuses that unless tombstone.delete is set to purge.",
		})
	}
	if len(body.Dynamic) > 0 {
		p.find(Finding{
			Severity: Info, Check: "dynamic-sql", Object: object,
			Why:    "It puts SQL together as it runs (line " + numbers(body.Dynamic) + "), so nobody can say which tables that is about.",
			Advice: "See whether they are protected ones.",
		})
	}
	if body.Fault != "" && len(p.Set.NamedIn(definition)) > 0 {
		p.find(Finding{
			Severity: Info, Check: "unread-body", Object: object,
			Why:    fmt.Sprintf("It names protected tables, and a part of it cannot be read (line %d: %s).", body.Line, body.Fault),
			Advice: "See whether it deletes from them, or reads them without testing the marker.",
		})
	}
}

func numbers(list []int) string {
	text := make([]string, len(list))
	for i, n := range list {
		text[i] = fmt.Sprint(n)
	}
	return strings.Join(text, ", ")
}

// policyReads looks for policies, of any table, that read protected tables.
//
// Without it, a policy that lets in who is in the table members lets in who has been deleted from it.
func (p *patient) policyReads(list []*rowPolicy) {
	env := p.env([]string{"pg_catalog"})
	for _, r := range list {
		sql := "ALTER POLICY " + lifecycle.Ident(r.name) + " ON " + lifecycle.Full(r.table)
		var wrong, mended, why []string
		for _, part := range []struct{ clause, expr string }{{"USING", r.using}, {"WITH CHECK", r.check}} {
			if part.expr == "" || !p.Set.Mentions(part.expr) {
				continue
			}
			body := rewrite.Expression(part.expr, env)
			words, worst := judged(body, false)
			if worst == "" {
				continue
			}
			wrong = append(wrong, part.clause+" "+words)
			if body.Mended != "" {
				mended = append(mended, part.clause+" ("+body.Mended+")")
			} else {
				why = append(why, body.Why)
			}
		}
		if len(wrong) == 0 {
			continue
		}
		f := Finding{
			Severity: Warning, Check: "policy-reads", Object: r.object(),
			Why: "Its condition goes by rows that are deleted: " + strings.Join(wrong, "; ") + ".",
		}
		if len(why) == 0 {
			f.SQL = []string{sql + " " + strings.Join(mended, " ")}
		} else {
			f.Advice = "Test the marker there. It is not done for you: " + strings.Join(why, "; ") + "."
		}
		p.find(f)
	}
}
