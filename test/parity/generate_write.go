package main

import "fmt"

// Target is what a statement changes.
type Target struct {
	table   *Relation
	view    *View   // nil unless it is changed through one
	name    string  // as the statement names it, with its alias
	source  *Source // the target as expressions see it
	columns []*Column
}

// target picks what to change. Of one statement no two parts may change the
// same rows: PostgreSQL leaves open which of them does.
func (m *Maker) aim(aliased bool) *Target {
	for range 20 {
		t := m.anyTable()
		x := &Target{table: t, columns: t.Columns, name: t.sql()}
		if m.chance(12) && len(m.world.Views) > 0 {
			if v := pick(m.Rand, m.world.Views...); v.Simple {
				x = &Target{table: v.Base, view: v, columns: v.Columns, name: v.sql()}
			}
		}
		if m.modified[family(x.table)] {
			continue
		}
		if m.modified == nil {
			m.modified = map[*Relation]bool{}
		}
		m.modified[family(x.table)] = true
		x.source = &Source{Name: quoteName(t.Name), Columns: x.columns, Table: t}
		if x.view != nil {
			x.source.Name = quoteName(x.view.Name)
		}
		if x.view == nil && t.Schema == "public" && m.chance(50) {
			x.name = quoteName(t.Name)
		}
		if x.view == nil && m.chance(10) {
			x.name = "ONLY " + x.name
		}
		if aliased && m.chance(60) {
			x.source.Name = m.name("d")
			x.name += pick(m.Rand, " ", " AS ") + x.source.Name
		}
		return x
	}
	return nil
}

// family is the one table that stands for all that share its rows.
func family(t *Relation) *Relation {
	t = t.root()
	if t.Inherits != nil {
		return t.Inherits
	}
	return t
}

// deletes notes that ids of a table may be a tombstone's from now on.
func (m *Maker) deletes(t *Relation) {
	for other := range m.clean {
		if family(other) == family(t) {
			m.clean[other] = nil
		}
	}
}

// fresh is an id that no row has had.
func (m *Maker) fresh(t *Relation) string {
	m.ids++
	id := fmt.Sprint(m.ids)
	if len(t.Key) == 1 {
		m.clean[t] = append(m.clean[t], id)
	}
	return id
}

// block is a number to add to ids below firstBlock to make fresh ones.
func (m *Maker) block() string {
	m.serial++
	return fmt.Sprint(m.serial * firstBlock)
}

const firstBlock = 100000

// returning is a RETURNING clause, or nothing.
func (m *Maker) returning(s *Scope) *Node {
	if !m.chance(45) {
		return seq()
	}
	if m.chance(40) {
		return opt(" RETURNING ", pick(m.Rand, "*", s.Sources[0].Name+".*", s.Sources[0].Name))
	}
	var items []*Node
	for range m.between(1, 3) {
		if m.chance(40) {
			n, _ := m.anyColumn(s)
			items = append(items, n)
			continue
		}
		items = append(items, seq(m.expr(s, pick(m.Rand, "int", "text", "json", "bool", "stamp"), 2), " AS ", m.name("r")))
	}
	return clause(" RETURNING ", ", ", items...)
}

// deletion is a DELETE.
func (m *Maker) deletion() (*Node, string) {
	x := m.aim(true)
	if x == nil {
		return seq("SELECT"), "select"
	}
	m.deletes(x.table)
	s := &Scope{Sources: []*Source{x.source}}
	kind := "delete"
	using := seq()
	where := seq()
	switch {
	case m.chance(30):
		kind = "delete using"
		if o, mine := m.unique(), m.ref(s, "int"); o != nil && mine != nil && m.chance(50) {
			// One row of the other for each of ours, so it is told which is returned.
			src := &Source{Name: m.name("u"), Columns: o.Columns, Table: o}
			s = &Scope{Sources: []*Source{x.source, src}}
			using = seq(" USING ", o.sql(), " ", src.Name)
			where = seq(" WHERE ", src.Name, ".id = ", mine, opt(" AND (", m.cond(s, 1), ")"))
			break
		}
		more, inner := m.from(nil)
		both := &Scope{Sources: append([]*Source{x.source}, inner.Sources...)}
		where = seq(" WHERE ", m.equal(&Scope{Sources: inner.Sources}, x.source), opt(" AND (", m.cond(both, 1), ")"))
		if m.chance(20) {
			where = opt(" WHERE ", m.cond(both, 1))
		}
		using = seq(" USING ", more)
		if m.chance(50) {
			n, _ := m.anyColumn(s)
			return seq("DELETE FROM ", x.name, using, where, opt(" RETURNING ", pick(m.Rand, seq(x.source.Name, ".*"), n))), kind
		}
		return seq("DELETE FROM ", x.name, using, where), kind
	case m.chance(88):
		m.risky = m.chance(5)
		x.source.Short = true
		where = opt(" WHERE ", m.cond(s, 2))
		m.risky = false
	}
	if x.view != nil {
		kind += " view"
	}
	return seq("DELETE FROM ", x.name, using, where, m.returning(s)), kind
}

// settable are the columns that an UPDATE may change: not keys, and of what
// can fail only what fails alike whichever row comes first. one says that there
// is but one row.
func (x *Target) settable(one bool) []*Column {
	var out []*Column
	for i, c := range x.columns {
		if c.Computed != "" || c.Marker || c.Type.value == nil || c.Name == "id" || x.view != nil && c.Name == "big" {
			continue
		}
		if x.view == nil && contains(x.table.Key, i) && !(x.table.Parts != nil && c.Name == "a") {
			continue
		}
		if !one && (x.view != nil && x.view.Options != "" || x.table.PartOf != nil) && c.Name == "a" {
			continue // a row that has no place there is shown in the error
		}
		if !one && len(x.table.Unique) > 1 && x.isUnique(c) {
			continue // the whole key is shown in the error
		}
		out = append(out, c)
	}
	return out
}

func contains(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

func (x *Target) isUnique(c *Column) bool {
	for _, i := range x.table.Unique {
		if x.table.Columns[i].Name == c.Name || x.view != nil {
			return true
		}
	}
	return false
}

// assignments is the list behind SET.
func (m *Maker) assignments(x *Target, s *Scope, one bool) *Node {
	columns := some(m.Rand, m.between(1, 2), shuffled(m.Rand, x.settable(one)))
	if len(columns) == 0 {
		return nil
	}
	var items []*Node
	for _, c := range columns {
		name := quoteName(c.Name)
		constant := literal(c.Type.Name, c.Type.value(m.Rand))
		expr := func() *Node {
			n := m.expr(s, c.Type.Family, 2)
			if one {
				return n
			}
			if c.Check != "" {
				n = seq("LEAST(", n, ", 99)")
			}
			if c.NotNull || x.view != nil {
				n = seq("COALESCE(", n, ", ", constant, ")")
			}
			return n
		}
		switch {
		case x.isUnique(c) || m.chance(30):
			items = append(items, seq(name, " = ", constant))
		case m.chance(10) && (one || !c.NotNull && x.view == nil):
			items = append(items, seq(name, " = DEFAULT"))
		case m.chance(15):
			m.depth++
			items = append(items, seq("(", name, ") = (SELECT ", expr(), ")"))
			m.depth--
		default:
			items = append(items, seq(name, " = ", expr()))
		}
	}
	return list(", ", 1, items...)
}

// unique is a table with ids of its own, so that a join on it finds one row.
func (m *Maker) unique() *Relation {
	for range 10 {
		if t := pick(m.Rand, m.world.Tables...); len(t.Key) == 1 {
			return t
		}
	}
	return nil
}

// update is an UPDATE.
func (m *Maker) update() (*Node, string) {
	x := m.aim(true)
	if x == nil {
		return seq("SELECT"), "select"
	}
	s := &Scope{Sources: []*Source{x.source}}
	kind := "update"
	if x.view != nil {
		kind += " view"
	}
	if o := m.unique(); o != nil && m.chance(30) {
		// At most one row of the other table for each of ours.
		src := &Source{Name: m.name("f"), Columns: o.Columns, Table: o}
		if mine := m.ref(s, "int"); mine != nil {
			both := &Scope{Sources: []*Source{x.source, src}}
			if set := m.assignments(x, both, false); set != nil {
				return seq("UPDATE ", x.name, " SET ", set, " FROM ", o.sql(), " ", src.Name, " WHERE ", src.Name, ".id = ", mine,
					opt(" AND (", m.cond(both, 1), ")"), m.returning(both)), kind + " from"
			}
		}
	}
	// Of one row it may be anything, for it does not matter which fails first.
	one := m.chance(30)
	m.risky = one && m.chance(20)
	set := m.assignments(x, s, one)
	m.risky = false
	if set == nil {
		return seq("SELECT"), "select"
	}
	x.source.Short = true
	where := opt(" WHERE ", m.cond(s, 2))
	if one {
		where = seq(" WHERE ", x.source.Name, ".id = ", m.value("int"), opt(" AND (", m.cond(s, 1), ")"))
	}
	return seq("UPDATE ", x.name, " SET ", set, where, m.returning(s)), kind
}

// write is some statement that changes rows.
func (m *Maker) write() (*Node, string) {
	switch m.IntN(10) {
	case 0, 1, 2, 3:
		return m.deletion()
	case 4, 5:
		return m.update()
	case 6:
		return m.merge()
	}
	return m.insertion()
}

// withWrites is a statement with changes in its WITH clause.
func (m *Maker) withWrites() (*Node, string, Order) {
	extra := len(m.extra)
	defer func() { m.extra = m.extra[:extra] }()
	var ctes []*Node
	for range m.between(1, 2) {
		x := m.aim(true)
		if x == nil {
			break
		}
		name := m.name("w")
		s := &Scope{Sources: []*Source{x.source}}
		where := opt(" WHERE ", m.cond(s, 1))
		columns := []*Column{{Name: "id", Type: integer}, {Name: "word", Type: text}}
		returning := seq(" RETURNING ", x.source.Name, ".id, ", m.expr(s, "text", 1), " AS word")
		if m.chance(30) && x.view == nil {
			returning, columns = seq(" RETURNING ", x.source.Name, ".*"), x.columns
		}
		set := m.assignments(x, s, false)
		if set == nil || m.chance(65) {
			m.deletes(x.table)
			ctes = append(ctes, seq(name, " AS (DELETE FROM ", x.name, where, returning, ")"))
		} else {
			ctes = append(ctes, seq(name, " AS (UPDATE ", x.name, " SET ", set, where, returning, ")"))
		}
		m.extra = append(m.extra, &Source{Name: name, Columns: columns}, &Source{Name: name, Columns: columns}, &Source{Name: name, Columns: columns})
	}
	if len(ctes) == 0 {
		n, kind := m.write()
		return n, kind, AnyOrder
	}
	with := seq("WITH ", list(", ", 1, ctes...), " ")
	if m.chance(40) {
		n, kind := m.write()
		return seq(with, n), "with delete: " + kind, AnyOrder
	}
	n, _, order := m.body(nil, nil)
	return seq(with, n), "with delete: select", order
}

// truncate empties tables.
func (m *Maker) truncate() (*Node, string) {
	var names []*Node
	for range pick(m.Rand, 1, 1, 1, 2) {
		t := m.anyTable()
		m.deletes(t)
		names = append(names, seq(pick(m.Rand, "", "", "", "ONLY "), t.sql()))
	}
	return seq("TRUNCATE ", pick(m.Rand, "", "TABLE "), list(", ", 1, names...), opt(pick(m.Rand, "", "", " CONTINUE IDENTITY", " RESTRICT", " RESTART IDENTITY", " CASCADE"))), "truncate"
}
