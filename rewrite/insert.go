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
	r.adds(x.Relation, "INSERT")
	conflict := r.conflict
	if c := x.OnConflictClause; c != nil {
		table, indirect := r.find(x.Relation, nil)
		switch {
		case indirect != nil && indirect.View():
			r.refuse("on-conflict", x.Relation.Location, indirect.Over.String())
		case table == nil:
		case table.Unreadable:
			r.unmarkable(table, x.Relation.Location)
		case table.Unmarked:
			r.touch(table, Unmarked, x.Relation.Location, Passed)
		default:
			r.upsert(x, table)
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
