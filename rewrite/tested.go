package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// tests says of each reference to a relation which of its columns conditions of its query look at.
type tests map[int]*reference

type reference struct {
	name    string // its alias, or the relation's name
	columns []string
	named   []string // those that its query names anywhere, if only to show them
	current bool     // a cursor's row: it was live when the cursor saw it, if the cursor tests
}

// has reports whether the reference at an offset is tested by that column.
func (t tests) has(offset int, column string) bool {
	r := t[offset]
	return r != nil && (r.current || slices.Contains(r.columns, column))
}

// names reports whether the query of the reference at an offset names that column of it, in a condition or else.
func (t tests) names(offset int, column string) bool {
	r := t[offset]
	return r != nil && (r.current || slices.Contains(r.named, column))
}

// level of queries: one has the references of its FROM list, and those around it are in its scope.
type queryLevel struct {
	outer *queryLevel
	refs  []*reference
	named []mention
}

// mention is a column that a query names.
type mention struct {
	qualifier, column string
	cond              bool // in a condition
}

// tested looks where a text tests columns of what it reads: in WHERE, ON, HAVING, FILTER or CASE, and in what an UPDATE sets. A column in a
// list of results does not count: SELECT id, deleted_at FROM users still returns the deleted.
func tested(sql string) tests {
	found := tests{}
	tree, err := treeOf(sql)
	if err != nil {
		return found
	}
	var levels []*queryLevel
	var look func(m any, q *queryLevel, cond bool)
	look = func(m any, q *queryLevel, cond bool) {
		within := func(q *queryLevel, conditions ...*pg.Node) {
			children(m, func(c any) {
				isCondition := slices.ContainsFunc(conditions, func(n *pg.Node) bool { return n != nil && unwrap(n) == c })
				look(c, q, cond || isCondition)
			})
		}
		deeper := func() *queryLevel {
			q := &queryLevel{outer: q}
			levels = append(levels, q)
			return q
		}
		switch x := m.(type) {
		case *pg.SelectStmt:
			within(deeper(), x.WhereClause, x.HavingClause)
		case *pg.UpdateStmt:
			q := deeper()
			within(q, x.WhereClause)
			if target := found[int(x.Relation.GetLocation())]; target != nil {
				for _, n := range x.TargetList {
					target.columns = append(target.columns, n.GetResTarget().GetName())
				}
				_, target.current = unwrap(x.WhereClause).(*pg.CurrentOfExpr)
			}
		case *pg.DeleteStmt:
			within(deeper(), x.WhereClause)
		case *pg.MergeStmt:
			within(deeper(), x.JoinCondition)
		case *pg.InsertStmt:
			within(deeper())
		case *pg.JoinExpr:
			within(q, x.Quals)
		case *pg.FuncCall:
			within(q, x.AggFilter)
		case *pg.CaseWhen:
			within(q, x.Expr)
		case *pg.RangeVar:
			r := &reference{name: x.Relname}
			if x.Alias != nil {
				r.name = x.Alias.Aliasname
			}
			found[int(x.Location)] = r
			if q != nil {
				q.refs = append(q.refs, r)
			}
		case *pg.ColumnRef:
			if q != nil {
				q.named = append(q.named, mentionOf(x, cond))
			}
		default:
			within(q)
		}
	}
	for _, s := range tree.Stmts {
		look(unwrap(s.Stmt), nil, false)
	}
	for _, q := range levels {
		for _, c := range q.named {
			q.settle(c)
		}
	}
	return found
}

func mentionOf(x *pg.ColumnRef, cond bool) (c mention) {
	c.cond = cond
	n := len(x.Fields)
	if n > 0 {
		c.column = x.Fields[n-1].GetString_().GetSval()
	}
	if n > 1 {
		c.qualifier = x.Fields[n-2].GetString_().GetSval()
	}
	return c
}

// settle finds whose column is named: without a qualifier that of any relation of its own query, which is as good as a person's
// guess; else that of the nearest relation of the name.
func (q *queryLevel) settle(c mention) {
	for level := q; level != nil; level = level.outer {
		hit := false
		for _, r := range level.refs {
			if c.qualifier == "" || r.name == c.qualifier {
				if c.cond {
					r.columns = append(r.columns, c.column)
				}
				r.named = append(r.named, c.column)
				hit = true
			}
		}
		if hit {
			return
		}
	}
}
