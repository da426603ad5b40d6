package rewrite

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// truncate turns a TRUNCATE of protected tables into an UPDATE that marks
// every live row, or several of them in one statement.
//
//	TRUNCATE a, b
//	WITH _t1 AS (UPDATE a SET .. WHERE ..) UPDATE b SET .. WHERE ..
//
// Without this rule, TRUNCATE users loses every row and tombstone for good.
func (r *rewriter) truncate(x *pg.TruncateStmt) {
	var tables []*policy.Table
	var refs []*pg.RangeVar
	var again []*pg.RangeVar // mentioned before, which is all that the server looks at: TRUNCATE ONLY p, p leaves the children of p
	allowed, plain := 0, 0
	for _, n := range x.Relations {
		rv, ok := unwrap(n).(*pg.RangeVar)
		if !ok {
			continue
		}
		table := r.target(rv, false)
		if table != nil && slices.ContainsFunc(tables, func(t *policy.Table) bool { return t != nil && t.Name == table.Name }) {
			again = append(again, rv)
			continue
		}
		refs = append(refs, rv)
		if table != nil && !table.View() && !r.mayChange(rv, table, "TRUNCATE") {
			return
		}
		switch {
		case table == nil, table.View(): // the server says that a view is no table
			plain++
			table = nil
		case table.Kind == 'p' && !rv.Inh:
			r.serverSays("42809", "cannot truncate only a partitioned table", "",
				"Do not specify the ONLY keyword, or use TRUNCATE ONLY on the partitions directly.")
		case table.Truncate == "deny":
			r.refuse("truncate-denied", rv.Location, table.String())
		case table.Truncate == "allow" && r.asks.Visibility != Deleted: // else rows would go that the session does not see
			r.touch(table, AllowPurge, rv.Location, Passed)
			allowed++
			continue
		}
		tables = append(tables, table)
	}
	if r.asks.Purge && r.asks.Visibility == All && r.stmt.Refusal == nil {
		r.purgeAll(x, tables, refs)
		return
	}
	if x.Behavior == pg.DropBehavior_DROP_CASCADE && plain+allowed > 0 {
		r.cascade(x, refs)
	}
	if r.stmt.Refusal != nil || plain == len(refs) || allowed > 0 && plain+allowed == len(refs) {
		return
	}
	for i, t := range tables {
		if t == nil {
			continue
		}
		switch {
		case plain+allowed > 0:
			r.refuse("truncate-mixed", refs[0].Location, t.String())
		case x.Behavior == pg.DropBehavior_DROP_CASCADE:
			r.refuse("truncate-cascade", refs[i].Location, t.String())
		case x.RestartSeqs:
			r.refuse("truncate-restart", refs[i].Location, t.String())
		case t.Problem != "" && !r.asks.Purge:
			r.unmarkable(t, refs[i].Location)
		default:
			r.referenced(t, tables)
		}
	}
	if r.stmt.Refusal == nil {
		r.buryAll(tables, refs, again)
	}
}

// referenced answers as the server does when a table outside the list has a
// foreign key to one in it: rows that point at nothing must not come to be.
func (r *rewriter) referenced(t *policy.Table, tables []*policy.Table) {
	for _, from := range t.ReferencedBy {
		listed := false
		for _, other := range tables {
			listed = listed || other.Name == from
		}
		if listed || r.stmt.Refusal != nil {
			continue
		}
		r.serverSays("0A000", "cannot truncate a table referenced in a foreign key constraint",
			fmt.Sprintf("Table %q references %q.", from.Relation, t.Relation),
			fmt.Sprintf("Truncate table %q at the same time, or use TRUNCATE ... CASCADE.", from.Relation))
	}
}

// cascade refuses a TRUNCATE .. CASCADE of other tables that would reach a
// protected one through foreign keys.
//
// Without this rule, TRUNCATE countries CASCADE empties users behind it.
func (r *rewriter) cascade(x *pg.TruncateStmt, refs []*pg.RangeVar) {
	if len(r.env.Set.Tables()) > 0 && (r.unknown || len(r.defined) > 0 || len(r.altered) > 0) {
		r.refuse("moved-names", refs[0].Location, refs[0].Relname) // there may be another key by now
	}
	for _, rv := range refs {
		for _, t := range r.reachedFrom(rv) {
			r.refuse("truncate-cascade", rv.Location, t.String())
		}
	}
}

func (r *rewriter) reachedFrom(rv *pg.RangeVar) []*policy.Table {
	if rv.Schemaname != "" {
		return r.env.Set.Referencing(rv.Schemaname, rv.Relname)
	}
	for _, schema := range r.searched() {
		if r.env.Set.Exists(schema, rv.Relname) {
			return r.env.Set.Referencing(schema, rv.Relname)
		}
	}
	return nil
}

// purgeAll lets a TRUNCATE through as it is, CASCADE and RESTART IDENTITY included: the session sees every row, and asked to delete
// for good. With fewer rows in sight, each table gets a DELETE of them, see buryAll.
func (r *rewriter) purgeAll(x *pg.TruncateStmt, tables []*policy.Table, refs []*pg.RangeVar) {
	at := refs[0].Location
	for _, t := range tables {
		if t != nil {
			r.purged(t, at)
		}
	}
	if x.Behavior == pg.DropBehavior_DROP_CASCADE {
		for _, rv := range refs {
			for _, t := range r.reachedFrom(rv) {
				r.purged(t, rv.Location)
			}
		}
	}
}

// buryAll writes the UPDATEs in place of the TRUNCATE, or the DELETEs.
func (r *rewriter) buryAll(tables []*policy.Table, refs, again []*pg.RangeVar) {
	first := r.before(r.stmt.start) + 1
	last := r.before(r.stmt.end)
	for i, t := range tables {
		at := r.at(refs[i].Location)
		if at < 0 || !r.word(first, "truncate") {
			r.refuse("internal", refs[i].Location)
			return
		}
		from, to := r.relation(at)
		final := i == len(tables)-1
		opening, closing := "UPDATE", ""
		if r.asks.Purge {
			opening = "DELETE FROM"
			if test := r.purge(refs[i], t, false); test != "" {
				closing = " WHERE " + test
			}
		} else {
			closing = " SET " + r.stamp(t) + " WHERE " + r.buries(refs[i], t, false)
			r.touch(t, BuryAll, refs[i].Location, Buried)
		}
		if !final {
			opening = r.name() + " AS (" + opening
		}
		switch {
		case i == 0:
			if !final {
				opening = "WITH " + opening
			}
			r.replace(first, first, opening)
			if from-1 > first { // TRUNCATE TABLE
				r.drop(first+1, from-1)
			}
		case final:
			r.replace(from-1, from-1, " "+opening) // in place of the comma
		default:
			r.putAfter(from-1, " "+opening)
		}
		if !final {
			closing += ")"
		}
		if closing != "" {
			r.putAfter(to-1, closing)
		}
		if final && to <= last {
			r.drop(to, last) // CONTINUE IDENTITY, RESTRICT
		}
	}
	for _, rv := range again {
		if at := r.at(rv.Location); rv.Location < refs[len(refs)-1].Location && at > 0 {
			from, to := r.relation(at)
			r.drop(from-1, to-1) // the comma too; what stands behind the last goes below
		}
	}
	r.stmt.Tag = TagTruncate
	if len(tables) == 1 && !r.asks.Purge {
		r.stmt.Buries = tables[0].String()
	}
}
