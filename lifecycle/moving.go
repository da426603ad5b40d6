package lifecycle

// moving tells the guard which row an UPDATE may take to another partition: that is a DELETE and an INSERT to triggers.
func moving(t *Table) *function {
	return &function{
		name: dotted(t.Schema, t.Relation, "moving"), result: "NEW",
		about:    "Before a row of " + t.Name.String() + " goes to another partition: tells the guard that it is not lost.",
		body:     "PERFORM pg_catalog.set_config(" + mover + ", " + moves + ", true);\n",
		triggers: []trigger{{"tombstone_moving", t, "BEFORE UPDATE OF " + idents("", t.partitionKey), "", "", false}},
	}
}

// mover is the setting that holds the row OLD, as moves writes it, while it goes to another partition or to the archive. tombstone.guard() writes both
// as they are here.
//
// The depth is in its name, since a trigger of the application may move other rows before this one goes. The time is in it because such a trigger may
// keep the row where it is: then nobody tells that it has not gone, and a DELETE that comes later would be let through.
const (
	mover = "'tombstone.moving_' OPERATOR(pg_catalog.||) pg_catalog.pg_trigger_depth()::pg_catalog.text"
	moves = "pg_catalog.format('%s %s %s', OLD.tableoid, OLD.ctid, pg_catalog.statement_timestamp())"
)
