package lifecycle

// moving tells the guard which row an UPDATE may take to another partition: that is a DELETE and an INSERT to triggers.
func moving(t *Table) *function {
	return &function{
		name: dotted(t.Schema, t.Relation, "moving"), result: "NEW",
		about:    "Before a row of " + t.Name.String() + " goes to another partition: tells the guard that it is not lost.",
		body:     "PERFORM pg_catalog.set_config('tombstone.moving', pg_catalog.format('%s %s', OLD.tableoid, OLD.ctid), true);\n",
		triggers: []trigger{{"tombstone_moving", t, "BEFORE UPDATE OF " + idents("", t.partitionKey), "", "", false}},
	}
}
