package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/rewrite/lex"
)

// joins reports whether DDL may make one of the relations that it names show
// rows of another: a parent those of its child, a view those of what it reads.
func joins(m any) bool {
	switch x := m.(type) {
	case *pg.CreateStmt:
		return len(x.InhRelations) > 0
	case *pg.AlterTableStmt:
		for _, n := range x.Cmds {
			if c, ok := unwrap(n).(*pg.AlterTableCmd); ok {
				switch c.Subtype {
				case pg.AlterTableType_AT_AddInherit, pg.AlterTableType_AT_AttachPartition:
					return true
				}
			}
		}
	case *pg.ViewStmt, *pg.RenameStmt, *pg.AlterObjectSchemaStmt:
		return true
	case *pg.CreateTableAsStmt:
		return x.Objtype == pg.ObjectType_OBJECT_MATVIEW
	}
	return false
}

// taint notes the names in a statement that joins relations, if one of them is
// protected or joined to one that is.
//
// Without this rule, ALTER TABLE animals INHERIT beings; DELETE FROM beings
// really deletes from protected animals.
func (r *rewriter) taint(first, last int) {
	var names []string
	involved := false
	for i := r.before(first) + 1; i < len(r.toks) && r.end(i) <= last; i++ {
		switch r.toks[i].Kind {
		case lex.Ident, lex.QuotedIdent:
			name := r.toks[i].Name(r.sql)
			names = append(names, name)
			involved = involved || r.env.Set.Covers(name) || r.tainted[name]
		case lex.UIdent:
			r.anything = true
		}
	}
	if !involved {
		return
	}
	if r.tainted == nil {
		r.tainted = map[string]bool{}
	}
	for _, name := range names {
		r.tainted[name] = true
	}
}
