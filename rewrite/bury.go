package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// bury turns a DELETE from a protected table into an UPDATE that marks the
// rows, and returns that table. From any other table it hides tombstones in
// the USING list and leaves the rest alone.
//
//	DELETE FROM users u USING bans b WHERE b.id = u.id
//	UPDATE users u SET deleted_at = now() FROM bans b WHERE (b.id = u.id) AND u.deleted_at IS NULL
//
// Without the last condition a second DELETE would count the row again and
// move the time of its deletion.
func (r *rewriter) bury(x *pg.DeleteStmt, sc *scope) *policy.Table {
	sc = r.with(x.WithClause, sc)
	table := r.target(x.Relation, true)
	atCursor := r.isCurrentOf(x.WhereClause)
	l := r.list(x.UsingClause, !atCursor, sc, x.Relation)
	tests := l.tests
	i := r.at(x.Relation.Location)
	if i < 0 {
		if table != nil || len(tests) > 0 {
			r.refuse("internal", x.Relation.Location)
		}
		return nil
	}
	from, to := r.relation(i)
	if x.Relation.Alias != nil {
		to = r.aliasEnd(x.Relation.Alias, to)
	}
	if table != nil && !r.mayChange(x.Relation, table, "DELETE") {
		return nil
	}
	if table != nil && r.asks.Purge {
		if test := r.purge(x.Relation, table, l.bare[x.Relation.Relname] > 1); test != "" && !atCursor {
			tests = append([]string{test}, tests...)
		}
		table = nil
	}
	if table != nil {
		if table.Problem != "" {
			r.unmarkable(table, x.Relation.Location)
			return nil
		}
		if !r.word(from-1, "from") || !r.word(from-2, "delete") || len(x.UsingClause) > 0 && !r.word(to, "using") {
			r.refuse("internal", x.Relation.Location)
			return nil
		}
		if atCursor && r.asks.Visibility != Live {
			r.refuse("deletes-again", x.Relation.Location, table.String())
			return nil
		}
		rule := BuryCurrent
		if !atCursor {
			rule = BuryDelete
			tests = append([]string{r.buries(x.Relation, table, l.bare[x.Relation.Relname] > 1)}, tests...)
		}
		r.replace(from-2, from-2, "UPDATE")
		r.drop(from-1, from-1)
		r.putAfter(to-1, " SET "+r.stamp(table))
		if len(x.UsingClause) > 0 {
			r.replace(to, to, "FROM")
		}
		r.touch(table, rule, x.Relation.Location, Buried)
	}
	if len(tests) > 0 && !atCursor {
		r.where(to, x.WhereClause != nil, tests)
	}
	r.expr(unwrap(x.WhereClause), sc)
	r.exprs(x.ReturningList, sc)
	if table != nil {
		r.returning(x, table, sc, l.bare[x.Relation.Relname] > 1)
	}
	return table
}
