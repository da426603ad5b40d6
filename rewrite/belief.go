package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// belief says whose column a name without a qualifier means.
type belief int

const (
	unclear belief = iota
	targets        // the target's, if anybody's
	others         // that of another relation in scope
)

// bare says whose column an unqualified name means: that of the innermost
// query that has one, and of all else in the USING list the target's.
func (o *oldRow) bare(name string) belief {
	if b, ok := o.beliefs[name]; ok {
		return b
	}
	b := targets
	for i := len(o.within) - 1; i >= 0 && b == targets; i-- {
		b = o.among(o.within[i].FromClause, name)
	}
	if b == targets {
		b = o.among(o.x.UsingClause, name)
	}
	o.beliefs[name] = b
	return b
}

// among says whether some item of a FROM list has a column of that name.
func (o *oldRow) among(items []*pg.Node, name string) belief {
	b := targets
	for _, n := range items {
		switch o.has(unwrap(n), name) {
		case others:
			return others
		case unclear:
			b = unclear
		}
	}
	return b
}

func (o *oldRow) has(m any, name string) belief {
	var columns []string
	switch x := m.(type) {
	case *pg.RangeVar:
		if x.Alias != nil && len(x.Alias.Colnames) > 0 || x.Schemaname == "" && o.isCTE(x.Relname) {
			return unclear
		}
		read, known := o.columnsOf(x)
		switch {
		case !known:
			return unclear
		case len(read) == 0 && name == o.table.Marker:
			return targets // columns are read of all relations with a marker
		case len(read) == 0:
			return unclear
		}
		for _, c := range read {
			columns = append(columns, c.Name)
		}
	case *pg.RangeTableSample:
		return o.has(unwrap(x.Relation), name)
	case *pg.JoinExpr:
		if x.Alias != nil && len(x.Alias.Colnames) > 0 {
			return unclear
		}
		return o.among([]*pg.Node{x.Larg, x.Rarg}, name)
	case *pg.RangeSubselect:
		q, ok := unwrap(x.Subquery).(*pg.SelectStmt)
		if !ok || len(x.Alias.GetColnames()) > 0 || q.Larg != nil || len(q.ValuesLists) > 0 {
			return unclear
		}
		for _, n := range q.TargetList {
			t, ok := unwrap(n).(*pg.ResTarget)
			if !ok {
				return unclear
			}
			if c, ok := unwrap(t.Val).(*pg.ColumnRef); ok && unwrap(c.Fields[len(c.Fields)-1]) != nil {
				if _, star := unwrap(c.Fields[len(c.Fields)-1]).(*pg.A_Star); star {
					return unclear
				}
			}
			column := t.Name
			if column == "" {
				column, _ = figureName(unwrap(t.Val))
			}
			columns = append(columns, column)
		}
	default:
		return unclear
	}
	if slices.Contains(columns, name) {
		return others
	}
	return targets
}

// isCTE reports whether a name is that of a common table expression in scope.
func (o *oldRow) isCTE(name string) bool {
	if o.scope.has(name) {
		return true
	}
	for _, q := range o.within {
		for _, n := range q.GetWithClause().GetCtes() {
			if c, ok := unwrap(n).(*pg.CommonTableExpr); ok && c.Ctename == name {
				return true
			}
		}
	}
	return false
}
