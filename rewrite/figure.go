package rewrite

import pg "github.com/pganalyze/pg_query_go/v5"

// figureName names a column of a result as the server does where the query
// does not (FigureColname in parse_target.c), for expressions whose name can
// come from a column. Strength 0 means none, 1 one that a better one replaces.
func figureName(m any) (name string, strength int) {
	switch x := m.(type) {
	case *pg.ColumnRef:
		for _, f := range x.Fields {
			if s := f.GetString_(); s != nil {
				name, strength = s.Sval, 2
			}
		}
	case *pg.A_Indirection:
		for _, f := range x.Indirection {
			if s := f.GetString_(); s != nil {
				name, strength = s.Sval, 2
			}
		}
		if strength == 0 {
			return figureName(unwrap(x.Arg))
		}
	case *pg.FuncCall:
		return x.Funcname[len(x.Funcname)-1].GetString_().GetSval(), 2
	case *pg.TypeCast:
		if name, strength = figureName(unwrap(x.Arg)); strength <= 1 {
			if names := x.TypeName.GetNames(); len(names) > 0 {
				return names[len(names)-1].GetString_().GetSval(), 1
			}
		}
	case *pg.CollateClause:
		return figureName(unwrap(x.Arg))
	case *pg.CaseExpr:
		if name, strength = figureName(unwrap(x.Defresult)); strength <= 1 {
			return "case", 1
		}
	case *pg.SubLink:
		sub, ok := unwrap(x.Subselect).(*pg.SelectStmt)
		if x.SubLinkType == pg.SubLinkType_EXPR_SUBLINK && ok && len(sub.TargetList) > 0 {
			t, ok := unwrap(sub.TargetList[0]).(*pg.ResTarget)
			switch {
			case ok && t.Name != "":
				return t.Name, 2
			case ok:
				return figureName(unwrap(t.Val))
			}
		}
		if x.SubLinkType == pg.SubLinkType_ARRAY_SUBLINK {
			return "array", 2
		}
		if x.SubLinkType == pg.SubLinkType_EXISTS_SUBLINK {
			return "exists", 2
		}
	case *pg.RowExpr:
		return "row", 2
	case *pg.A_ArrayExpr:
		return "array", 2
	case *pg.CoalesceExpr:
		return "coalesce", 2
	case *pg.MinMaxExpr:
		if x.Op == pg.MinMaxOp_IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	case *pg.A_Expr:
		if x.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", 2
		}
	}
	return name, strength
}
