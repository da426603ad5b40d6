package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// merge plans a MERGE. Its source shows live rows only, a source row that
// matches only a tombstone is not matched, and its DELETEs bury.
//
//	MERGE INTO users u USING bans b ON b.id = u.id WHEN MATCHED THEN DELETE
//	MERGE INTO users u USING bans b ON (b.id = u.id) AND u.deleted_at IS NULL WHEN MATCHED THEN UPDATE SET deleted_at = now()
//
// Without the condition, a row that is gone would be updated where a new one
// should have been inserted.
func (r *rewriter) merge(x *pg.MergeStmt, sc *scope) {
	sc = r.with(x.WithClause, sc)
	deletes := false
	for _, n := range x.MergeWhenClauses {
		if w, ok := unwrap(n).(*pg.MergeWhenClause); ok && w.CommandType == pg.CmdType_CMD_DELETE {
			deletes = true
		}
	}
	table := r.target(x.Relation, deletes)
	if table != nil && !r.merges(x.Relation, table, deletes) {
		return
	}
	if table != nil && r.mergesItself(x, table, sc) {
		return
	}
	// The source is the outer side of the join where a source row that is not
	// matched counts, so its condition has to be at the reference.
	l := r.list([]*pg.Node{x.SourceRelation}, false, sc, x.Relation)
	switch {
	case table == nil:
	case deletes && !r.asks.Purge && table.Problem != "":
		r.unmarkable(table, x.Relation.Location)
	case table.Unmarked:
		r.touch(table, Unmarked, x.Relation.Location, Passed)
		if deletes {
			r.purged(table, x.Relation.Location)
		}
	default:
		r.mergeInto(x, table, l)
	}
	r.expr(unwrap(x.JoinCondition), sc)
	r.exprs(x.MergeWhenClauses, sc)
}

// mergesItself reports whether target and source are one table by one name,
// which the server refuses in its own words.
func (r *rewriter) mergesItself(x *pg.MergeStmt, table *policy.Table, sc *scope) bool {
	source, ok := unwrap(x.SourceRelation).(*pg.RangeVar)
	if !ok || source.Alias != nil || x.Relation.Alias != nil || source.Relname != x.Relation.Relname {
		return false
	}
	same, _ := r.find(source, sc)
	return same == table
}

func (r *rewriter) mergeInto(x *pg.MergeStmt, table *policy.Table, l *level) {
	on, when := r.mergeOn(x)
	if on < 0 {
		r.refuse("internal", x.Relation.Location)
		return
	}
	if test := r.test(x.Relation, table, l.bare[x.Relation.Relname] > 1); test != "" {
		r.putBefore(on+1, "(")
		r.putAfter(when-1, ") AND "+test)
	}
	r.seen(table, MergeLive, x.Relation.Location)
	r.eachOutsideCase(when, func(i int) bool {
		switch {
		case !r.word(i, "then") || !r.word(i+1, "delete"):
		case r.asks.Purge:
			r.purged(table, x.Relation.Location)
		default:
			r.replace(i+1, i+1, "UPDATE SET "+r.stamp(table))
			r.touch(table, BuryMerge, x.Relation.Location, Buried)
		}
		return true
	})
}

// mergeOn returns the ON of a MERGE and its first WHEN, or -1. The source can
// be a join with an ON of its own before it, and the condition can hold CASE
// WHEN.
func (r *rewriter) mergeOn(x *pg.MergeStmt) (on, when int) {
	i := r.at(x.Relation.Location)
	if i < 0 {
		return -1, -1
	}
	on, when = -1, -1
	r.eachOutsideCase(i, func(i int) bool {
		switch {
		case r.word(i, "on"):
			on = i
		case r.word(i, "when"):
			when = i
			return false
		}
		return true
	})
	if on < 0 || when <= on+1 {
		return -1, -1
	}
	return on, when
}

// eachOutsideCase visits the tokens from i on to the end of the statement, or
// of the parentheses around it, that are in no parentheses, in no CASE .. END
// and not a name behind a dot or AS. visit returns false to stop.
func (r *rewriter) eachOutsideCase(i int, visit func(i int) bool) {
	for depth := 0; i < len(r.toks) && !r.is(i, ')') && !r.is(i, ';'); i++ {
		switch {
		case r.is(i, '('):
			i = r.closing(i)
		case r.label(i):
		case r.word(i, "case"):
			depth++
		case r.word(i, "end"):
			depth--
		case depth == 0:
			if !visit(i) {
				return
			}
		}
	}
}
