package main

import "fmt"

// from makes a FROM list and the scope that it opens.
func (m *Maker) from(outer *Scope) (*Node, *Scope) {
	s := &Scope{Outer: outer}
	n := pick(m.Rand, 1, 1, 1, 2, 2, 3)
	if m.depth > 1 {
		n = 1
	}
	first, sources := m.item(s, n == 1)
	s.Sources = append(s.Sources, sources...)
	joined := first
	for range n - 1 {
		joined = m.join(joined, s)
	}
	if len(s.Sources) == 1 && n == 1 {
		s.Sources[0].Short = true
	}
	if n > 1 && m.chance(10) {
		// An alias for the whole join hides the names inside. Only columns
		// whose name is not repeated can be spoken of.
		alias := m.name("j")
		counts := map[string]int{}
		for _, src := range s.Sources {
			for _, c := range src.Columns {
				counts[c.Name]++
			}
		}
		all := &Source{Name: alias, Partial: true}
		for _, src := range s.Sources {
			for _, c := range src.Columns {
				if counts[c.Name] == 1 {
					all.Columns = append(all.Columns, c)
				}
			}
		}
		s.Sources = []*Source{all}
		return seq("(", joined, ") AS ", alias), s
	}
	return joined, s
}

// join adds one more item to a join.
func (m *Maker) join(left *Node, s *Scope) *Node {
	right, sources := m.item(s, false)
	before := &Scope{Sources: append([]*Source(nil), s.Sources...), Outer: s.Outer}
	s.Sources = append(s.Sources, sources...)
	src := sources[0]
	if m.chance(10) {
		return either(seq(left, ", ", right), left)
	}
	if m.chance(10) {
		return either(seq(left, " CROSS JOIN ", right), left)
	}
	kind := pick(m.Rand, "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT OUTER JOIN")
	if common := shared(before.Sources, src); len(common) > 0 && m.chance(25) {
		if m.chance(30) {
			return either(seq(left, " NATURAL ", kind, " ", right), left)
		}
		// The merged column belongs to no side; leave it to others.
		return either(seq(left, " ", kind, " ", right, " USING (", quoteName(pick(m.Rand, common...)), ")"), left)
	}
	on := m.equal(before, src)
	if kind != "FULL JOIN" && m.chance(30) {
		on = seq(on, opt(pick(m.Rand, " AND ", " AND NOT "), "(", m.cond(s, 1), ")"))
	}
	if m.chance(10) && kind != "RIGHT JOIN" && kind != "FULL JOIN" {
		// A join on the right side of a join.
		inner, more := m.item(&Scope{Outer: s.Outer}, false)
		s.Sources = append(s.Sources, more...)
		both := &Scope{Sources: []*Source{src}}
		return either(seq(left, " ", kind, " (", right, " ", pick(m.Rand, "JOIN ", "LEFT JOIN "), inner, " ON ", m.equal(both, more[0]), ") ON ", on), left)
	}
	return either(seq(left, " ", kind, " ", right, " ON ", on), left)
}

// shared lists the names that one source has in common with the others, once.
func shared(before []*Source, src *Source) []string {
	counts := map[string]int{}
	for _, b := range before {
		for _, c := range b.Columns {
			counts[c.Name]++
		}
	}
	var out []string
	for _, c := range src.Columns {
		if counts[c.Name] == 1 && !c.Marker {
			out = append(out, c.Name)
		}
	}
	return out
}

// equal joins on columns of one family.
func (m *Maker) equal(before *Scope, src *Source) *Node {
	inner := &Scope{Sources: before.Sources}
	only := &Scope{Sources: []*Source{src}}
	for _, f := range shuffled(m.Rand, []string{"int", "int", "int", "text"}) {
		a, b := m.ref(inner, f), m.ref(only, f)
		if a != nil && b != nil {
			return seq(a, " = ", b)
		}
	}
	return seq("true")
}

// item is one thing to read from.
func (m *Maker) item(s *Scope, alone bool) (*Node, []*Source) {
	switch m.IntN(20) {
	case 0, 1:
		if m.depth < 2 {
			alias := m.name("q")
			n, columns, _ := m.query(nil, nil)
			return either(seq("(", n, ") AS ", alias), m.plainTable(alias)), []*Source{{Name: alias, Columns: columns}}
		}
	case 2:
		if m.depth < 2 && len(s.Sources) > 0 {
			alias := m.name("l")
			n, columns, _ := m.query(s, nil)
			return seq("LATERAL (", n, ") AS ", alias), []*Source{{Name: alias, Columns: columns}}
		}
	case 3:
		alias := m.name("g")
		return pick(m.Rand,
			seq("generate_series(1, ", m.value("int"), ") AS ", alias, "(id)"),
			seq("(VALUES (1), (2), (5)) AS ", alias, "(id)"),
			seq("unnest(", m.value("array"), ") AS ", alias, "(id)"),
		), []*Source{{Name: alias, Columns: []*Column{{Name: "id", Type: integer}}}}
	}
	if len(m.extra) > 0 && m.chance(25) {
		e := pick(m.Rand, m.extra...)
		alias := m.name("x")
		return seq(e.Name, " AS ", alias), []*Source{{Name: alias, Columns: e.Columns}}
	}
	return m.table(alone)
}

func (m *Maker) plainTable(alias string) *Node {
	return seq(m.world.Tables[0].sql(), " AS ", alias)
}

// table is a table, a part of one, or a view, in one of the forms in which
// they can be named.
func (m *Maker) table(alone bool) (*Node, []*Source) {
	if len(m.world.Views) > 0 && m.chance(10) {
		v := pick(m.Rand, m.world.Views...)
		alias := m.name("x")
		return seq(v.sql(), " ", alias), []*Source{{Name: alias, Columns: v.Columns}}
	}
	t := m.anyTable()
	name := t.sql()
	if t.Schema == "public" && m.chance(60) {
		name = quoteName(t.Name)
	}
	src := &Source{Columns: t.Columns, Table: t}
	prefix := ""
	switch m.IntN(12) {
	case 0:
		prefix = "ONLY "
	case 1:
		name += " *"
	}
	sample := ""
	if m.chance(4) {
		sample = pick(m.Rand, " TABLESAMPLE SYSTEM (100)", " TABLESAMPLE BERNOULLI (100) REPEATABLE (1)")
	}
	if alone && m.chance(40) {
		src.Name = quoteName(t.Name)
		return seq(prefix, name, sample), []*Source{src}
	}
	src.Name = m.name("t")
	if m.chance(8) && sample == "" {
		// Other names for some columns, the marker's among them perhaps.
		k := m.between(1, len(t.Columns))
		names := ""
		src.Columns = nil
		for i, c := range t.Columns {
			renamed := *c
			if i < k {
				renamed.Name = fmt.Sprintf("c%d", i)
				if i > 0 {
					names += ", "
				}
				names += renamed.Name
			}
			src.Columns = append(src.Columns, &renamed)
		}
		return seq(prefix, name, " AS ", src.Name, "(", names, ")"), []*Source{src}
	}
	return seq(prefix, name, pick(m.Rand, " ", " AS "), src.Name, sample), []*Source{src}
}

// anyTable prefers protected tables.
func (m *Maker) anyTable() *Relation {
	t := pick(m.Rand, m.world.Tables...)
	if !t.Protected {
		t = pick(m.Rand, m.world.Tables...)
	}
	if t.Parts != nil && m.chance(25) {
		return pick(m.Rand, t.Parts...)
	}
	return t
}
