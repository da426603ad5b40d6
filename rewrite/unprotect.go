package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// unprotects refuses DDL after which a protected table's tombstones would
// show: because the policy does not know it under its new name or place, or
// because its marker is gone. What the DDL itself destroys, as DROP TABLE
// does, it destroys.
//
// Without this rule, ALTER TABLE users RENAME TO people shows every deleted
// row as one of people.
func (r *rewriter) unprotects(m any) {
	switch x := m.(type) {
	case *pg.RenameStmt:
		r.renames(x)
	case *pg.AlterObjectSchemaStmt:
		if x.Relation == nil {
			return
		}
		if t := r.protected(x.Relation); t != nil && r.env.Set.ByItself(t) && !r.env.Set.Reaches(t, x.Newschema, t.Relation) {
			r.refuse("unprotects", x.Relation.Location, t.String())
		}
	case *pg.AlterTableStmt:
		if x.Objtype != pg.ObjectType_OBJECT_TABLE && x.Objtype != pg.ObjectType_OBJECT_FOREIGN_TABLE {
			return
		}
		for _, n := range x.Cmds {
			if c, ok := unwrap(n).(*pg.AlterTableCmd); ok {
				r.alterCommand(x.Relation, c)
			}
		}
	}
}

func (r *rewriter) renames(x *pg.RenameStmt) {
	switch x.RenameType {
	case pg.ObjectType_OBJECT_SCHEMA:
		for _, t := range r.env.Set.In(x.Subname) {
			if r.env.Set.ByItself(t) && !r.env.Set.Reaches(t, x.Newname, t.Relation) {
				r.refuse("unprotects", int32(r.stmt.start), t.String())
			}
		}
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_FOREIGN_TABLE:
		if t := r.protected(x.Relation); t != nil && r.env.Set.ByItself(t) && !r.env.Set.Reaches(t, t.Schema, x.Newname) {
			r.refuse("unprotects", x.Relation.Location, t.String())
		}
	case pg.ObjectType_OBJECT_COLUMN:
		if t := r.protected(x.Relation); t != nil {
			r.column(t, x.Subname, x.Relation.Location)
		}
	}
}

func (r *rewriter) alterCommand(rv *pg.RangeVar, c *pg.AlterTableCmd) {
	switch c.Subtype {
	case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_AlterColumnType:
		if t := r.protected(rv); t != nil {
			r.column(t, c.Name, rv.Location)
		}
	case pg.AlterTableType_AT_DropInherit:
		r.orphan(rv)
	case pg.AlterTableType_AT_DetachPartition:
		if p, ok := unwrap(c.Def).(*pg.PartitionCmd); ok {
			r.orphan(p.Name)
		}
	}
}

// orphan refuses to part a child from the parent that protects it.
func (r *rewriter) orphan(rv *pg.RangeVar) {
	if t := r.protected(rv); t != nil && !r.env.Set.ByItself(t) {
		r.refuse("unprotects", rv.Location, t.String())
	}
}

// column refuses a change of the marker.
func (r *rewriter) column(t *policy.Table, name string, offset int32) {
	if name == t.Marker && !t.Unmarked {
		r.refuse("marker-ddl", offset, name, t.String())
	}
}

// protected returns the protected table that a name in DDL stands for, or
// nil.
func (r *rewriter) protected(rv *pg.RangeVar) *policy.Table {
	if rv == nil {
		return nil
	}
	t, _ := r.find(rv, nil)
	if t == nil || t.View() {
		return nil
	}
	return t
}
