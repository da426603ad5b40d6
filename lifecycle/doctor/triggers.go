package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tombstone/lifecycle"
	"tombstone/rewrite"
)

// Bits of pg_trigger.tgtype.
const (
	forRow    = 1
	before    = 2
	onInsert  = 4
	onDelete  = 8
	onUpdate  = 16
	insteadOf = 64
)

// trigger is one of a protected table, or of a view that shows one.
type trigger struct {
	name, function, source string
	table                  string // as SQL
	object                 string
	on                     *relation // nil for a view that does not show the marker
	over                   string    // the protected table behind a view
	kind                   int
	columns                []string // of UPDATE OF, none for any
	ours, enabled          bool
	transition             bool // it has transition tables
	constraint             bool
	definition             string
}

func (t *trigger) is(bits int) bool { return t.kind&bits == bits }

// marks reports whether the trigger fires when a row is marked.
func (t *trigger) marks() bool {
	return t.enabled && t.on != nil && t.is(onUpdate) && (len(t.columns) == 0 || slices.Contains(t.columns, t.on.Marker))
}

// triggers looks at the triggers of protected tables: a deletion is an UPDATE now.
func (p *patient) triggers(ctx context.Context) error {
	list, err := p.readTriggers(ctx)
	if err != nil {
		return err
	}
	for _, t := range list {
		if !t.ours && t.sets() {
			p.markingTrigger(t)
		}
		switch {
		case t.ours && !t.enabled:
			p.find(Finding{
				Severity: Error, Check: "disabled-trigger", Object: t.object,
				Why: "It belongs to the database's half and is switched off: what it sees to (real DELETEs, foreign keys, keys that are used again, or the record) is not seen to.",
				SQL: []string{"ALTER TABLE " + t.table + " ENABLE TRIGGER " + lifecycle.Ident(t.name)},
			})
		case t.ours || !t.enabled:
		case t.is(insteadOf | onDelete):
			p.find(Finding{
				Severity: Warning, Check: "instead-of-delete", Object: t.object,
				Why:    "A DELETE from the view is whatever this trigger does, so the proxy refuses it (0A000); run by others, the trigger may really delete rows of " + t.over + ".",
				Advice: "Delete from the table itself and drop the trigger, or drop the view.",
			})
		case t.is(onDelete) && !t.is(insteadOf):
			p.deleteTrigger(t, list)
		case t.marks() && !slices.ContainsFunc(list, func(d *trigger) bool { return d.is(onDelete) && d.function == t.function && d.on == t.on }):
			p.updateTrigger(t)
		}
	}
	return nil
}

func (p *patient) readTriggers(ctx context.Context) ([]*trigger, error) {
	var list []*trigger
	var t trigger
	var oid uint32
	var schema, relation, language string
	err := p.each(ctx, `
SELECT t.tgrelid, n.nspname, c.relname, t.tgname, t.tgfoid::regprocedure::text, p.prosrc, l.lanname, t.tgtype::int,
	ARRAY(SELECT a.attname FROM unnest(t.tgattr) AS k (n) JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = k.n)::text[],
	f.nspname = 'tombstone', t.tgenabled IN ('O', 'A'), t.tgoldtable IS NOT NULL OR t.tgnewtable IS NOT NULL, t.tgconstraint <> 0, pg_get_triggerdef(t.oid)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE NOT t.tgisinternal AND t.tgparentid = 0 ORDER BY 2, 3, 4`, nil,
		[]any{&oid, &schema, &relation, &t.name, &t.function, &t.source, &language, &t.kind, &t.columns, &t.ours, &t.enabled, &t.transition, &t.constraint, &t.definition},
		func() {
			one := t
			t.columns = nil
			table, indirect := p.Set.Find(schema, relation)
			one.on = p.relation(oid)
			switch {
			case table != nil:
				one.over = table.String()
			case indirect != nil:
				one.over = indirect.Over.String()
			case !one.ours: // of another table
				return
			}
			one.table = lifecycle.Ident(schema) + "." + lifecycle.Ident(relation)
			one.object = fmt.Sprintf("trigger %s on %s.%s", one.name, schema, relation)
			list = append(list, &one)
		})
	return list, err
}

// deleteTrigger is about a trigger that waits for a DELETE that never comes.
//
// Without it, an audit table that is filled AFTER DELETE has no row for what was deleted through the proxy.
func (p *patient) deleteTrigger(t *trigger, all []*trigger) {
	if t.on == nil {
		return
	}
	asks := rewrite.HasWord(t.source, "tg_op")
	knows := rewrite.HasWord(t.source, t.on.Marker)
	answered := slices.ContainsFunc(all, func(u *trigger) bool {
		return u.on == t.on && u.function == t.function && u.kind&(forRow|before) == t.kind&(forRow|before) && u.marks() && (!asks || knows)
	})
	if answered {
		return
	}
	f := Finding{Severity: Warning, Check: "delete-trigger", Object: t.object}
	f.Why = "It fires on DELETE, and a deletion is an UPDATE now: it does not fire any more, but for a purge."
	call := "a trigger AFTER UPDATE OF " + lifecycle.Ident(t.on.Marker) + " WHEN (" + t.buries() + ")"
	switch {
	case t.is(onUpdate):
		f.Why = "It fires on a deletion as on any UPDATE: where its function asks for TG_OP = 'DELETE', it does not do what it did."
		f.Advice = fmt.Sprintf("Let %s take an UPDATE that sets %s for a deletion.", t.function, t.on.Marker)
	case t.is(before | forRow):
		f.Advice = fmt.Sprintf("Put a trigger BEFORE UPDATE OF %s WHEN (%s) in its place, whose function returns NEW: one that returns OLD would undo the deletion.", lifecycle.Ident(t.on.Marker), t.buries())
	case asks:
		f.Advice = fmt.Sprintf("Put %s in its place, and let %s take an UPDATE that sets %s for a deletion.", call, t.function, t.on.Marker)
	case t.transition, t.is(onInsert):
		f.Advice = "Put " + call + " in its place; with transition tables the function has to look for the rows that were marked, since UPDATE OF a column is not possible then."
	default:
		if sql, ok := t.moved(); ok {
			f.SQL = []string{"DROP TRIGGER " + lifecycle.Ident(t.name) + " ON " + t.table, sql}
		} else {
			f.Advice = "Put " + call + " in its place."
		}
	}
	p.find(f)
}

// buries is the condition that an UPDATE marks a row.
func (t *trigger) buries() string {
	return lifecycle.Live(t.on.Table, "OLD.") + " AND " + lifecycle.Dead(t.on.Table, "NEW.")
}

// moved writes the trigger so that it fires when a row is marked.
func (t *trigger) moved() (sql string, ok bool) {
	const from = " AFTER DELETE ON "
	if strings.Count(t.definition, from) != 1 {
		return "", false
	}
	sql = strings.Replace(t.definition, from, " AFTER UPDATE OF "+lifecycle.Ident(t.on.Marker)+" ON ", 1)
	if !t.is(forRow) {
		return sql, true
	}
	return t.when(sql, t.buries())
}

// when adds a condition to a trigger's definition.
func (t *trigger) when(sql, condition string) (string, bool) {
	const bare, conditional, end = " FOR EACH ROW EXECUTE FUNCTION ", " FOR EACH ROW WHEN (", ") EXECUTE FUNCTION "
	switch {
	case strings.Count(sql, bare) == 1 && !strings.Contains(sql, conditional):
		return strings.Replace(sql, bare, " FOR EACH ROW WHEN ("+condition+") EXECUTE FUNCTION ", 1), true
	case strings.Count(sql, conditional) == 1 && strings.Count(sql, end) == 1:
		sql = strings.Replace(sql, conditional, conditional+"(", 1)
		return strings.Replace(sql, end, ") AND "+condition+end, 1), true
	}
	return "", false
}

// updateTrigger is about a trigger that takes a deletion for a change.
//
// Without it, a trigger that refuses every UPDATE of a paid bill refuses to delete it.
func (p *patient) updateTrigger(t *trigger) {
	_, condition, _ := strings.Cut(t.definition, " WHEN (")
	if slices.Contains(t.columns, t.on.Marker) || rewrite.HasWord(condition, t.on.Marker) || rewrite.HasWord(t.source, t.on.Marker) {
		return // it knows
	}
	f := Finding{
		Severity: Info, Check: "update-trigger", Object: t.object,
		Why: "It fires on a deletion too, which is an UPDATE now.",
	}
	sql, ok := t.when(t.definition, "NOT ("+t.buries()+")")
	if ok && t.is(forRow) && !t.is(onInsert) && !t.constraint {
		f.SQL = []string{"DROP TRIGGER " + lifecycle.Ident(t.name) + " ON " + t.table, sql}
	}
	p.find(f)
}
