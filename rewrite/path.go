package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// literalPath returns the search_path that a SET gives, if it can be told
// from its words alone. As the server does, it puts pg_catalog first where it
// is not named.
func literalPath(x *pg.VariableSetStmt) (path []string, ok bool) {
	if x.Kind != pg.VariableSetKind_VAR_SET_VALUE {
		return nil, false
	}
	catalog := false
	for _, n := range x.Args {
		c := n.GetAConst()
		if c.GetSval() == nil {
			return nil, false
		}
		schema := c.GetSval().GetSval()
		if len(x.Args) == 1 && strings.ContainsAny(schema, `,"`) || schema == "$user" {
			return nil, false // a list in one string; a name that depends on the role
		}
		catalog = catalog || schema == "pg_catalog"
		path = append(path, schema)
	}
	if !catalog {
		path = append([]string{"pg_catalog"}, path...)
	}
	return path, true
}
