package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// flush has foreign keys followed level by level, at the end of a statement that deletes rows of the table.
func (d *Database) flush(t *Table, group []*Table) *function {
	after := trigger{
		"tombstone_flush", t, "AFTER UPDATE OF " + ident(t.Protected.Marker),
		"COALESCE(pg_catalog.current_setting('tombstone.following', true), '') OPERATOR(pg_catalog.<>) 'yes'", "",
		t.Kind != 'p', // a statement that names a partition has no statement trigger of the whole
	}
	var body strings.Builder
	named := func(name string) func(*Table) string { return func(*Table) string { return name } }
	fmt.Fprintf(&body, `PERFORM pg_catalog.set_config('tombstone.following', 'yes', true);
LOOP
	PERFORM pg_catalog.set_config('tombstone.followed', '', true);
	SET CONSTRAINTS %s IMMEDIATE;
	EXIT WHEN pg_catalog.current_setting('tombstone.followed', true) OPERATOR(pg_catalog.=) '';
END LOOP;
`, d.level(group))
	if late := slices.DeleteFunc(d.levels(group), func(t *Table) bool { return t.Kind != 'p' }); len(late) > 0 {
		body.WriteString("SET CONSTRAINTS " + constraints(late, followed) + " DEFERRED;\n")
	}
	if held := d.held(group); len(held) > 0 {
		body.WriteString("SET CONSTRAINTS " + constraints(held, named(holding)) + " DEFERRED;\n")
		for _, k := range d.Keys {
			if slices.Contains(held, k.Parent) && !k.acts() {
				fmt.Fprintf(&body, "PERFORM pg_catalog.set_config(%s, '', true);\n", literal(k.due()))
			}
		}
	}
	if strays := slices.DeleteFunc(d.levels(group), func(t *Table) bool { return d.stray(t) == nil }); len(strays) > 0 {
		list := constraints(strays, named("tombstone_stray"))
		fmt.Fprintf(&body, "SET CONSTRAINTS %[1]s IMMEDIATE;\nSET CONSTRAINTS %[1]s DEFERRED;\n", list)
	}
	fmt.Fprintf(&body, `IF %[2]s THEN
	SET CONSTRAINTS %[1]s IMMEDIATE;
	SET CONSTRAINTS %[1]s DEFERRED;
END IF;
PERFORM pg_catalog.set_config('tombstone.following', '', true);
`, constraints(d.levels(group), named("tombstone_probe")), aboveReadCommitted)
	return &function{
		name: dotted(t.Schema, t.Relation, "flush"), result: "NULL", triggers: []trigger{after}, body: body.String(),
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
	list := constraints(d.levels(group), followed)
	if held := d.held(group); len(held) > 0 {
		list += ", " + constraints(held, func(*Table) string { return holding })
	}
	return list
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
