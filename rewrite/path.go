package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// path is a search_path that a statement of the text has set. Schemas that do
// not exist are in it too, which does no harm: nothing is found there.
type path struct{ schemas []string }

// setsPath notes the search_path that a SET gives for the statements behind
// it in the same text.
//
// Without this rule, SET search_path = archive; DELETE FROM users would have
// to be refused.
func (r *rewriter) setsPath(x *pg.VariableSetStmt) {
	schemas, ok := literalPath(x)
	if !ok {
		return
	}
	// The temporary schema comes first unless it is named.
	temporary := ""
	for _, schema := range r.env.Path {
		if strings.HasPrefix(schema, "pg_temp_") {
			temporary = schema
		}
	}
	if i := slices.Index(schemas, "pg_temp"); i >= 0 {
		schemas[i] = temporary
	} else if temporary != "" {
		schemas = append([]string{temporary}, schemas...)
	}
	r.newPath = &path{schemas}
}

// searched returns the schemas in which names are looked up just here.
func (r *rewriter) searched() []string {
	if r.path != nil {
		return r.path.schemas
	}
	return r.env.Path
}

// searchSet resolves a name under a search_path that the text itself has set.
// The role may lack the right to use a schema that it had not in its path
// before; then the server looks on.
func (r *rewriter) searchSet(rv *pg.RangeVar) (*policy.Table, *policy.Indirect) {
	var table *policy.Table
	var indirect *policy.Indirect
	perhaps := false // something was found in a schema that may not be used
	for _, schema := range r.path.schemas {
		if strings.HasPrefix(schema, "pg_temp_") && slices.Contains(r.env.Temp, rv.Relname) {
			return nil, nil
		}
		if !r.env.Set.Exists(schema, rv.Relname) {
			continue
		}
		t, i := r.unlessHidden(rv, schema)
		if perhaps && i == indirect && table.Alike(t) {
			break // one schema for each tenant: the edits are the same
		}
		if perhaps && (t != table || i != indirect) {
			r.refuse("moved-names", rv.Location, rv.Relname)
			return nil, nil
		}
		table, indirect = t, i
		if slices.Contains(r.env.Path, schema) {
			break
		}
		perhaps = true
	}
	return table, indirect
}

// literalPath returns the search_path that a SET gives, if it can be told
// from its words alone. As the server does, it puts pg_catalog first where it
// is not named.
func literalPath(x *pg.VariableSetStmt) (schemas []string, ok bool) {
	if x.Kind != pg.VariableSetKind_VAR_SET_VALUE {
		return nil, false
	}
	for _, n := range x.Args {
		c := n.GetAConst()
		if c.GetSval() == nil || c.GetSval().GetSval() == "$user" {
			return nil, false // a name that depends on the role
		}
		if strings.IndexByte(c.GetSval().GetSval(), hidden) >= 0 {
			return nil, false
		}
		schemas = append(schemas, c.GetSval().GetSval())
	}
	if !slices.Contains(schemas, "pg_catalog") {
		schemas = append([]string{"pg_catalog"}, schemas...)
	}
	return schemas, true
}
