package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// answers reports whether something protected can be shown as the session asks for it, and refuses the statement if not.
//
// Without it, a role that may not see deleted rows sees them by a setting of its own, or of nobody's: ALTER ROLE .. SET.
func (r *rewriter) answers(rv *pg.RangeVar, table *policy.Table, indirect *policy.Indirect) bool {
	a := r.asks
	if a == &everybody && !r.resettled || r.defines {
		return true
	}
	name := ""
	if table != nil {
		name = table.String()
	} else {
		name = indirect.Over.String()
	}
	moves := a.Visibility == Deleted || a.AsOf != ""
	switch {
	case r.resettled:
		r.refuse("settings-moved", rv.Location, name)
	case a.seeing != nil:
		r.refuseBy(a.seeing, rv.Location)
	case table == nil:
		if indirect.View() && moves { // what its query lets through cannot be told apart
			r.refuse("view-asks", rv.Location, indirect.String(), name)
		}
	case table.Unmarked && moves:
		r.unmarkable(table, rv.Location)
	case a.AsOf != "" && table.Live.Value == policy.False:
		r.refuse("as-of-marker", rv.Location, name)
	case a.AsOf != "":
		if c := r.created(table); c != nil && (len(table.Columns) > 0 && r.ordinal(table, c.Name) < 0 || kindOf(c.Type) == "") {
			r.refuse("as-of-created", rv.Location, c.Name, name)
		}
	}
	return r.stmt.Refusal == nil
}

// mayChange reports whether rows of a protected table may be changed as the session asks for it, by a statement of that verb, and refuses it
// if not.
func (r *rewriter) mayChange(rv *pg.RangeVar, table *policy.Table, verb string) bool {
	a := r.asks
	switch {
	case a == &everybody:
	case a.AsOf != "":
		// What was then is not what a change would find now.
		r.refuse("as-of-write", rv.Location, verb, table.String())
	case a.deleting != nil && (verb == "DELETE" || verb == "TRUNCATE"):
		r.refuseBy(a.deleting, rv.Location)
	case a.Visibility != Live && !a.Restore && (verb == "UPDATE" || verb == "MERGE"):
		r.refuse("restore-denied", rv.Location, table.String())
	}
	return r.stmt.Refusal == nil
}

// adds looks at a relation to which rows are added: by INSERT, or COPY FROM. Whatever the session sees, new rows are new rows, and what
// is in their way by ON CONFLICT is a live row; but not if it looks at another time, or asks for what it may not.
func (r *rewriter) adds(rv *pg.RangeVar, verb string) {
	if rv == nil || !r.env.Set.Covers(rv.Relname) {
		return
	}
	r.plan.Heeds = true
	if r.env.Stale {
		r.stale = true
		return
	}
	if r.asks == &everybody && !r.resettled || r.stmt.Refusal != nil {
		return
	}
	table, indirect := r.find(rv, nil)
	switch {
	case indirect != nil && r.asks.AsOf != "":
		r.refuse("as-of-write", rv.Location, verb, indirect.Over.String())
	case indirect != nil && r.asks.seeing == nil && !r.resettled: // rows go through a view into its table
	case table == nil && indirect == nil:
	case table != nil && r.asks.AsOf != "" && r.asks.seeing == nil:
		r.mayChange(rv, table, verb)
	default:
		r.answers(rv, table, indirect)
	}
}

// refuseBy refuses the statement for a reason that was there before it.
func (r *rewriter) refuseBy(why *Refusal, offset int32) {
	if r.stmt.Refusal == nil && r.env.Set.Enforces() {
		f := *why
		f.Offset = int(offset)
		r.stmt.Refusal = &f
	}
}
