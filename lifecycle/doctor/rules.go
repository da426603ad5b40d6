package doctor

import (
	"context"
	"fmt"
	"strings"

	"tombstone/lifecycle"
	"tombstone/rewrite"
)

// rules looks at rules ON DELETE and ON UPDATE of protected tables.
//
// Without it, ON DELETE DO INSTEAD NOTHING, which kept rows from being deleted, keeps nothing: a deletion is an UPDATE now.
func (p *patient) rules(ctx context.Context) error {
	var oid uint32
	var name, event, definition string
	var instead bool
	err := p.each(ctx, "SELECT ev_class, rulename, ev_type, is_instead, pg_get_ruledef(oid) FROM pg_rewrite WHERE ev_type IN ('2', '4') AND ev_enabled <> 'D' AND ev_class = ANY ($1) ORDER BY 1, 2",
		[]any{p.oids()}, []any{&oid, &name, (*char)(&event), &instead, &definition}, func() {
			r := p.relation(oid)
			f := Finding{Object: fmt.Sprintf("rule %s on %s", name, r.Name)}
			switch {
			case event == "4":
				f.Severity, f.Check = Warning, "delete-rule"
				f.Why = "It acts on DELETE, and a deletion is an UPDATE now: it does not act any more."
				f.Advice = fmt.Sprintf("Put a trigger BEFORE or AFTER UPDATE OF %s in its place, and drop the rule.", lifecycle.Ident(r.Marker))
				if r.View() {
					f.Why = "A DELETE from the view is whatever this rule does, so the proxy refuses it (0A000)."
					f.Advice = "Delete from the table itself and drop the rule."
				}
			case !r.View():
				f.Severity, f.Check = Info, "update-rule"
				f.Why = "It acts on a deletion too, which is an UPDATE now."
				if instead && !rewrite.HasWord(definition, r.Marker) {
					swallows(&f, r, definition)
				}
			default:
				return
			}
			p.find(f)
		})
	if err != nil {
		return err
	}
	return p.ruleBodies(ctx)
}

// swallows is about a rule that acts instead of a deletion, which is an UPDATE now, and does not know of it.
//
// Without it, ON UPDATE DO INSTEAD NOTHING, which keeps bills as they are, keeps them from being deleted too: DELETE 0, and nobody says why.
func swallows(f *Finding, r *relation, definition string) {
	f.Severity = Error
	f.Why = "It acts instead of an UPDATE, and a deletion is one now: the row stays live, and the answer is DELETE 0."
	others := "NOT (" + lifecycle.Live(r.Table, "old.") + " AND " + lifecycle.Dead(r.Table, "new.") + ")"
	f.Advice = fmt.Sprintf("Let it leave deletions alone: a rule WHERE %s.", others)
	const where, acts = " WHERE ", " DO INSTEAD "
	head, action, ok := strings.Cut(definition, acts)
	event, condition, conditional := strings.Cut(head, where)
	for _, quote := range []string{`"`, "'"} { // a name, or a literal, that has such words in it
		ok = ok && strings.Count(event, quote)%2 == 0 && strings.Count(condition, quote)%2 == 0
	}
	if !ok || rewrite.HasWord(action, "returning") || rewrite.HasWord(action, "notify") { // which a rule with a condition cannot
		return
	}
	if conditional {
		head = event + where + "(" + condition + ") AND " + others
	} else {
		head += where + others
	}
	f.SQL = []string{strings.Replace(head, "CREATE RULE", "CREATE OR REPLACE RULE", 1) + acts + action}
}

// ruleBodies looks at what rules do with protected rows.
func (p *patient) ruleBodies(ctx context.Context) error {
	var name, on, definition string
	return p.each(ctx, `
SELECT w.rulename, n.nspname || '.' || c.relname, pg_get_ruledef(w.oid)
FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE w.ev_type <> '1' AND w.ev_enabled <> 'D' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 2, 1`, nil, []any{&name, &on, &definition}, func() {
		if !p.Set.Mentions(definition) {
			return
		}
		create := strings.Replace(definition, "CREATE RULE", "CREATE OR REPLACE RULE", 1)
		body := rewrite.Read(create, p.env([]string{"pg_catalog"}))
		uses, worst := judged(body, false)
		if worst == "" {
			return
		}
		f := Finding{Severity: Warning, Check: "rule-body", Object: "rule " + name + " on " + on, Why: "Its action " + uses + "."}
		f.mend(body)
		p.find(f)
	})
}
