package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// flush has foreign keys followed level by level, at the end of a statement that deletes rows of the table. If that is a trigger's, and called by
// what keys to the same group have taken along, the levels that are under way go on after it, and the rest is theirs to do.
func (d *Database) flush(t *Table, group []*Table) *function {
	following, level := literal(setting("following", group)), literal(setting("followed", group))
	after := trigger{
		"tombstone_flush", t, "AFTER UPDATE OF " + ident(t.Protected.Marker),
		"pg_catalog.current_setting(" + following + ", true) IS DISTINCT FROM " + depth, "",
		t.Kind != 'p', // a statement that names a partition has no statement trigger of the whole
	}
	levels := d.levels(group)
	named := func(name string) func(*Table) string { return func(*Table) string { return ofGroup(name, group) } }
	held := d.held(group)
	var end strings.Builder
	if late := slices.DeleteFunc(slices.Clone(levels), func(t *Table) bool { return t.Kind != 'p' }); len(late) > 0 {
		fmt.Fprintf(&end, "SET CONSTRAINTS %s DEFERRED;\n", constraints(late, func(t *Table) string { return followed(t, group) }))
	}
	if len(held) > 0 {
		fmt.Fprintf(&end, "SET CONSTRAINTS %s DEFERRED;\n", constraints(held, named(holding)))
		for _, k := range d.Keys {
			if slices.Contains(held, k.Parent) && !k.acts() {
				fmt.Fprintf(&end, "PERFORM pg_catalog.set_config(%s, '', true);\n", literal(k.due()))
			}
		}
	}
	if strays := slices.DeleteFunc(slices.Clone(levels), func(t *Table) bool { return d.stray(t) == nil }); len(strays) > 0 {
		fmt.Fprintf(&end, "SET CONSTRAINTS %[1]s IMMEDIATE;\nSET CONSTRAINTS %[1]s DEFERRED;\n", constraints(strays, named("tombstone_stray")))
	}
	fmt.Fprintf(&end, `IF %[2]s THEN
	SET CONSTRAINTS %[1]s IMMEDIATE;
	SET CONSTRAINTS %[1]s DEFERRED;
END IF;
`, constraints(levels, named("tombstone_probe")), aboveReadCommitted)
	return &function{
		name: dotted(t.Schema, t.Relation, "flush"), result: "NULL", triggers: []trigger{after},
		declare: "above pg_catalog.text := COALESCE(pg_catalog.current_setting(" + following + ", true), ''); -- the depth of what is under way\n",
		body: fmt.Sprintf(`PERFORM pg_catalog.set_config(%[1]s, %[2]s, true);
LOOP
	PERFORM pg_catalog.set_config(%[3]s, '', true);
	SET CONSTRAINTS %[4]s IMMEDIATE;
	EXIT WHEN pg_catalog.current_setting(%[3]s, true) OPERATOR(pg_catalog.=) '';
END LOOP;
IF above OPERATOR(pg_catalog.<>) '' THEN
	SET CONSTRAINTS %[4]s DEFERRED;
	PERFORM pg_catalog.set_config(%[3]s, above, true);
ELSE
%[5]sEND IF;
PERFORM pg_catalog.set_config(%[1]s, above, true);
`, following, depth, level, d.level(group), indent(end.String())),
		about: "After a statement that deletes rows of " + t.Name.String() + ": has foreign keys followed, level by level.",
	}
}

// levels lists the tables of a group whose keys are followed level by level: a deletion of the others starts nothing.
func (d *Database) levels(group []*Table) []*Table {
	return slices.DeleteFunc(slices.Clone(group), func(t *Table) bool { return !d.flushed(t) })
}

// held lists the tables of a group that have rows held by deferrable keys.
func (d *Database) held(group []*Table) []*Table {
	return slices.DeleteFunc(slices.Clone(group), func(t *Table) bool { return d.hold(t) == nil })
}

// level names what is done level by level.
func (d *Database) level(group []*Table) string {
	list := constraints(d.levels(group), func(t *Table) string { return followed(t, group) })
	if held := d.held(group); len(held) > 0 {
		list += ", " + constraints(held, func(*Table) string { return ofGroup(holding, group) })
	}
	return list
}

// followed is the name of the trigger that follows the keys to a table. It comes before those that hold deferrable keys, which have the names of the
// keys: as the server does it, what a key takes along does not stand in the way of another.
//
// A statement that names a partition has no trigger of the whole table that is called at its end. There, the first level waits for flush, too, which
// is called for each row: else the keys of the first row would be followed to their end before those of the second.
func followed(t *Table, group []*Table) string {
	if t.Kind == 'p' {
		return ofGroup("First_tombstone_follow_late", group)
	}
	return ofGroup("First_tombstone_follow", group)
}

// ofGroup is the name of a constraint trigger that is called level by level: SET CONSTRAINTS means all of a schema that have a name, and what another
// group has under way is not to be called.
func ofGroup(name string, group []*Table) string { return name + "_" + hash(relations(group)) }

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
