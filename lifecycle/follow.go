package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// follow does what foreign keys say ON DELETE when a row of the table is buried: none if none says anything.
//
// The server's own keys go breadth first: what a cascaded DELETE starts waits for all that the statement itself has started. Triggers of an
// UPDATE within a trigger do not wait. Where that makes a difference, the function is called by a constraint trigger that is deferred by the
// first that is called, and flush has the next levels called at the end of the statement.
func (d *Database) follow(t *Table) []*function {
	f := &function{
		name: dotted(t.Schema, t.Relation, "follow"), result: "NULL",
		about: "After a row of " + t.Name.String() + " is deleted: does what foreign keys to it say ON DELETE.",
	}
	acting := d.acting(t)
	if len(acting) == 0 {
		return nil
	}
	group := d.group(t)
	following := literal(setting("following", group))
	flushed := d.flushed(t)
	nested := slices.ContainsFunc(d.Keys, func(k *ForeignKey) bool { return k.OnDelete == 'c' && k.Child == t && k.Parent.Protected != nil })
	nests := flushed || slices.ContainsFunc(acting, func(k *ForeignKey) bool { return k.OnDelete == 'c' && len(d.acting(k.Child)) > 0 })
	var body strings.Builder
	if nested || nests {
		f.declare = "above pg_catalog.text := pg_catalog.current_setting(" + following + ", true);\nsaid pg_catalog.text;\n"
	}
	if slices.ContainsFunc(acting, func(k *ForeignKey) bool { return k.OnDelete == 'c' && k.Child.Protected == nil }) {
		// A trigger, or a real deletion in the same statement, may be in the middle of what the server takes along, whose other rows are still to be kept.
		f.declare += "parting pg_catalog.text := pg_catalog.current_setting('tombstone.parting', true);\n"
	}
	if slices.ContainsFunc(acting, (*ForeignKey).cuts) {
		f.declare += seqscan
	}
	if nests {
		body.WriteString("said := pg_catalog.set_config(" + following + ", " + depth + ", true);\n")
	}
	for i, k := range acting {
		then := ""
		if nested {
			then = deeper
		}
		if slices.Contains(acting[i+1:], k) { // it is its turn when another has acted; what it would leave as it is holds the row now
			body.WriteString(k.check(k.unchanged()))
			continue
		}
		body.WriteString(k.action(d.identity(k.Child), then))
	}
	if nests {
		body.WriteString("said := pg_catalog.set_config(" + following + ", COALESCE(above, ''), true);\n")
	}
	after := trigger{"First_tombstone_follow", t, "AFTER UPDATE OF " + ident(t.Protected.Marker), dead(t.Protected, "NEW."), "", false}
	f.body = unless(live(t.Protected, "OLD."), f.result)
	if !flushed {
		f.body += body.String() + "IF " + aboveReadCommitted + " THEN\n" + indent(probe("NULL")) + "END IF;\n"
		f.triggers = []trigger{after}
		return []*function{f}
	}
	f.body += fmt.Sprintf(`IF pg_catalog.current_setting(%[1]s, true) IS DISTINCT FROM %[2]s THEN
	said := pg_catalog.set_config(%[1]s, %[2]s, true);
	SET CONSTRAINTS %[3]s DEFERRED; -- what this starts is of the next level
END IF;
`, literal(setting("followed", group)), depth, d.level(group)) + body.String()
	after.name, after.deferrable = followed(t, group), "DEFERRABLE INITIALLY IMMEDIATE"
	if t.Kind == 'p' {
		after.deferrable = initiallyDeferred
	}
	f.triggers = []trigger{after}
	seen := after
	seen.name, seen.condition, seen.deferrable = ofGroup("tombstone_probe", group), burying(t)+" AND "+aboveReadCommitted, initiallyDeferred
	return []*function{f, d.flush(t, group),
		{
			name: dotted(t.Schema, t.Relation, "probe"), result: "NULL", body: probe("NULL"), triggers: []trigger{seen},
			about: "After a row of " + t.Name.String() + " is deleted above READ COMMITTED: sees what has come to refer to it since.",
		},
	}
}

// depth tells who is at work. While keys to tables of a group are followed, tombstone.following_.. is the depth of the function that does: what changes
// rows there is a key, and what does so deeper is a trigger of the application, whose statement ends before the next level begins.
//
// Were it only that keys are followed, rows that such a trigger deletes would keep what refers to them until the next statement.
const depth = "pg_catalog.pg_trigger_depth()::pg_catalog.text"

// lessDeep is the depth of the function whose statement has called this one.
const lessDeep = "(pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.-) 1)::pg_catalog.text"

// deeper notes that the statement has changed rows by what its cascades have started: this row has gone by a key, too.
const deeper = `IF FOUND AND above OPERATOR(pg_catalog.=) ` + lessDeep + ` THEN
	said := pg_catalog.set_config('tombstone.deeper', pg_catalog.statement_timestamp()::pg_catalog.text, true);
END IF;
`

const initiallyDeferred = "DEFERRABLE INITIALLY DEFERRED"

// flushed reports whether what a deletion of the table's rows starts is done level by level at the end of the statement.
func (d *Database) flushed(t *Table) bool {
	return slices.ContainsFunc(d.Keys, func(k *ForeignKey) bool { return k.Parent == t && k.acts() }) && d.entangled(d.group(t))
}

// acting lists the keys to a table that do something when a row of it is buried, in the order in which they do.
//
// That is the server's, with one exception: it looks at a reference that ON DELETE has cut when all keys have acted, and the row may be gone by
// another one then. What we cut is looked at at once, so it is cut when the other one has acted, unless it is another one's no more once it is cut. Where
// SET DEFAULT leaves the reference as it is, the server looks at once; so such a key is in the list twice, the first time for that.
func (d *Database) acting(t *Table) []*ForeignKey {
	var list []*ForeignKey
	for _, k := range d.Keys {
		if k.Parent == t && k.acts() {
			list = append(list, k)
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		k := list[i]
		if k.OnDelete != 'n' && k.OnDelete != 'd' || k.refuses() {
			continue
		}
		for j := len(list) - 1; j > i; j-- {
			apart := !slices.ContainsFunc(k.SetColumns, func(name string) bool { return slices.Contains(list[j].Columns, name) })
			if list[j].OnDelete == 'c' && list[j].Child == k.Child && apart {
				list = slices.Insert(list, j+1, k)
				if k.OnDelete == 'n' {
					list = slices.Delete(list, i, i+1)
				}
				break
			}
		}
	}
	return list
}

// refuses reports whether what ON DELETE puts in place of the reference may be refused before anything is looked at: it is NULL in a column that
// is NOT NULL.
func (k *ForeignKey) refuses() bool {
	return slices.ContainsFunc(k.SetColumns, func(name string) bool {
		return k.Child.notNull(name) && (k.OnDelete == 'n' || k.Child.defaultOf(name) == "NULL")
	})
}

// entangled reports whether it matters in which order the keys of a group are followed: one that does not cascade joins two tables that
// others cascade to, or cascades come back to the table where they began, and what a statement inserts there is taken along or is looked at first.
func (d *Database) entangled(group []*Table) bool {
	if slices.ContainsFunc(group, d.circular) {
		return true
	}
	reached := func(t *Table) bool {
		return slices.ContainsFunc(d.Keys, func(k *ForeignKey) bool {
			return k.OnDelete == 'c' && k.Child == t && slices.Contains(group, k.Parent)
		})
	}
	return slices.ContainsFunc(d.Keys, func(k *ForeignKey) bool { return k.OnDelete != 'c' && reached(k.Parent) && reached(k.Child) })
}

// circular reports whether ON DELETE CASCADE leads from a table back to it.
func (d *Database) circular(t *Table) bool {
	reached := []*Table{t}
	for i := 0; i < len(reached); i++ {
		for _, k := range d.Keys {
			if k.OnDelete != 'c' || k.Parent != reached[i] {
				continue
			}
			if k.Child == t {
				return true
			}
			if !slices.Contains(reached, k.Child) {
				reached = append(reached, k.Child)
			}
		}
	}
	return false
}

const aboveReadCommitted = "pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) 'read committed'"

// probe has the server's own keys judge whether the row NEW can go: they see rows that the transaction's snapshot does not have yet, and
// that nothing else above READ COMMITTED does. A deferrable key is named, since it would wait.
func probe(deferrable string) string {
	return "PERFORM tombstone.probe(NEW.tableoid::pg_catalog.regclass, NEW.ctid, " + deferrable + ", pg_catalog.current_setting('search_path'));\n"
}
