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
	atCursor := isCurrentOf(x.WhereClause)
	l := r.list(x.FromClause, !atCursor, sc, x.Relation)
	tests := l.tests
	if table != nil {
		switch {
		case table.Unmarked:
			r.touch(table, Unmarked, x.Relation.Location, Passed)
		case !atCursor:
			tests = append([]string{r.test(x.Relation, table, l.bare[x.Relation.Relname] > 1)}, tests...)
			fallthrough
		default:
			// A cursor's row was live when the cursor saw it, and CURRENT OF
			// takes no condition beside it.
			r.touch(table, UpdateLive, x.Relation.Location, Hidden)
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

func isCurrentOf(where *pg.Node) bool {
	_, ok := unwrap(where).(*pg.CurrentOfExpr)
	return ok
}
