package main

import (
	"fmt"
	"slices"
	"strings"
)

// listed names columns of a table.
func listed(prefix string, columns []string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = prefix + c
	}
	return strings.Join(list, ", ")
}

// named is the table, or one of its partitions now and then.
func (w *writer) named(t *Table) string {
	if t.Parts != "" && w.chance(15) {
		return t.partition() + pick(w.Rand, "x1", "x2")
	}
	return t.Name
}

func (w *writer) returning(t *Table, called string) *Part {
	if !w.chance(30) {
		return nil
	}
	return may(" RETURNING " + listed(called+".", t.columns()))
}

func (w *writer) delete(t *Table) *Step {
	if keys := w.g.from(t); len(keys) > 0 && w.chance(15) {
		k := pick(w.Rand, keys...)
		on := make([]string, len(k.Columns))
		for i := range k.Columns {
			on[i] = "x." + k.Columns[i] + " = y." + k.Refs[i]
		}
		return step("delete using", must(fmt.Sprintf("DELETE FROM %s x USING %s y WHERE %s", t.Name, k.Parent.Name, strings.Join(on, " AND "))),
			may(" AND "+w.where(k.Parent, "y")), w.returning(t, "x"))
	}
	if w.chance(10) {
		return step("delete all", must("DELETE FROM "+w.named(t)+" x"), w.returning(t, "x"))
	}
	if w.chance(8) {
		other := w.table()
		return step("delete where exists", must("DELETE FROM "+t.Name+" x"),
			may(fmt.Sprintf(" WHERE EXISTS (SELECT FROM %s y WHERE %s)", other.Name, w.where(other, "y"))), w.returning(t, "x"))
	}
	return step("delete", must("DELETE FROM "+w.named(t)+" x"), may(" WHERE "+w.where(t, "x")), w.returning(t, "x"))
}

func (w *writer) insert(t *Table) *Step {
	columns := t.columns()
	if w.chance(20) { // leave one out
		i := w.IntN(len(columns))
		columns = slices.Delete(slices.Clone(columns), i, i+1)
	}
	parts := []*Part{must(fmt.Sprintf("INSERT INTO %s (%s) VALUES ", t.Name, strings.Join(columns, ", ")))}
	parts = append(parts, w.tuples(t, columns)...)
	return step("insert", append(parts, w.returning(t, t.Name))...)
}

// tuples are rows for VALUES.
func (w *writer) tuples(t *Table, columns []string) []*Part {
	var parts []*Part
	for i := range weighed(w.Rand, []int{70, 20, 10}, 1, 2, 3) {
		v := w.values(t)
		list := make([]string, len(columns))
		for j, name := range columns {
			list[j] = v[name]
		}
		tuple := "(" + strings.Join(list, ", ") + ")"
		if i == 0 {
			parts = append(parts, must(tuple))
		} else {
			parts = append(parts, may(", "+tuple))
		}
	}
	return parts
}

// sets is the list of an UPDATE. What key it changes is given one value, so that it does not matter which row is first.
func (w *writer) sets(t *Table) []*Part {
	parts := []*Part{must("note = " + w.tick())}
	for range weighed(w.Rand, []int{20, 60, 20}, 0, 1, 2) {
		c := pick(w.Rand, t.Columns...)
		if keys := w.g.from(t); len(keys) > 0 && w.chance(50) {
			c = t.column(pick(w.Rand, pick(w.Rand, keys...).Columns...))
		}
		text := ", " + c.Name + " = "
		if slices.ContainsFunc(parts, func(p *Part) bool { return strings.HasPrefix(p.Text, text) }) || c.Name == "note" {
			continue
		}
		parts = append(parts, may(text+w.value(c)))
	}
	return parts
}

func (w *writer) update(t *Table) *Step {
	parts := append([]*Part{must("UPDATE " + w.named(t) + " x SET ")}, w.sets(t)...)
	return step("update", append(parts, may(" WHERE "+w.where(t, "x")), w.returning(t, "x"))...)
}

func (w *writer) upsert(t *Table) *Step {
	columns := t.columns()
	parts := []*Part{must(fmt.Sprintf("INSERT INTO %s AS x (%s) VALUES ", t.Name, strings.Join(columns, ", ")))}
	parts = append(parts, w.tuples(t, columns)...)
	targets := t.targets()
	if len(targets) == 0 {
		return w.insert(t)
	}
	target := pick(w.Rand, targets...)
	if w.chance(45) {
		on := " ON CONFLICT"
		if w.chance(65) {
			on += " (" + strings.Join(target, ", ") + ")"
		}
		return step("insert on conflict do nothing", append(parts, must(on+" DO NOTHING"), w.returning(t, "x"))...)
	}
	parts = append(parts, must(fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET ", strings.Join(target, ", "))), must("note = excluded.note"))
	c := pick(w.Rand, t.Columns...)
	if c.Name != "note" && (c.Name != "id" || !t.Serial) {
		parts = append(parts, may(fmt.Sprintf(", %s = excluded.%s", c.Name, c.Name)))
	}
	if w.chance(20) {
		parts = append(parts, may(" WHERE "+w.where(t, "x")))
	}
	return step("insert on conflict do update", append(parts, w.returning(t, "x"))...)
}

func (w *writer) merge(t *Table) *Step {
	key := t.Primary
	if key == nil {
		key = t.Unique[0].Columns
	}
	v, other := w.values(t), w.values(t)
	names := make([]string, len(t.Columns))
	first, second := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
		for j, list := range [][]string{first, second} {
			value := []row{v, other}[j][c.Name]
			if value == "DEFAULT" || value == "NULL" && slices.Contains(key, c.Name) {
				value = literal(c, w.between(1, 5))
			}
			if value == "NULL" {
				value = "NULL::" + strings.Replace(c.Type, "serial", "int", 1)
			}
			list[i] = value
		}
	}
	same := true
	on := make([]string, len(key))
	for i, name := range key {
		on[i] = fmt.Sprintf("x.%s = s.%s", name, name)
		j := slices.Index(names, name)
		same = same && first[j] == second[j]
	}
	more := may(", (" + strings.Join(second, ", ") + ")")
	if same {
		more = nil // two rows that could be the source of one
	}
	var matched *Part
	switch w.IntN(3) {
	case 0:
		matched = must(" WHEN MATCHED THEN DELETE")
	case 1:
		matched = must(" WHEN MATCHED AND x.note % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET note = s.note")
	default:
		c := pick(w.Rand, t.Columns...)
		matched = must(fmt.Sprintf(" WHEN MATCHED THEN UPDATE SET %s = s.%s", c.Name, c.Name))
	}
	return step("merge", must(fmt.Sprintf("MERGE INTO %s x USING (VALUES (%s)", t.Name, strings.Join(first, ", "))), more,
		must(fmt.Sprintf(") AS s (%s) ON %s", strings.Join(names, ", "), strings.Join(on, " AND "))), matched,
		may(fmt.Sprintf(" WHEN NOT MATCHED THEN INSERT (%s) VALUES (%s)", strings.Join(names, ", "), listed("s.", names))))
}

func (w *writer) truncate(t *Table) *Step {
	if w.chance(50) {
		return step("truncate", must("TRUNCATE "+t.Name))
	}
	names := make([]string, len(w.g.Tables))
	for i, t := range w.g.Tables {
		names[i] = t.Name
	}
	return step("truncate all", must("TRUNCATE "+strings.Join(names, ", ")))
}

func (w *writer) read(t *Table) *Step {
	if keys := w.g.from(t); len(keys) > 0 && w.chance(60) {
		k := pick(w.Rand, keys...)
		on := make([]string, len(k.Columns))
		for i := range k.Columns {
			on[i] = "x." + k.Columns[i] + " = y." + k.Refs[i]
		}
		return step("select", must(fmt.Sprintf("SELECT x.note, y.note FROM %s x LEFT JOIN %s y ON %s", t.Name, k.Parent.Name, strings.Join(on, " AND "))))
	}
	return step("select", must("SELECT "+listed("x.", t.columns())+" FROM "+w.named(t)+" x"))
}

// with is a DELETE beside another write in one statement.
func (w *writer) with(t *Table) *Step {
	other := w.table()
	cte := []*Part{must("WITH d AS (DELETE FROM " + t.Name + " x"), may(" WHERE " + w.where(t, "x")), must(" RETURNING " + listed("x.", t.columns()) + ")")}
	if other == t || w.chance(35) {
		if w.chance(50) { // the rows come back at once
			return step("with delete insert", append(cte, must(fmt.Sprintf(" INSERT INTO %s (%s) SELECT %s FROM d", t.Name, strings.Join(t.columns(), ", "), strings.Join(t.columns(), ", "))))...)
		}
		return step("with delete", append(cte, must(" SELECT * FROM d"))...)
	}
	return step("with two deletes", append(cte, must(" DELETE FROM "+other.Name+" x"), may(" WHERE "+w.where(other, "x")), w.returning(other, "x"))...)
}

// copyRows makes rows of others.
func (w *writer) copyRows(t *Table) *Step {
	var names, list []string
	from := w.table()
	for _, c := range t.Columns {
		switch {
		case t.Serial && c.Name == "id":
			continue
		case c.Name == "note":
			list = append(list, w.tick())
		case w.chance(30) && from.column(c.Name) != nil && from.column(c.Name).Words == c.Words:
			list = append(list, "y."+c.Name)
		default:
			list = append(list, strings.Replace(w.value(c), "DEFAULT", literal(c, 1), 1))
		}
		names = append(names, c.Name)
	}
	conflict := ""
	if w.chance(30) {
		conflict = " ON CONFLICT DO NOTHING"
	}
	return step("insert select", must(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s y", t.Name, strings.Join(names, ", "), strings.Join(list, ", "), from.Name)),
		may(" WHERE "+w.where(from, "y")), must(" ORDER BY y.note"), may(conflict))
}

// deletion is a transaction that does nothing but delete rows of protected tables.
func (w *writer) deletion() *Step {
	var protected []*Table
	for _, t := range w.g.Tables {
		if t.Marker != nil {
			protected = append(protected, t)
		}
	}
	if w.chance(65) {
		s := w.delete(pick(w.Rand, protected...))
		return s
	}
	parts := []*Part{must("BEGIN; ")}
	for range w.between(2, 3) {
		text := w.delete(pick(w.Rand, protected...)).SQL()
		parts = append(parts, may(text+"; "))
	}
	return step("several deletes", append(parts, must("COMMIT"))...)
}
