package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// altersOnly reports whether an ALTER TABLE changes columns, constraints and
// the like of a table that stays what it is: protected or not, under its
// name, with its marker.
//
// Without this rule, ALTER TABLE users ADD COLUMN age int; UPDATE users SET
// age = 7 in one message, as migrations send it, would have to be refused.
func (r *rewriter) altersOnly(x *pg.AlterTableStmt) bool {
	if x.Objtype != pg.ObjectType_OBJECT_TABLE {
		return false
	}
	for _, n := range x.Cmds {
		c, ok := unwrap(n).(*pg.AlterTableCmd)
		if !ok {
			return false
		}
		name := c.Name
		switch c.Subtype {
		case pg.AlterTableType_AT_AddColumn:
			if d, ok := unwrap(c.Def).(*pg.ColumnDef); ok {
				name = d.Colname
			}
		case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_ColumnDefault,
			pg.AlterTableType_AT_SetNotNull, pg.AlterTableType_AT_DropNotNull, pg.AlterTableType_AT_SetStatistics,
			pg.AlterTableType_AT_SetStorage, pg.AlterTableType_AT_AddIdentity, pg.AlterTableType_AT_DropIdentity:
		case pg.AlterTableType_AT_AddConstraint, pg.AlterTableType_AT_DropConstraint, pg.AlterTableType_AT_ValidateConstraint,
			pg.AlterTableType_AT_ChangeOwner, pg.AlterTableType_AT_SetRelOptions, pg.AlterTableType_AT_ResetRelOptions,
			pg.AlterTableType_AT_EnableTrig, pg.AlterTableType_AT_DisableTrig, pg.AlterTableType_AT_ReplicaIdentity,
			pg.AlterTableType_AT_EnableRowSecurity, pg.AlterTableType_AT_DisableRowSecurity,
			pg.AlterTableType_AT_ForceRowSecurity, pg.AlterTableType_AT_NoForceRowSecurity:
			continue // the name is that of a constraint, an owner or a trigger
		default:
			return false
		}
		if r.env.Stale || r.env.Set.Marks(name) {
			return false
		}
	}
	return true
}

// changesNothing reports whether an ALTER leaves what every name means as it is, and what is protected by it: one of how an index
// is kept, and one that parts a partition from its parent when neither has to do with a protected table.
//
// Without this rule, DETACH PARTITION CONCURRENTLY, which is long under way, ends every transaction above READ COMMITTED with a
// serialization failure.
func (r *rewriter) changesNothing(x *pg.AlterTableStmt) bool {
	for _, n := range x.Cmds {
		c, ok := unwrap(n).(*pg.AlterTableCmd)
		if !ok {
			return false
		}
		switch c.Subtype {
		case pg.AlterTableType_AT_SetRelOptions, pg.AlterTableType_AT_ResetRelOptions:
			if x.Objtype != pg.ObjectType_OBJECT_INDEX {
				return false
			}
		case pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_DetachPartitionFinalize:
			p, ok := unwrap(c.Def).(*pg.PartitionCmd)
			if !ok || r.env.Stale || r.env.Set.Covers(x.Relation.GetRelname()) || r.env.Set.Covers(p.Name.GetRelname()) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// dropsNoTable reports whether a DROP takes types or functions, and nothing else with them.
func dropsNoTable(x *pg.DropStmt) bool {
	switch x.RemoveType {
	case pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN,
		pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE, pg.ObjectType_OBJECT_AGGREGATE:
		return x.Behavior != pg.DropBehavior_DROP_CASCADE
	}
	return false
}

// needsColumns refuses a statement that cannot do without a table's columns
// or indexes when an earlier one of the same text has changed them.
func (r *rewriter) needsColumns(table *policy.Table, offset int32) {
	if len(r.altered) > 0 { // the columns of a parent are its children's too
		r.refuse("moved-names", offset, table.Relation)
	}
}
