package main

import (
	"fmt"
	"slices"
	"strings"
)

// levels of isolation.
var levels = []string{"read committed", "repeatable read", "serializable"}

// interleave makes a script of several sessions, each with a transaction or two, that meet at one foreign key mostly.
func (w *writer) interleave(s *Script, plan *Plan) {
	s.Sessions, s.Isolation = plan.Sessions, plan.Isolation
	if s.Isolation == "" {
		s.Isolation = pick(w.Rand, levels...)
	}
	focus := w.focus()
	lists := make([][]*Step, s.Sessions)
	left := 0
	for i := range lists {
		for range weighed(w.Rand, []int{75, 25}, 1, 2) {
			if s.Isolation == levels[0] && w.chance(15) {
				lists[i] = append(lists[i], w.meeting(focus)) // a transaction by itself
				continue
			}
			lists[i] = append(lists[i], step("begin", must("BEGIN ISOLATION LEVEL "+strings.ToUpper(s.Isolation))))
			for range w.between(1, 3) {
				lists[i] = append(lists[i], w.meeting(focus))
			}
			lists[i] = append(lists[i], weighed(w.Rand, []int{85, 15}, step("commit", must("COMMIT")), step("rollback", must("ROLLBACK"))))
		}
		for _, step := range lists[i] {
			step.Session = i
		}
		left += len(lists[i])
	}
	for left > 0 {
		i := w.IntN(len(lists))
		if len(lists[i]) == 0 {
			continue
		}
		s.Steps = append(s.Steps, lists[i][0])
		lists[i] = lists[i][1:]
		left--
	}
}

// focus is the key at which sessions meet, nil if there is none.
func (w *writer) focus() *Key {
	var list []*Key
	for _, k := range w.g.Keys {
		if k.Parent.Marker != nil || k.Child.Marker != nil {
			list = append(list, k)
		}
	}
	if list == nil {
		return nil
	}
	return pick(w.Rand, list...)
}

// meeting is a statement about one key, and about one row of its parent mostly: the first, or the second.
func (w *writer) meeting(k *Key) *Step {
	if k == nil || len(w.rows[k.Parent]) == 0 || w.chance(10) {
		return w.statement()
	}
	child, parent := k.Child, k.Parent
	hot := w.rows[parent][w.IntN(min(len(w.rows[parent]), weighed(w.Rand, []int{65, 35}, 1, 2)))]
	is := func(t *Table, columns, of []string) *Part {
		if w.chance(12) {
			return may(" WHERE " + w.where(t, "x"))
		}
		list := make([]string, len(columns))
		for i, c := range columns {
			list[i] = "x." + c + " = " + hot[of[i]]
		}
		return may(" WHERE " + strings.Join(list, " AND "))
	}
	this, those := is(parent, k.Refs, k.Refs), is(child, k.Columns, k.Refs)
	switch weighed(w.Rand, []int{28, 26, 12, 10, 8, 8, 8}, "delete", "refer", "point", "again", "lock", "change", "child") {
	case "delete":
		return step("delete of a parent", must("DELETE FROM "+w.named(parent)+" x"), this, w.returning(parent, "x"))
	case "refer":
		v := w.values(child)
		for _, other := range w.g.from(child) {
			w.point(other, v)
		}
		for _, name := range child.keyed() {
			if c := child.column(name); !strings.HasPrefix(name, "r") && !(child.Serial && name == "id") && w.chance(75) {
				v[name] = literal(c, 1+w.IntN(9)) // a new one, most likely
			}
		}
		for i, c := range k.Columns {
			v[c] = hot[k.Refs[i]]
		}
		columns, values := v.lists(child)
		conflict := ""
		if w.chance(12) {
			conflict = " ON CONFLICT DO NOTHING"
		}
		return step("insert of a child", must(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", child.Name, columns, values)), may(conflict))
	case "point":
		parts := []*Part{must("UPDATE " + child.Name + " x SET note = " + w.tick())}
		for i, c := range k.Columns {
			parts = append(parts, must(", "+c+" = "+hot[k.Refs[i]]))
		}
		return step("update of a reference", append(parts, may(" WHERE "+w.where(child, "x")))...)
	case "again":
		v := row{}
		for name, value := range hot {
			v[name] = value
		}
		v["note"] = w.tick()
		columns, values := v.lists(parent)
		insert := must(fmt.Sprintf("INSERT INTO %s AS x (%s) VALUES (%s)", parent.Name, columns, values))
		if w.chance(50) {
			return step("insert of a parent", insert)
		}
		return step("upsert of a parent", insert, must(fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET note = excluded.note", strings.Join(k.Refs, ", "))))
	case "lock":
		how := pick(w.Rand, "UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE")
		if w.chance(65) {
			return step("select for "+strings.ToLower(how), must(fmt.Sprintf("SELECT x.note FROM %s x", parent.Name)), this, must(" FOR "+how))
		}
		return step("select for "+strings.ToLower(how), must(fmt.Sprintf("SELECT x.note FROM %s x", child.Name)), those, must(" FOR "+how))
	case "change":
		if w.chance(50) {
			return step("update of a parent's key", must(fmt.Sprintf("UPDATE %s x SET %s = %s", parent.Name, k.Refs[0], literal(parent.column(k.Refs[0]), 1+w.IntN(9)))), this)
		}
		return step("update of a parent", must(fmt.Sprintf("UPDATE %s x SET note = %s", parent.Name, w.tick())), this)
	}
	return step("delete of children", must("DELETE FROM "+child.Name+" x"), those, w.returning(child, "x"))
}

// keyed lists the columns of all keys of a table.
func (t *Table) keyed() []string {
	list := t.Primary
	for _, u := range t.Unique {
		list = slices.Concat(list, u.Columns)
	}
	return list
}
