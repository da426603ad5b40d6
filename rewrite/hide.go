package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// level is one FROM or USING list: what its WHERE has to say, and where the
// list is.
type level struct {
	scope  *scope
	tests  []string       // conditions for WHERE
	anchor int            // a token of the list, -1 while none is known
	bare   map[string]int // how often each relation name is used without an alias
}

// from hides tombstones in the FROM clause of a SELECT.
//
// Without this rule, SELECT count(*) FROM users counts the deleted ones too.
func (r *rewriter) from(s *pg.SelectStmt, sc *scope) {
	if len(s.FromClause) == 0 {
		return
	}
	if r.isTableCommand(s) {
		r.tableCommand(unwrap(s.FromClause[0]).(*pg.RangeVar), sc)
		return
	}
	l := r.list(s.FromClause, true, sc, nil)
	if len(l.tests) > 0 {
		r.where(r.text.query(l.anchor), s.WhereClause != nil, l.tests)
	}
}

// list plans the items of a FROM or USING list. With where unset nothing may
// be said in WHERE. target is the relation an UPDATE or DELETE changes, whose
// name is in scope too.
func (r *rewriter) list(items []*pg.Node, where bool, sc *scope, target *pg.RangeVar) *level {
	l := &level{scope: sc, anchor: -1, bare: map[string]int{}}
	if target != nil {
		l.count(target)
	}
	for _, n := range items {
		l.countIn(unwrap(n))
	}
	for _, n := range items {
		r.item(unwrap(n), where, l)
	}
	return l
}

// item plans one table reference. where says whether a condition in WHERE
// means the same as one at the reference.
func (r *rewriter) item(m any, where bool, l *level) {
	switch x := m.(type) {
	case *pg.RangeVar:
		r.reference(x, nil, where, l)
	case *pg.RangeTableSample:
		if rv, ok := unwrap(x.Relation).(*pg.RangeVar); ok {
			r.reference(rv, x, where, l)
		}
		r.exprs(x.Args, l.scope)
		r.expr(unwrap(x.Repeatable), l.scope)
	case *pg.JoinExpr:
		left, right := where, where
		switch x.Jointype {
		case pg.JoinType_JOIN_LEFT:
			right = false
		case pg.JoinType_JOIN_RIGHT:
			left = false
		case pg.JoinType_JOIN_FULL:
			left, right = false, false
		}
		if x.Alias != nil {
			// (a JOIN b ON ..) AS j hides the names a and b from WHERE.
			left, right = false, false
		}
		r.item(unwrap(x.Larg), left, l)
		r.item(unwrap(x.Rarg), right, l)
		r.expr(unwrap(x.Quals), l.scope)
	default:
		r.expr(m, l.scope)
	}
}

// reference hides tombstones at one reference to a relation.
//
// The condition goes into WHERE where a person would write it. On the side of
// an outer join that may be padded with NULLs it cannot:
//
//	SELECT .. FROM orders o LEFT JOIN users u ON u.id = o.user_id
//
// must keep an order of a deleted user, with NULLs for the user. There, and
// under a join's alias, the reference becomes a join with nothing:
//
//	(users u JOIN (SELECT) AS _t1 ON u.deleted_at IS NULL)
//
// which the planner removes, and which keeps the names, columns, ctid and row
// type of the reference as they are.
func (r *rewriter) reference(rv *pg.RangeVar, sample *pg.RangeTableSample, where bool, l *level) {
	i := r.at(rv.Location)
	table := r.lookup(rv, l.scope)
	if table == nil {
		return
	}
	if i < 0 {
		r.refuse("internal", rv.Location)
		return
	}
	if table.Unmarked {
		r.touch(table, Unmarked, rv.Location, Passed)
		return
	}
	if r.ambiguous(rv, table) {
		r.subquery(rv, table, sample, i)
		return
	}
	test := r.test(rv, table, l.bare[rv.Relname] > 1)
	if test == "" {
		r.seen(table, HideWhere, rv.Location)
		return
	}
	if where {
		l.tests = append(l.tests, test)
		if l.anchor < 0 {
			l.anchor = i
		}
		r.seen(table, HideWhere, rv.Location)
		return
	}
	from, to := r.reached(rv, sample, i)
	if to > len(r.toks) {
		r.refuse("internal", rv.Location)
		return
	}
	r.putBefore(from, "(")
	r.putAfter(to-1, " JOIN (SELECT) AS "+r.name()+" ON "+test+")")
	r.seen(table, HideJoin, rv.Location)
}

// reached returns the span of tokens of a table reference: the relation, its
// alias with column names, and its TABLESAMPLE clause.
func (r *rewriter) reached(rv *pg.RangeVar, sample *pg.RangeTableSample, i int) (from, to int) {
	from, to = r.relation(i)
	if rv.Alias != nil {
		to = r.aliasEnd(rv.Alias, to)
	}
	if sample != nil {
		for to < len(r.toks) && !r.is(to, '(') { // TABLESAMPLE and the method's name
			to++
		}
		to = r.closing(to) + 1
		if r.word(to, "repeatable") {
			to = r.closing(to+1) + 1
		}
	}
	return from, to
}

// closing returns the ")" of the "(" at token i.
func (r *rewriter) closing(i int) int {
	if i >= len(r.toks) {
		return i
	}
	return int(r.match[i])
}

// aliasEnd returns the token after the alias that starts at token i.
func (r *rewriter) aliasEnd(a *pg.Alias, i int) int {
	if r.word(i, "as") {
		i++
	}
	i = r.identEnd(i)
	if len(a.Colnames) > 0 && r.is(i, '(') {
		i = r.closing(i) + 1
	}
	return i
}

func qualifier(rv *pg.RangeVar, table *policy.Table, twice bool) string {
	switch {
	case rv.Alias != nil:
		return quote(rv.Alias.Aliasname)
	case rv.Schemaname != "" || twice:
		return quote(table.Schema) + "." + quote(rv.Relname)
	}
	return quote(rv.Relname)
}

// marker returns the marker's name at a reference.
func (r *rewriter) marker(rv *pg.RangeVar, table *policy.Table) string {
	return r.columnAt(rv, table, table.Ordinal, table.Marker)
}

// ambiguous reports whether column aliases give another column the name by
// which the marker is known at a reference: users u(deleted_at, ..). The same
// goes for the column that says since when rows exist, where that is asked.
func (r *rewriter) ambiguous(rv *pg.RangeVar, table *policy.Table) bool {
	if rv.Alias == nil || len(rv.Alias.Colnames) == 0 {
		return false
	}
	twice := func(ordinal int, column string) bool {
		name := r.columnAt(rv, table, ordinal, column)
		for i, n := range rv.Alias.Colnames {
			if i != ordinal && n.GetString_().GetSval() == name {
				return true
			}
		}
		return false
	}
	if c := r.created(table); c != nil && r.asks.AsOf != "" && twice(r.ordinal(table, c.Name), c.Name) {
		return true
	}
	return twice(table.Ordinal, table.Marker)
}

// subquery hides tombstones at a reference whose marker cannot be named, in a
// query of its own:
//
//	users u(deleted_at, b)
//	(SELECT * FROM users WHERE users.deleted_at IS NULL) u(deleted_at, b)
//
// What that loses, system columns and the row's type, fails where it is used.
func (r *rewriter) subquery(rv *pg.RangeVar, table *policy.Table, sample *pg.RangeTableSample, i int) {
	if sample != nil && !(r.asks.Visibility == All && r.asks.AsOf == "") {
		r.refuse("renamed-marker", rv.Location, table.String())
		return
	}
	bare := &pg.RangeVar{Schemaname: rv.Schemaname, Relname: rv.Relname}
	if test := r.test(bare, table, false); test != "" {
		from, to := r.relation(i)
		r.putBefore(from, "(SELECT * FROM ")
		r.putAfter(to-1, " WHERE "+test+")")
	}
	r.seen(table, HideSubquery, rv.Location)
}

// where adds conditions to the WHERE clause of the query at whose level
// token i is, or gives it one. The old condition goes into parentheses.
//
// Without these, a OR b AND u.deleted_at IS NULL would show the tombstones
// for which a holds.
func (r *rewriter) where(i int, has bool, tests []string) {
	test := strings.Join(tests, " AND ")
	stop := r.clause(i, r.conflict)
	if !has {
		if r.word(stop, "where") && !r.label(stop) {
			r.refuse("internal", -1)
			return
		}
		r.putAfter(stop-1, " WHERE "+test)
		return
	}
	if !r.word(stop, "where") {
		r.refuse("internal", -1)
		return
	}
	end := r.clause(stop+1, r.conflict)
	if end <= stop+1 {
		r.refuse("internal", -1)
		return
	}
	r.putBefore(stop+1, "(")
	r.putAfter(end-1, ") AND "+test)
}

// isTableCommand tells TABLE t from SELECT * FROM t, which have one tree.
func (r *rewriter) isTableCommand(s *pg.SelectStmt) bool {
	rv, ok := unwrap(s.FromClause[0]).(*pg.RangeVar)
	if !ok || len(s.FromClause) != 1 {
		return false
	}
	i := r.at(rv.Location)
	if i < 0 {
		return false
	}
	from, _ := r.relation(i)
	return r.word(from-1, "table")
}

// tableCommand hides tombstones in TABLE t.
//
// Without this rule, TABLE users shows every row: it has no WHERE.
func (r *rewriter) tableCommand(rv *pg.RangeVar, sc *scope) {
	table := r.lookup(rv, sc)
	if table == nil {
		return
	}
	if table.Unmarked {
		r.touch(table, Unmarked, rv.Location, Passed)
		return
	}
	if test := r.test(rv, table, false); test != "" {
		from, to := r.relation(r.at(rv.Location))
		r.replace(from-1, from-1, "SELECT * FROM")
		r.plan.changes[len(r.plan.changes)-1].silent = true // TABLE has no list to point at
		r.putAfter(to-1, " WHERE "+test)
	}
	r.seen(table, HideTable, rv.Location)
}

// countIn counts the relations that a table reference names without an
// alias: a bare name that is used twice is ambiguous.
func (l *level) countIn(m any) {
	switch x := m.(type) {
	case *pg.RangeVar:
		l.count(x)
	case *pg.RangeTableSample:
		l.countIn(unwrap(x.Relation))
	case *pg.JoinExpr:
		l.countIn(unwrap(x.Larg))
		l.countIn(unwrap(x.Rarg))
	}
}

func (l *level) count(rv *pg.RangeVar) {
	if rv.Alias == nil {
		l.bare[rv.Relname]++
	}
}
