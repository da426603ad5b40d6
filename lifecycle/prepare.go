package lifecycle

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"tombstone/policy"
)

const houseObject = "schema tombstone"

// What the house is made of.
//
//go:embed sql/house.sql sql/archive.sql sql/probe.sql sql/history.sql sql/purge.sql
var sqlFiles embed.FS

var houseSQL = func() (text string) {
	for _, name := range []string{"house", "archive", "probe", "history", "purge"} { // each needs those before it
		part, err := sqlFiles.ReadFile("sql/" + name + ".sql")
		if err != nil {
			panic(err)
		}
		text += string(part) + "\n"
	}
	return text
}()

// Prepare writes what a database needs for the policy to be kept by the database itself.
func Prepare(d *Database) Script {
	about := "What is known of deleted rows. Made by tombstone prepare" + print(houseSQL)
	why := "Deletions are written down here, and what they took that is in no table any more."
	if len(d.publishing) > 0 {
		why += fmt.Sprintf(" Publication %s is of all tables: a subscriber stops until it has these, too (pg_dump --schema-only --schema=tombstone).", strings.Join(d.publishing, ", "))
	}
	s := Script{{
		Object: houseObject, Why: why,
		SQL:  []string{strings.TrimSuffix(strings.TrimSpace(houseSQL), ";"), "COMMENT ON SCHEMA tombstone IS " + literal(about)},
		Done: d.house == about && d.has("tombstone.guard()"),
	}}
	s = append(s, d.disowned()...)
	for _, t := range d.Protected() {
		s = append(s, markers(t)...)
	}
	for _, t := range d.Protected() {
		if !t.hopeless() {
			s = append(s, t.grant()...)
			s = append(s, t.tombstones())
		}
	}
	for _, x := range d.Indexes {
		if x.wantsLive() {
			s = append(s, x.partial())
		}
	}
	for _, k := range d.Keys {
		if k.Parent.Protected == nil || k.Child.inherits {
			continue
		}
		if step, missing := k.referring(); missing {
			s = append(s, step)
		}
	}
	wanted := &wanted{functions: map[string]bool{}, triggers: map[installed]bool{}}
	add := func(t *Table, functions ...*function) {
		for _, f := range functions {
			s = append(s, d.step(f, t))
			wanted.add(f)
		}
	}
	for _, t := range d.Protected() {
		if t.hopeless() {
			continue
		}
		s = append(s, d.register(t, d.identity(t)))
		add(t, d.functions(t)...)
		s = append(s, d.guard(t))
		if step, needed := d.maxRows(t); needed {
			s = append(s, step)
		}
		for _, name := range []string{rowGuard, truncateGuard, maxRowsGuard} {
			wanted.triggers[installed{table: t.Name, name: name}] = true
		}
	}
	for _, t := range d.unprotected() {
		if d.departs(t) {
			add(t, d.depart(t))
		}
	}
	for _, t := range d.parents() {
		if f := part(t, d.Keys); f != nil {
			add(t, f)
		}
	}
	for _, k := range d.Keys {
		if k.Parent.Protected == nil {
			continue
		}
		if !k.acts() {
			add(k.Parent, d.deferred(k))
		}
		add(k.Child, k.present(d)...)
		if k.Deferrable {
			add(k.Child, k.cleared())
		}
	}
	return append(s, d.stale(wanted)...)
}

// functions are those that act on changes of a protected table's own rows.
func (d *Database) functions(t *Table) []*function {
	list := []*function{d.record(t)}
	if f := d.evict(t); f != nil {
		list = append(list, f)
	}
	list = append(list, d.follow(t)...)
	if f := d.hold(t); f != nil {
		list = append(list, f)
	}
	if f := d.stray(t); f != nil {
		list = append(list, f)
	}
	if d.departs(t) {
		list = append(list, d.depart(t))
	}
	list = append(list, revived(t, d.Keys, d.identity))
	if len(t.partitionKey) > 0 {
		list = append(list, moving(t))
	}
	return list
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

// unprotected lists the tables that are not protected and have a part in it all the same, by name.
func (d *Database) unprotected() []*Table {
	var list []*Table
	for _, t := range d.tables {
		if t.Protected == nil {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *Table) int { return strings.Compare(a.Name.String(), b.Name.String()) })
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
	before, there := d.installed[house+"."+plain(f.name)+"()"]
	step.Done = before == f.comment()
	step.Stale = there && !step.Done
	for _, trigger := range f.triggers {
		step.Done = step.Done && d.triggered(trigger.table, trigger.name)
	}
	d.disown(&step, house+"."+plain(f.name)+"()")
	return step
}

// has reports whether a function of ours is there.
func (d *Database) has(function string) bool {
	_, there := d.installed[function]
	return there
}

// triggered reports whether a table has a trigger of ours.
func (d *Database) triggered(t *Table, name string) bool {
	return d.trigger(t, name) != nil
}

func (d *Database) trigger(t *Table, name string) *installed {
	i := slices.IndexFunc(d.triggers, func(i installed) bool { return i.table == t.Name && i.name == name })
	if i < 0 {
		return nil
	}
	return &d.triggers[i]
}

// markers adds the columns that a deletion sets.
func markers(t *Table) []Step {
	p := t.Protected
	var steps []Step
	add := func(check, name, typ, why string) {
		steps = append(steps, Step{
			Object: "table " + t.Name.String(), Why: why, Done: t.has(name), Check: check,
			SQL: []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s %s", full(t.Name), ident(name), typ)},
		})
	}
	add("missing-marker", p.Marker, "timestamptz", "Without the marker a DELETE is refused: there is nothing to mark a row with.")
	for _, a := range p.Audit {
		if a.What == policy.Role {
			add("missing-audit-column", a.Column, "text", "The policy has deleted_by: a DELETE is refused without it.")
		} else {
			add("missing-audit-column", a.Column, "xid8", "The policy has deletion_id: a DELETE is refused without it.")
		}
	}
	return steps
}

// Beyond lists what prepare can do nothing about: tables of the policy that are not there, and those whose rows cannot be marked.
func (d *Database) Beyond() []string {
	var list []string
	for _, p := range d.Set.Tables() {
		switch t := d.tables[p.Name]; {
		case t == nil && p.Kind == 0:
			list = append(list, fmt.Sprintf("the policy names the table %s, and this database has none of that name", p.Name))
		case t != nil && t.hopeless():
			list = append(list, p.Problem+". "+p.Fix)
		}
	}
	return list
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
