package lifecycle

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"tombstone/policy"
)

//go:embed sql/house.sql
var houseSQL string

// Prepare writes what a database needs for the policy to be kept by the database itself.
func Prepare(d *Database) Script {
	houseSQL := houseSQL + purgeSQL
	about := "What is known of deleted rows. Made by tombstone prepare" + print(houseSQL)
	s := Script{{
		Object: "schema tombstone", Why: "Deletions are written down here, and what they took that is in no table any more.",
		SQL:  []string{strings.TrimSuffix(strings.TrimSpace(houseSQL), ";"), "COMMENT ON SCHEMA tombstone IS " + literal(about)},
		Done: d.house == about && d.has("tombstone.guard()"),
	}}
	for _, t := range d.Protected() {
		s = append(s, markers(t)...)
	}
	for _, x := range d.Indexes {
		if x.wantsLive() {
			s = append(s, x.partial())
		}
	}
	identity := func(t *Table) []string { return t.identity(d.Indexes) }
	for _, t := range d.Protected() {
		if t.hopeless() {
			continue
		}
		s = append(s, d.register(t, identity(t)))
		functions := []*function{record(t, d.Keys, identity(t))}
		if f := evict(t, d.Indexes); f != nil {
			functions = append(functions, f)
		}
		if f := follow(t, d.Keys, identity); f != nil {
			functions = append(functions, f)
		}
		functions = append(functions, revived(t, d.Keys, identity))
		for _, f := range functions {
			s = append(s, d.step(f, t))
		}
		s = append(s, d.guard(t))
	}
	for _, t := range d.parents() {
		if f := part(t, d.Keys); f != nil {
			s = append(s, d.step(f, t))
		}
	}
	for _, k := range d.Keys {
		if k.Parent.Protected == nil {
			continue
		}
		if !k.acts() {
			s = append(s, d.step(k.deferred(), k.Parent))
		}
		s = append(s, d.step(k.present(), k.Child))
	}
	return s
}

// Protected lists the protected tables by name, without partitions of protected ones: those have what their parent has.
func (d *Database) Protected() []*Table {
	var list []*Table
	for _, p := range d.Set.Tables() {
		t := d.tables[p.Name]
		if t != nil && t.Kind != 'f' && !(t.Partition && t.inherits) {
			list = append(list, t)
		}
	}
	return list
}

// parents lists the tables that foreign keys refer to, each once.
func (d *Database) parents() []*Table {
	var list []*Table
	for _, k := range d.Keys {
		if !slices.Contains(list, k.Parent) {
			list = append(list, k.Parent)
		}
	}
	return list
}

// step makes a function and its triggers.
func (d *Database) step(f *function, t *Table) Step {
	step := Step{Object: "table " + t.Name.String(), Why: f.about, SQL: f.sql()}
	step.Done = d.functions[house+"."+plain(f.name)+"()"] == f.comment()
	for _, trigger := range f.triggers {
		step.Done = step.Done && d.triggered(trigger.table, trigger.name)
	}
	return step
}

// has reports whether a function of ours is there.
func (d *Database) has(function string) bool {
	_, there := d.functions[function]
	return there
}

// triggered reports whether a table has a trigger of ours.
func (d *Database) triggered(t *Table, name string) bool {
	return slices.ContainsFunc(d.triggers, func(i installed) bool { return i.table.Name == t.Name && i.name == name })
}

// markers adds the columns that a deletion sets.
func markers(t *Table) []Step {
	p := t.Protected
	var steps []Step
	add := func(name, typ, why string) {
		steps = append(steps, Step{
			Object: "table " + t.Name.String(), Why: why, Done: t.has(name),
			SQL: []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s %s", full(t.Name), ident(name), typ)},
		})
	}
	add(p.Marker, "timestamptz", "Without the marker a DELETE is refused: there is nothing to mark a row with.")
	for _, a := range p.Audit {
		if a.What == policy.Role {
			add(a.Column, "text", "The policy has deleted_by: a DELETE is refused without it.")
		} else {
			add(a.Column, "xid8", "The policy has deletion_id: a DELETE is refused without it.")
		}
	}
	return steps
}

// hopeless reports whether rows of the table cannot be marked though it has the columns: one is of a type that cannot be used.
func (t *Table) hopeless() bool {
	p := t.Protected
	return p.Problem != "" && t.has(p.Marker) && !slices.ContainsFunc(p.Audit, func(a policy.Audit) bool { return !t.has(a.Column) })
}

func (t *Table) has(column string) bool {
	for _, c := range t.Columns {
		if c.Name == column {
			return true
		}
	}
	return false
}

// guard keeps rows from being deleted for good by accident.
func (d *Database) guard(t *Table) Step {
	sql := []string{
		"DROP TRIGGER IF EXISTS tombstone_guard ON " + full(t.Name),
		fmt.Sprintf("CREATE TRIGGER tombstone_guard BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION tombstone.guard()", full(t.Name)),
		"DROP TRIGGER IF EXISTS tombstone_guard_truncate ON " + full(t.Name),
	}
	done := d.triggered(t, "tombstone_guard") && d.triggered(t, "tombstone_guard_truncate") == (t.Protected.Truncate != "allow")
	if t.Protected.Truncate != "allow" {
		sql = append(sql, fmt.Sprintf("CREATE TRIGGER tombstone_guard_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION tombstone.guard()", full(t.Name)))
	}
	return Step{
		Object: "table " + t.Name.String(), SQL: sql, Done: done,
		Why: "A DELETE that does not come through the proxy, as one in a function or from psql, would lose rows for good.",
	}
}
