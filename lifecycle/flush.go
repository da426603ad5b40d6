package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// flush has foreign keys followed level by level, at the end of a statement that deletes rows of the table. If that is a trigger's, and called by
// what keys to the same group have taken along, the levels that are under way go on after it, and the rest is theirs to do.
func (d *Database) flush(t *Table, group []*Table) *function {
	after := trigger{
		"tombstone_flush", t, "AFTER UPDATE OF " + ident(t.Protected.Marker),
		"pg_catalog.current_setting('tombstone.following', true) IS DISTINCT FROM " + depth, "",
		t.Kind != 'p', // a statement that names a partition has no statement trigger of the whole
	}
	var late strings.Builder
	if parted := slices.DeleteFunc(d.levels(group), func(t *Table) bool { return t.Kind != 'p' }); len(parted) > 0 {
		late.WriteString("SET CONSTRAINTS " + constraints(parted, followed) + " DEFERRED;\n")
	}
	named := func(name string) func(*Table) string { return func(*Table) string { return name } }
	if strays := slices.DeleteFunc(d.levels(group), func(t *Table) bool { return d.stray(t) == nil }); len(strays) > 0 {
		list := constraints(strays, named("tombstone_stray"))
		fmt.Fprintf(&late, "SET CONSTRAINTS %[1]s IMMEDIATE;\nSET CONSTRAINTS %[1]s DEFERRED;\n", list)
	}
	fmt.Fprintf(&late, `IF %[2]s THEN
	SET CONSTRAINTS %[1]s IMMEDIATE;
	SET CONSTRAINTS %[1]s DEFERRED;
END IF;
`, constraints(d.levels(group), named("tombstone_probe")), aboveReadCommitted)
	body := fmt.Sprintf(`PERFORM pg_catalog.set_config('tombstone.following', %[1]s, true);
LOOP
	PERFORM pg_catalog.set_config(%[2]s, '', true);
	SET CONSTRAINTS %[3]s IMMEDIATE;
	EXIT WHEN pg_catalog.current_setting(%[2]s, true) OPERATOR(pg_catalog.=) '';
END LOOP;
IF level OPERATOR(pg_catalog.<>) '' AND level OPERATOR(pg_catalog.<>) %[1]s THEN
	SET CONSTRAINTS %[3]s DEFERRED;
	PERFORM pg_catalog.set_config(%[2]s, level, true);
ELSE
%[4]sEND IF;
PERFORM pg_catalog.set_config('tombstone.following', COALESCE(above, ''), true);
`, depth, literal(setting("followed", group)), constraints(d.levels(group), followed), indent(late.String()))
	return &function{
		name: dotted(t.Schema, t.Relation, "flush"), result: "NULL", triggers: []trigger{after}, body: body,
		declare: fmt.Sprintf("above pg_catalog.text := pg_catalog.current_setting('tombstone.following', true);\nlevel pg_catalog.text := pg_catalog.current_setting(%s, true); -- the depth at which it is under way\n",
			literal(setting("followed", group))),
		about: "After a statement that deletes rows of " + t.Name.String() + ": has foreign keys followed, level by level.",
	}
}

// levels lists the tables of a group whose keys are followed level by level: a deletion of the others starts nothing.
func (d *Database) levels(group []*Table) []*Table {
	return slices.DeleteFunc(slices.Clone(group), func(t *Table) bool { return !d.flushed(t) })
}

// followed is the name of the trigger that follows the keys to a table. It comes before those that hold deferrable keys, which have the names of the
// keys: as the server does it, what a key takes along does not stand in the way of another.
//
// A statement that names a partition has no trigger of the whole table that is called at its end. There, the first level waits for flush, too, which
// is called for each row: else the keys of the first row would be followed to their end before those of the second.
func followed(t *Table) string {
	if t.Kind == 'p' {
		return "First_tombstone_follow_late"
	}
	return "First_tombstone_follow"
}

// constraints names the constraint triggers of tables of a group.
func constraints(group []*Table, name func(*Table) string) string {
	var list []string
	for _, t := range group {
		if one := ident(t.Schema) + "." + ident(name(t)); !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return strings.Join(list, ", ")
}
