package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"
)

// insertInto plans an INSERT: tombstones are hidden from the query it inserts
// and from every query inside.
//
// Without this rule, INSERT INTO archive SELECT * FROM users copies rows that
// are gone.
func (r *rewriter) insertInto(x *pg.InsertStmt, sc *scope) {
	sc = r.with(x.WithClause, sc)
	conflict := r.conflict
	if c := x.OnConflictClause; c != nil {
		// A conflict with a tombstone must behave as if it were not there,
		// which takes more than an edit of the text.
		if table, indirect := r.find(x.Relation, nil); table != nil {
			r.refuse("on-conflict", x.Relation.Location, table.String())
		} else if indirect != nil {
			r.refuse("on-conflict", x.Relation.Location, indirect.Over.String())
		}
		r.conflict = c.Location
	}
	r.expr(unwrap(x.SelectStmt), sc)
	r.conflict = conflict
	r.exprs(x.Cols, sc) // subscripts can hold a query
	if c := x.OnConflictClause; c != nil {
		children(c, func(m any) { r.expr(m, sc) })
	}
	r.exprs(x.ReturningList, sc)
}

// merge refuses a MERGE that involves anything protected.
func (r *rewriter) merge(x *pg.MergeStmt, sc *scope) {
	forbid := r.forbid
	r.forbid = "merge"
	sc = r.with(x.WithClause, sc)
	r.target(x.Relation)
	r.list([]*pg.Node{x.SourceRelation}, false, sc, x.Relation)
	r.expr(unwrap(x.JoinCondition), sc)
	r.exprs(x.MergeWhenClauses, sc)
	r.forbid = forbid
}
