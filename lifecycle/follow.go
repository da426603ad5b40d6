package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// follow does what foreign keys say ON DELETE when a row of the table is buried: none if none says anything.
//
// The server's own keys go breadth first: what a cascaded DELETE starts waits for all that the statement itself has started. Triggers of an
// UPDATE within a trigger do not wait. Where that makes a difference, the function is called by a constraint trigger that is deferred, and
// flush has it called level by level at the end of the statement.
func (d *Database) follow(t *Table) []*function {
	f := &function{
		name: dotted(t.Schema, t.Relation, "follow"), result: "NULL",
		about: "After a row of " + t.Name.String() + " is deleted: does what foreign keys to it say ON DELETE.",
	}
	var body strings.Builder
	for _, k := range d.Keys {
		if k.Parent == t && k.acts() {
			body.WriteString(k.action(d.identity(k.Child)))
		}
	}
	if body.Len() == 0 {
		return nil
	}
	after := trigger{"tombstone_follow", t, "AFTER UPDATE OF " + ident(t.Protected.Marker), burying(t), "", false}
	group := d.group(t)
	if !d.entangled(group) {
		f.body = body.String() + "IF " + aboveReadCommitted + " THEN\n" + indent(probe("NULL")) + "END IF;\n"
		f.triggers = []trigger{after}
		return []*function{f}
	}
	follows, probes := constraints(group, "tombstone_follow"), constraints(group, "tombstone_probe")
	f.body = fmt.Sprintf(`IF pg_catalog.current_setting('tombstone.followed', true) IS DISTINCT FROM 'yes' THEN
	PERFORM pg_catalog.set_config('tombstone.followed', 'yes', true);
	SET CONSTRAINTS %s DEFERRED; -- what this starts is of the next level
END IF;
`, follows) + body.String()
	after.deferrable = "DEFERRABLE INITIALLY DEFERRED"
	f.triggers = []trigger{after}
	seen := after
	seen.name, seen.condition = "tombstone_probe", after.condition+" AND "+aboveReadCommitted
	flush := trigger{"tombstone_flush", t, after.when, "COALESCE(pg_catalog.current_setting('tombstone.flushing', true), '') OPERATOR(pg_catalog.<>) 'on'", "", false}
	flush.statement = t.Kind != 'p' // a statement that names a partition has no statement trigger of the whole
	return []*function{f,
		{
			name: dotted(t.Schema, t.Relation, "probe"), result: "NULL", body: probe("NULL"), triggers: []trigger{seen},
			about: "After a row of " + t.Name.String() + " is deleted above READ COMMITTED: sees what has come to refer to it since.",
		}, {
			name: dotted(t.Schema, t.Relation, "flush"), result: "NULL", triggers: []trigger{flush},
			about: "After a statement that deletes rows of " + t.Name.String() + ": has foreign keys followed, level by level.",
			body: fmt.Sprintf(`PERFORM pg_catalog.set_config('tombstone.flushing', 'on', true);
LOOP
	PERFORM pg_catalog.set_config('tombstone.followed', '', true);
	SET CONSTRAINTS %[1]s IMMEDIATE;
	EXIT WHEN pg_catalog.current_setting('tombstone.followed', true) OPERATOR(pg_catalog.=) '';
END LOOP;
SET CONSTRAINTS %[1]s DEFERRED;
IF %[3]s THEN
	SET CONSTRAINTS %[2]s IMMEDIATE;
	SET CONSTRAINTS %[2]s DEFERRED;
END IF;
PERFORM pg_catalog.set_config('tombstone.flushing', '', true);
`, follows, probes, aboveReadCommitted),
		},
	}
}

// entangled reports whether it matters in which order the keys of a group are followed: one that does not cascade joins two tables that
// others cascade to.
func (d *Database) entangled(group []*Table) bool {
	reached := func(t *Table) bool {
		return slices.ContainsFunc(d.Keys, func(k *ForeignKey) bool {
			return k.OnDelete == 'c' && k.Child == t && slices.Contains(group, k.Parent)
		})
	}
	return slices.ContainsFunc(d.Keys, func(k *ForeignKey) bool { return k.OnDelete != 'c' && reached(k.Parent) && reached(k.Child) })
}

// constraints names the constraint triggers of one name on tables of a group.
func constraints(group []*Table, name string) string {
	var list []string
	for _, t := range group {
		if one := ident(t.Schema) + "." + ident(name); !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return strings.Join(list, ", ")
}

const aboveReadCommitted = "pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) 'read committed'"

// probe has the server's own keys judge whether the row NEW can go: they see rows that the transaction's snapshot does not have yet, and
// that nothing else above READ COMMITTED does. A deferrable key is named, since it would wait.
func probe(deferrable string) string {
	return "PERFORM tombstone.probe(NEW.tableoid::pg_catalog.regclass, NEW.ctid, " + deferrable + ", pg_catalog.current_setting('search_path'));\n"
}

// deferred is the check of a key that may be left to the end of the transaction. It has the key's own name, so that SET CONSTRAINTS
// finds it, unless the table has another constraint of that name.
func (k *ForeignKey) deferred() *function {
	name := k.Name
	if k.taken {
		name = named("tombstone.restrict", k.Name)
	}
	where := k.matches("OLD.", "c.")
	if k.Child.Protected != nil {
		where += " AND " + live(k.Child.Protected, "c.")
	}
	return &function{
		name: dotted(k.Child.Schema, k.Child.Relation, k.Name, "restrict"), result: "NULL",
		body:     k.check(where) + "IF " + aboveReadCommitted + " THEN\n" + indent(probe(literal(ident(k.Child.Schema)+"."+ident(k.Name)))) + "END IF;\n",
		about:    fmt.Sprintf("After a row of %s is deleted: no row of %s may refer to it (%s).", k.Parent.Name, k.Child.Name, k.Name),
		triggers: []trigger{{name, k.Parent, "AFTER UPDATE OF " + ident(k.Parent.Protected.Marker), burying(k.Parent), k.deferrable(), false}},
	}
}

func (k *ForeignKey) deferrable() string {
	switch {
	case k.Deferred:
		return "DEFERRABLE INITIALLY DEFERRED"
	case k.Deferrable:
		return "DEFERRABLE INITIALLY IMMEDIATE"
	}
	return ""
}
