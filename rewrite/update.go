package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"
)

// update plans an UPDATE: of live rows only, with tombstones hidden from its
// FROM list and from every query inside.
//
// Without this rule, UPDATE users SET name = .. counts and changes rows that
// are gone.
func (r *rewriter) update(x *pg.UpdateStmt, sc *scope) {
	sc = r.with(x.WithClause, sc)
	table := r.target(x.Relation, false)
	if x.Relation.Relname == "pg_settings" {
		r.setsConfig = true // the view's rule calls set_config()
	}
	atCursor := r.isCurrentOf(x.WhereClause)
	l := r.list(x.FromClause, !atCursor, sc, x.Relation)
	tests := l.tests
	if table != nil && r.mayChange(x.Relation, table, "UPDATE") {
		switch {
		case table.Unmarked:
			r.touch(table, Unmarked, x.Relation.Location, Passed)
		case !atCursor:
			if test := r.test(x.Relation, table, l.bare[x.Relation.Relname] > 1); test != "" {
				tests = append([]string{test}, tests...)
			}
			fallthrough
		default:
			// The session saw a cursor's row when the cursor did, and CURRENT OF
			// takes no condition beside it.
			r.seen(table, UpdateLive, x.Relation.Location)
		}
	}
	if len(tests) > 0 && !atCursor {
		i := r.at(x.Relation.Location)
		if i < 0 {
			r.refuse("internal", x.Relation.Location)
			return
		}
		_, to := r.reached(x.Relation, nil, i)
		r.where(to, x.WhereClause != nil, tests)
	}
	r.exprs(x.TargetList, sc)
	r.expr(unwrap(x.WhereClause), sc)
	r.exprs(x.ReturningList, sc)
}

// isCurrentOf reports whether a statement is about a cursor's row, which is
// then known by the cursor's name.
func (r *rewriter) isCurrentOf(where *pg.Node) bool {
	c, ok := unwrap(where).(*pg.CurrentOfExpr)
	if ok {
		r.stmt.Cursor, r.stmt.Cursors = c.CursorName, Uses
	}
	return ok
}
