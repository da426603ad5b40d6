package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tombstone/lifecycle"
)

// prepared asks lifecycle.Prepare what it would still do.
//
// Without the database's half a row refers to one that is deleted, a key cannot be used again, and a DELETE in a function loses rows.
func (p *patient) prepared(ctx context.Context) error {
	missing := lifecycle.Prepare(p.Database).Missing()
	lacking := map[string]bool{} // columns, which a GRANT would name
	for _, step := range missing {
		p.missing[step.Object] = true
		lacking[step.Object] = lacking[step.Object] || step.Check == "missing-marker" || step.Check == "missing-audit-column"
	}
	var nothing bool // there is not even a place for it
	if err := p.tx.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'tombstone')").Scan(&nothing); err != nil {
		return err
	}
	current := !p.missing["schema tombstone"] // it is this tombstone that has prepared the database
	missing = p.staleTriggers(missing, current)
	var objects []string
	reasons := map[string][]string{}
	for _, step := range missing {
		if nothing && (step.Check == "" || step.Check == "missing-guard") {
			continue
		}
		if step.Check != "" {
			f := Finding{Severity: Error, Check: step.Check, Object: step.Object, Why: step.Why, Advice: p.prepareAdvice()}
			if step.Check == "missing-grant" && !lacking[step.Object] { // it can be run alone
				f.SQL = step.SQL
			}
			p.find(f)
			continue
		}
		if reasons[step.Object] == nil {
			objects = append(objects, step.Object)
		}
		if !slices.Contains(reasons[step.Object], step.Why) {
			reasons[step.Object] = append(reasons[step.Object], step.Why)
		}
	}
	for _, o := range objects {
		p.find(Finding{
			Severity: Error, Check: "unprepared", Object: o, Why: "The database's half is not there, or is not up to date: " + strings.Join(reasons[o], " "),
			Advice: p.prepareAdvice(),
		})
	}
	if nothing && len(p.Protected()) > 0 {
		p.find(Finding{
			Severity: Error, Check: "unprepared", Object: "database " + p.report.Database, Advice: p.prepareAdvice(),
			Why: "The database's half is not there: foreign keys are not followed when a row is deleted, a row can refer to a deleted one, a key that a deleted row holds cannot be used again, and nobody can list or undo deletions.",
		})
		p.find(Finding{
			Severity: Error, Check: "missing-guard", Object: "database " + p.report.Database, Advice: p.prepareAdvice(),
			Why: "A DELETE that does not come through the proxy, as one in a function or from psql, loses rows for good.",
		})
	}
	for _, t := range p.Protected() {
		if t.Protected.MaxRows > 0 && (p.missing["table "+t.Name.String()] || p.missing["schema tombstone"]) {
			p.find(Finding{
				Severity: Error, Check: "max-rows-unchecked", Object: "table " + t.Name.String(), Advice: p.prepareAdvice(),
				Why: fmt.Sprintf("The policy lets no statement change more than %d rows, but it is the database that counts: a DELETE without its WHERE takes them all.", t.Protected.MaxRows),
			})
		}
	}
	return nil
}

// staleTriggers is about triggers of the database's half that are of another state of a table than the one it has. It returns the other steps.
//
// Without it, nobody is told why each INSERT fails since a column was renamed.
func (p *patient) staleTriggers(missing lifecycle.Script, current bool) lifecycle.Script {
	var others lifecycle.Script
	var objects []string
	reasons := map[string][]string{}
	for _, step := range missing {
		if !step.Stale || !current {
			others = append(others, step)
			continue
		}
		if reasons[step.Object] == nil {
			objects = append(objects, step.Object)
		}
		reasons[step.Object] = append(reasons[step.Object], step.Why)
	}
	for _, o := range objects {
		p.find(Finding{
			Severity: Error, Check: "stale-trigger", Object: o, Advice: p.prepareAdvice(),
			Why: "It, a table that a foreign key joins to it, or the policy has changed since tombstone prepare ran here. Where a table or a column was renamed, INSERT and DELETE fail until it has run again (42P01, 42703): " +
				strings.Join(reasons[o], " "),
		})
	}
	return others
}

// ready reports whether what the database's half does for a table is there.
func (p *patient) ready(t *lifecycle.Table) bool {
	return !p.missing["table "+t.Name.String()] && !p.missing["schema tombstone"]
}
