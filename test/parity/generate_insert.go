package main

import (
	"fmt"
	"strings"
)

// insertion is an INSERT, with a conflict perhaps.
func (m *Maker) insertion() (*Node, string) {
	x := m.aim(false)
	if x == nil {
		return seq("SELECT"), "select"
	}
	x.name = strings.TrimPrefix(x.name, "ONLY ")
	kind := "insert"
	var columns []*Column
	for i, c := range x.columns {
		if c.Computed == "" && !c.Marker && c.Type.value != nil && c.Name != "twin" && (i == 0 || c.NotNull || contains(x.table.Unique, i) || contains(x.table.Key, i) || m.chance(70)) {
			columns = append(columns, c)
		}
	}
	s := &Scope{Sources: []*Source{x.source}}
	fates := make([]*Fate, len(columns))
	var names []*Node
	for i, c := range columns {
		fates[i] = &Fate{}
		names = append(names, linked(fates[i], quoteName(c.Name)))
	}
	into := seq("INSERT INTO ", x.name)
	alias := quoteName(x.table.Name)
	if x.view != nil {
		alias = quoteName(x.view.Name)
		kind += " view"
	}
	if m.chance(30) {
		alias = m.name("i")
		into = seq(into, " AS ", alias)
	}
	x.source.Name = alias
	into = seq(into, " (", list(", ", 1, names...), ")")
	if m.chance(25) && x.view == nil {
		if o := m.unique(); o != nil {
			return seq(into, m.insertSelect(x, o, columns, fates), m.conflict(x, &kind, false), m.returning(s)), kind + " select"
		}
	}
	// An upsert by the primary key names rows that are there; nothing else does.
	upsert := m.chance(25) && x.view == nil && len(m.clean[x.table]) > 0
	var rows []*Node
	for range m.between(1, 3) {
		var values []*Node
		for i, c := range columns {
			v := literal(c.Type.Name, columnValue(m.Rand, c))
			switch {
			case c.Name == "id" && upsert && m.chance(70):
				v = literal("int", pick(m.Rand, m.clean[x.table]...))
			case c.Name == "id":
				v = literal("int", m.fresh(x.table))
			case m.chance(4):
				values = append(values, linked(fates[i], "DEFAULT"))
				continue
			}
			values = append(values, linked(fates[i], v))
		}
		rows = append(rows, seq("(", list(", ", 1, values...), ")"))
	}
	return seq(into, " VALUES ", list(", ", 1, rows...), m.conflict(x, &kind, upsert), m.returning(s)), kind
}

// insertSelect copies rows of another table under fresh ids, in an order, so
// that it is told which of two equal keys comes first.
func (m *Maker) insertSelect(x *Target, o *Relation, columns []*Column, fates []*Fate) *Node {
	src := &Source{Name: m.name("s"), Columns: o.Columns, Table: o}
	s := &Scope{Sources: []*Source{src}}
	var values []*Node
	for i, c := range columns {
		v := seq(src.Name, ".id + ", m.block())
		if c.Name != "id" {
			v = m.expr(s, c.Type.Family, 1)
		}
		values = append(values, linked(fates[i], v))
	}
	return seq(" SELECT ", list(", ", 1, values...), " FROM ", o.sql(), " ", src.Name, " WHERE ", src.Name, ".id < ", fmt.Sprint(firstBlock),
		opt(" AND (", m.cond(s, 1), ")"), " ORDER BY ", src.Name, ".id")
}

// conflict is an ON CONFLICT clause, or nothing.
func (m *Maker) conflict(x *Target, kind *string, byKey bool) *Node {
	t := x.table
	if x.view != nil || !byKey && !m.chance(40) {
		return seq()
	}
	if t.Parts != nil || t.PartOf != nil {
		byKey = false
	}
	arbiter := ""
	switch {
	case byKey && len(t.Key) == 1:
		arbiter = pick(m.Rand, " (id)", " (id)", " ON CONSTRAINT "+quoteName(t.Name+"_pkey"))
	case t.Unique != nil:
		arbiter = pick(m.Rand, "", " ("+t.names(t.Unique)+")", " ("+t.names(t.Unique)+")", " ("+t.names(t.Unique)+") WHERE true")
		if t.marker() != nil && m.chance(15) {
			arbiter = " (" + t.names(t.Unique) + ") WHERE " + marker + " IS NULL"
		}
		if m.chance(15) {
			arbiter = " ON CONSTRAINT " + quoteName(t.Name+"_key")
		}
	case m.chance(80):
		return seq()
	}
	*kind += " on conflict"
	if arbiter == "" || m.chance(35) {
		return opt(" ON CONFLICT", arbiter, " DO NOTHING")
	}
	excluded := &Source{Name: "excluded", Columns: t.Columns}
	s := &Scope{Sources: []*Source{x.source, excluded}}
	set := m.assignments(x, s, true) // rows come in the order of VALUES
	if set == nil {
		return opt(" ON CONFLICT", arbiter, " DO NOTHING")
	}
	where := seq()
	if m.chance(30) {
		where = opt(" WHERE ", m.cond(s, 1))
	}
	return opt(" ON CONFLICT", arbiter, " DO UPDATE SET ", set, where)
}
