package main

import (
	"fmt"
	"strings"
)

// query makes a query: its text, its columns (nil when they cannot all be
// named), and how its rows are to be compared. want asks for columns of certain
// families.
func (m *Maker) query(outer *Scope, want []string) (*Node, []*Column, Order) {
	m.depth++
	extra := len(m.extra)
	defer func() { m.depth--; m.extra = m.extra[:extra] }()
	var with *Node
	if m.depth <= 2 && m.chance(15) {
		with = m.with()
	}
	n, columns, order := m.body(outer, want)
	if with != nil {
		n = seq(with, n)
	}
	return n, columns, order
}

func (m *Maker) body(outer *Scope, want []string) (*Node, []*Column, Order) {
	var n *Node
	var columns []*Column
	m.groupingSets = false
	if m.chance(12) && m.depth < 3 {
		n, columns = m.setOperation(outer, want)
	} else if m.chance(4) && want == nil && m.depth == 1 {
		t := m.anyTable()
		return seq("TABLE ", t.sql()), t.Columns, AnyOrder
	} else {
		n, columns = m.core(outer, want)
	}
	// Before PostgreSQL 18 columns that a join makes equal are sorted as one,
	// though a grouping set has made NULL of one of them.
	if len(columns) == 0 || m.groupingSets || !m.chance(45) {
		return n, columns, AnyOrder
	}
	positions := make([]string, len(columns))
	for i := range positions {
		positions[i] = fmt.Sprint(i+1) + pick(m.Rand, "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST")
	}
	// Every column, so that rows that could change places are the same.
	n = seq(n, " ORDER BY ", strings.Join(shuffled(m.Rand, positions), ", "))
	switch m.IntN(6) {
	case 0:
		n = seq(n, opt(" LIMIT ", m.value("int")))
	case 1:
		n = seq(n, opt(" OFFSET ", literal("int", "1")), opt(" FETCH FIRST 4 ROWS ONLY"))
	case 2:
		if m.depth < 3 {
			n = seq(n, opt(" LIMIT (", m.count(), ")"))
		}
	}
	return n, columns, AsTheyCome
}

func (m *Maker) count() *Node {
	m.depth++
	defer func() { m.depth-- }()
	from, s := m.from(nil)
	return seq("SELECT count(*) FROM ", from, opt(" WHERE ", m.cond(s, 1)))
}

func (m *Maker) setOperation(outer *Scope, want []string) (*Node, []*Column) {
	if want == nil {
		want = some(m.Rand, m.between(1, 3), shuffled(m.Rand, []string{"int", "text", "date", "num", "int"}))
	}
	a, columns := m.core(outer, want)
	b, _ := m.core(outer, want)
	op := pick(m.Rand, " UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ", " EXCEPT ALL ", " INTERSECT ALL ")
	n := either(seq(a, op, b), a, b)
	if m.chance(20) {
		c, _ := m.core(outer, want)
		n = either(seq("(", n, ")", pick(m.Rand, " UNION ", " EXCEPT "), c), n)
	}
	return n, columns
}

// core is SELECT .. FROM .. WHERE .. GROUP BY .. HAVING.
func (m *Maker) core(outer *Scope, want []string) (*Node, []*Column) {
	from, s := m.from(outer)
	where := opt(" WHERE ", m.cond(s, pick(m.Rand, 1, 1, 2)))
	if m.chance(25) {
		where = seq()
	}
	switch m.IntN(10) {
	case 0, 1, 2:
		return m.grouped(from, where, s, want)
	case 3:
		if want == nil {
			return m.windowed(from, where, s)
		}
	}
	if want == nil && m.chance(35) {
		return m.star(from, where, s)
	}
	families := want
	if families == nil {
		families = some(m.Rand, m.between(1, 4), shuffled(m.Rand, []string{"int", "text", "num", "bool", "date", "ts", "array", "json", "range", "enum", "big", "stamp"}))
	}
	var columns []*Column
	var targets []*Node
	for i, f := range families {
		n, c := m.target(m.expr(s, f, pick(m.Rand, 1, 1, 2)), f, i)
		targets, columns = append(targets, n), append(columns, c)
	}
	keep := 1
	if want != nil {
		keep = len(targets)
	}
	if want == nil {
		// Targets may go one by one only where nobody counts on them.
		keep = len(targets)
	}
	return seq("SELECT ", opt(pick(m.Rand, "", "", "", "DISTINCT ", "ALL ")), list(", ", keep, targets...), " FROM ", from, where), columns
}

// target names an expression.
func (m *Maker) target(n *Node, family string, place int) (*Node, *Column) {
	name := fmt.Sprintf("c%d", place)
	t := families[family]
	if t == nil {
		t = timestamptz
	}
	return seq(n, " AS ", name), &Column{Name: name, Type: t, Marker: family == "stamp"}
}

// star is SELECT * and its kin. What columns come out is told only when each
// has a name of its own.
func (m *Maker) star(from, where *Node, s *Scope) (*Node, []*Column) {
	src := pick(m.Rand, s.Sources...)
	what := "*"
	columns := src.Columns
	if src.Partial {
		columns = nil
	}
	switch {
	case len(s.Sources) > 1 && m.chance(50):
		columns = nil
	case m.chance(40) || len(s.Sources) > 1:
		what = src.Name + ".*"
	}
	if len(columns) > 0 {
		seen := map[string]bool{}
		for _, c := range columns {
			if seen[c.Name] {
				columns = nil
				break
			}
			seen[c.Name] = true
		}
	}
	return seq("SELECT ", what, " FROM ", from, where), columns
}

// grouped has aggregates.
func (m *Maker) grouped(from, where *Node, s *Scope, want []string) (*Node, []*Column) {
	if want != nil {
		var targets []*Node
		var columns []*Column
		for i, f := range want {
			n, c := m.target(m.aggregate(s, f), f, i)
			targets, columns = append(targets, n), append(columns, c)
		}
		return seq("SELECT ", list(", ", len(targets), targets...), " FROM ", from, where), columns
	}
	if src := s.Sources[0]; src.Table != nil && len(src.Table.Key) == 1 && src.Table.PartOf == nil && m.chance(25) {
		// All columns hang on the primary key.
		key := src.Name + "." + quoteName(src.Columns[src.Table.Key[0]].Name)
		return seq("SELECT ", src.Name, ".*, count(*) AS howmany FROM ", from, where, " GROUP BY ", key), nil
	}
	var keys, targets []*Node
	var columns []*Column
	for i := range m.between(0, 2) {
		n, t := m.anyColumn(s)
		keys = append(keys, seq(n))
		target, c := seq(n, " AS ", fmt.Sprintf("c%d", i)), &Column{Name: fmt.Sprintf("c%d", i), Type: t, Marker: t.Family == "stamp"}
		targets, columns = append(targets, target), append(columns, c)
	}
	for range m.between(1, 3) {
		f := pick(m.Rand, "int", "big", "num", "text", "bool", "date", "array", "json")
		n, c := m.target(m.aggregate(s, f), f, len(columns))
		targets, columns = append(targets, n), append(columns, c)
	}
	by := seq()
	if len(keys) > 0 {
		by = seq(pick(m.Rand, " GROUP BY ", " GROUP BY ", " GROUP BY ROLLUP (", " GROUP BY CUBE (", " GROUP BY GROUPING SETS ((), "), list(", ", len(keys), keys...))
		if strings.Contains(by.parts[0].(string), "(") {
			m.groupingSets = true
			by = seq(by, ")")
		}
	}
	having := seq()
	if m.chance(25) {
		having = opt(" HAVING ", m.aggregate(s, "big"), " > 1")
	}
	return seq("SELECT ", list(", ", len(targets), targets...), " FROM ", from, where, by, having), columns
}

// aggregate is one whose answer does not depend on the order of rows.
func (m *Maker) aggregate(s *Scope, family string) *Node {
	// Of outer columns alone it would be an aggregate of the outer query, and
	// the subquery around it could have several rows.
	s = &Scope{Sources: s.Sources}
	e := func(f string) *Node { return m.expr(s, f, 1) }
	filter := seq()
	if m.chance(15) {
		filter = opt(" FILTER (WHERE ", m.cond(s, 1), ")")
	}
	switch family {
	case "int":
		return pick(m.Rand, seq("count(*)", filter, "::int"), seq(pick(m.Rand, "min(", "max("), e("int"), ")", filter))
	case "big":
		return pick(m.Rand, seq("count(*)", filter), seq("sum(", e("int"), ")", filter), seq("count(DISTINCT ", e("text"), ")", filter))
	case "num":
		return pick(m.Rand, seq("round(avg(", e("int"), ")", filter, ", 2)"), seq("sum(", e("num"), ")", filter))
	case "text":
		a := e("text")
		return pick(m.Rand, seq("string_agg(", a, ", ',' ORDER BY ", a, ")", filter), seq("max(", e("text"), ")", filter))
	case "bool":
		return seq(pick(m.Rand, "bool_or(", "bool_and("), m.cond(s, 1), ")", filter)
	case "array":
		a := e("int")
		return seq("array_agg(", a, " ORDER BY ", a, ")", filter)
	case "json":
		a := e("int")
		return seq("jsonb_agg(", a, " ORDER BY ", a, ")", filter)
	case "stamp":
		if n := m.ref(s, "stamp"); n != nil {
			return seq("max(", n, ")")
		}
		return seq("NULL::timestamptz")
	case "range", "enum":
		a := e(family)
		return seq("(array_agg(", a, " ORDER BY ", a, ")", filter, ")[1]")
	}
	return seq(pick(m.Rand, "min(", "max("), e(family), ")", filter)
}

// windowed has window functions whose answers are the same for peers.
func (m *Maker) windowed(from, where *Node, s *Scope) (*Node, []*Column) {
	order, _ := m.anyColumn(s)
	part, _ := m.anyColumn(s)
	window := seq(opt("PARTITION BY ", part), opt(" ORDER BY ", order))
	over, tail := seq(" OVER (", window, ")"), seq()
	if m.chance(30) {
		over, tail = seq(" OVER w"), seq(" WINDOW w AS (", window, ")")
	}
	a, at := m.anyColumn(s)
	functions := []*Node{seq("rank()"), seq("dense_rank()"), seq("count(*)"), seq("sum(", m.expr(s, "int", 1), ")")}
	n := seq("SELECT ", a, " AS c0, ", pick(m.Rand, functions...), over, " AS c1 FROM ", from, where, tail)
	return n, []*Column{{Name: "c0", Type: at, Marker: at.Family == "stamp"}, {Name: "c1", Type: big}}
}

// subquery is for IN, EXISTS and the like.
func (m *Maker) subquery(outer *Scope, want []string) *Node {
	m.depth++
	defer func() { m.depth-- }()
	if m.depth > 3 {
		m.depth--
		defer func() { m.depth++ }()
		t := m.world.Tables[0]
		columns := make([]string, 0, len(want))
		for _, f := range want {
			columns = append(columns, "NULL::"+families[f].Name)
		}
		return seq("SELECT ", strings.Join(columns, ", "), " FROM ", t.sql())
	}
	if want != nil {
		n, _, _ := m.query(outer, want)
		return n
	}
	from, s := m.from(outer)
	return seq("SELECT ", pick(m.Rand, "", "1", "*"), " FROM ", from, opt(" WHERE ", m.cond(s, 1)))
}

// scalar is a subquery of one value, or nil where there are enough.
func (m *Maker) scalar(outer *Scope, family string) *Node {
	if m.depth > 2 {
		return nil
	}
	m.depth++
	defer func() { m.depth-- }()
	from, s := m.from(outer)
	where := opt(" WHERE ", m.cond(s, 1))
	if m.chance(25) && family != "json" {
		return seq("(SELECT ", m.expr(s, family, 0), " FROM ", from, where, " ORDER BY 1 LIMIT 1)")
	}
	return seq("(SELECT ", m.aggregate(s, family), " FROM ", from, where, ")")
}

func (m *Maker) arrayQuery(outer *Scope) *Node {
	if m.depth > 2 {
		return m.value("array")
	}
	m.depth++
	defer func() { m.depth-- }()
	from, s := m.from(outer)
	return seq("ARRAY(SELECT ", m.expr(s, "int", 0), " FROM ", from, opt(" WHERE ", m.cond(s, 1)), " ORDER BY 1)")
}

// with is a WITH clause. What it names is in scope until the query ends.
func (m *Maker) with() *Node {
	if m.chance(25) {
		return m.recursive()
	}
	var ctes []*Node
	for range m.between(1, 2) {
		name := m.name("w")
		if m.chance(30) {
			name = quoteName(pick(m.Rand, m.world.Tables...).Name) // it hides the table of that name
		}
		// A column's number is not known for those from *, so they are named.
		n, columns, _ := m.query(nil, []string{"int", pick(m.Rand, "text", "date", "int")})
		ctes = append(ctes, seq(name, pick(m.Rand, " AS ", " AS ", " AS MATERIALIZED ", " AS NOT MATERIALIZED "), "(", n, ")"))
		m.extra = append(m.extra, &Source{Name: name, Columns: columns}, &Source{Name: name, Columns: columns})
	}
	return seq("WITH ", list(", ", len(ctes), ctes...), " ")
}

// recursive walks over the rows of a table by a column that points at ids.
func (m *Maker) recursive() *Node {
	t := m.anyTable()
	ref := "id"
	for _, c := range t.Columns {
		if c.Type == integer && c.Name != "id" && c.Computed == "" {
			ref = quoteName(c.Name)
		}
	}
	name := m.name("r")
	m.extra = append(m.extra, &Source{Name: name, Columns: []*Column{{Name: "id", Type: integer}, {Name: "level", Type: integer}}})
	up := seq("SELECT x.id, r.level + 1 FROM ", t.sql(), " x JOIN ", name, " r ON x.", ref, " = r.id WHERE r.level < 4")
	return seq("WITH RECURSIVE ", name, "(id, level) AS (SELECT id, 0 FROM ", t.sql(), opt(" WHERE id < 3"), " UNION ", up, ") ")
}
