package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"
)

// query hides tombstones in a SELECT wherever it stands: in its own FROM
// clause and in every query inside it.
func (r *rewriter) query(s *pg.SelectStmt, sc *scope) {
	sc = r.with(s.WithClause, sc)
	if s.Op == pg.SetOperation_SETOP_NONE || s.Op == pg.SetOperation_SET_OPERATION_UNDEFINED {
		r.from(s, sc)
	} else {
		r.query(s.Larg, sc)
		r.query(s.Rarg, sc)
	}
	// Everything that can hold a query but FROM, which is done, and the
	// names in FOR UPDATE OF, which are aliases and not relations.
	r.exprs(s.DistinctClause, sc)
	r.exprs(s.TargetList, sc)
	r.expr(unwrap(s.WhereClause), sc)
	r.exprs(s.GroupClause, sc)
	r.expr(unwrap(s.HavingClause), sc)
	r.exprs(s.WindowClause, sc)
	r.exprs(s.ValuesLists, sc)
	r.exprs(s.SortClause, sc)
	r.expr(unwrap(s.LimitOffset), sc)
	r.expr(unwrap(s.LimitCount), sc)
}

// with plans the queries of a WITH clause and returns the scope with their
// names. Without RECURSIVE a query sees those before it; with it, all.
//
// Without this rule, WITH users AS (..) SELECT * FROM users would be filtered
// by a column that the common table expression need not have.
func (r *rewriter) with(w *pg.WithClause, sc *scope) *scope {
	if w == nil {
		return sc
	}
	in := &scope{outer: sc, names: make(map[string]bool, len(w.Ctes))}
	if w.Recursive {
		for _, n := range w.Ctes {
			if c, ok := unwrap(n).(*pg.CommonTableExpr); ok {
				in.names[c.Ctename] = true
			}
		}
	}
	for _, n := range w.Ctes {
		c, ok := unwrap(n).(*pg.CommonTableExpr)
		if !ok {
			continue
		}
		// SEARCH and CYCLE hold names and constants only.
		r.expr(unwrap(c.Ctequery), in)
		in.names[c.Ctename] = true // from here on
	}
	return in
}

func (r *rewriter) exprs(list []*pg.Node, sc *scope) {
	for _, n := range list {
		r.expr(unwrap(n), sc)
	}
}

// expr looks for queries inside an expression, or any other piece of a tree.
func (r *rewriter) expr(m any, sc *scope) {
	switch x := m.(type) {
	case nil, *pg.ColumnRef, *pg.A_Const, *pg.ParamRef, *pg.TypeName:
		return
	case *pg.SelectStmt:
		r.query(x, sc)
		return
	case *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt:
		r.modify(x, sc, false)
		return
	case *pg.MultiAssignRef:
		// SET (a, b) = (SELECT ..): the tree has the query once for each column.
		if x.Colno > 1 {
			return
		}
	case *pg.FuncCall:
		if n := len(x.Funcname); n > 0 {
			name := x.Funcname[n-1].GetString_().GetSval()
			if name == "set_config" {
				r.setConfig(x)
			}
			r.run(x, name)
		}
	}
	children(m, func(child any) { r.expr(child, sc) })
}
