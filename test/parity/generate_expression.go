package main

import "fmt"

// Source is something in FROM, as expressions see it.
type Source struct {
	Name    string    // how its columns are qualified, written out
	Columns []*Column // what it offers
	Table   *Relation // nil for anything but a table
	Short   bool      // its columns need no qualifier, for it is alone
	Partial bool      // it has more columns than are listed
}

// Scope is the sources of a query and those of the queries around it.
type Scope struct {
	Sources []*Source
	Outer   *Scope
}

// Maker makes the statements of one case.
type Maker struct {
	*Rand
	world        *World
	extra        []*Source // what can be read by its name alone: CTEs, and what the case has made
	serial       int
	ids          int                    // the last fresh id
	clean        map[*Relation][]string // ids that no tombstone can hold
	modified     map[*Relation]bool     // by the statement at hand, which may change a table once
	depth        int                    // of subqueries
	groupingSets bool                   // the query at hand has grouping sets
	risky        bool                   // expressions may fail at run time: only where no plan decides whether they are reached
}

func newMaker(r *Rand, w *World) *Maker {
	m := &Maker{Rand: r, world: w, ids: 2000, clean: map[*Relation][]string{}}
	for _, t := range w.Tables {
		if len(t.Key) != 1 {
			continue
		}
		for _, row := range t.Rows {
			if !row.Tombstone {
				m.clean[t] = append(m.clean[t], row.Values[0])
			}
		}
	}
	return m
}

// name is a fresh name.
func (m *Maker) name(prefix string) string {
	m.serial++
	return fmt.Sprintf("%s%d", prefix, m.serial)
}

// ref is a column of a family from the scope, or nil.
func (m *Maker) ref(s *Scope, family string) *Node {
	for at := s; at != nil; at = at.Outer {
		var found []*Node
		for _, src := range at.Sources {
			for _, c := range src.Columns {
				if c.Type.Family == family {
					found = append(found, m.column(src, c))
				}
			}
		}
		if len(found) > 0 && (at.Outer == nil || !m.chance(15)) {
			return pick(m.Rand, found...)
		}
	}
	return nil
}

func (m *Maker) column(src *Source, c *Column) *Node {
	name := quoteName(c.Name)
	if src.Short && m.depth == 0 && m.chance(60) {
		return seq(name)
	}
	return seq(src.Name + "." + name)
}

// anyColumn is some column of the scope.
func (m *Maker) anyColumn(s *Scope) (*Node, *Type) {
	src := pick(m.Rand, s.Sources...)
	if len(src.Columns) == 0 {
		return literal("int", "1"), integer
	}
	c := pick(m.Rand, src.Columns...)
	return m.column(src, c), c.Type
}

var families = map[string]*Type{
	"int": integer, "big": big, "num": number, "text": text, "bool": boolean, "date": date, "ts": timestamp,
	"array": array, "json": json, "range": span, "enum": mood,
}

func (m *Maker) value(family string) *Node {
	t := families[family]
	if m.chance(5) {
		return literal(t.Name, nothing)
	}
	return literal(t.Name, t.value(m.Rand))
}

// expr is an expression of a family. Deeper ones are rarer.
func (m *Maker) expr(s *Scope, family string, depth int) *Node {
	if family == "stamp" { // only ever the marker itself
		if n := m.ref(s, family); n != nil {
			return n
		}
		return seq("NULL::timestamptz")
	}
	if depth <= 0 || m.chance(45) {
		if n := m.ref(s, family); n != nil && m.chance(75) {
			return n
		}
		return m.value(family)
	}
	n := m.compound(s, family, depth-1)
	return either(n, literal(families[family].Name, families[family].value(m.Rand)))
}

func (m *Maker) compound(s *Scope, family string, depth int) *Node {
	e := func(f string) *Node { return m.expr(s, f, depth) }
	switch m.IntN(10) {
	case 0:
		return seq("CASE WHEN ", m.cond(s, depth), " THEN ", e(family), opt(" ELSE ", e(family)), " END")
	case 1:
		return seq("COALESCE(", e(family), ", ", e(family), ")")
	case 2:
		if n := m.scalar(s, family); n != nil {
			return n
		}
	case 3:
		if family != "json" && family != "bool" {
			return seq(pick(m.Rand, "GREATEST(", "LEAST("), e(family), ", ", e(family), ")")
		}
	case 4:
		return seq("NULLIF(", e(family), ", ", e(family), ")")
	}
	switch family {
	case "int":
		return pick(m.Rand,
			seq("(", e("int"), pick(m.Rand, " + ", " - ", " * "), literal("int", pick(m.Rand, "1", "2", "3")), ")"),
			seq("length(", e("text"), ")"), seq("abs(", e("int"), ")"), seq("(", e("big"), " % 7)::int"),
			seq("cardinality(", e("array"), ")"), seq("lib.twice(", e("int"), ")"), seq("(", e("date"), " - ", e("date"), ")"),
			seq("(", e("array"), ")[1]"), seq("extract(day from ", e("date"), ")::int"), seq("upper(", e("range"), ")"), seq("(", e("json"), " ->> 'a')::int"))
	case "big":
		return seq(e("int"), "::bigint")
	case "num":
		return pick(m.Rand, seq("round(", e("num"), " * 1.5, 2)"), seq("(", e("num"), pick(m.Rand, " + ", " - "), e("num"), ")"), seq(e("int"), "::numeric(8,2)"))
	case "text":
		return pick(m.Rand, seq("(", e("text"), " || ", e("text"), ")"), seq(pick(m.Rand, "upper(", "lower(", "md5("), e("text"), ")"),
			seq("(", e(pick(m.Rand, "int", "date", "json", "enum", "bool", "array")), ")::text"),
			seq("substr(", e("text"), ", 2)"), seq("concat_ws('-', ", e("text"), ", ", e("int"), ")"), m.rowText(s))
	case "bool":
		return seq("(", m.cond(s, depth), ")")
	case "date":
		return pick(m.Rand, seq("(", e("date"), " + ", literal("int", "3"), ")"), seq(e("ts"), "::date"))
	case "ts":
		return pick(m.Rand, seq(e("date"), "::timestamp"), seq("(", e("ts"), " + interval '1 day')"))
	case "array":
		return pick(m.Rand, seq("ARRAY[", e("int"), ", ", e("int"), "]"), seq("(", e("array"), " || ", e("int"), ")"), m.arrayQuery(s))
	case "json":
		return pick(m.Rand, seq("jsonb_build_object('k', ", e("int"), ", 't', ", e("text"), ")"), seq("to_jsonb(", e("array"), ")"), m.rowJSON(s))
	case "range":
		return seq("int4range(", literal("int", "1"), ", ", literal("int", pick(m.Rand, "4", "8")), ")")
	}
	return e(family)
}

// rowText and rowJSON are whole rows, in which a leaked marker would show.
func (m *Maker) rowText(s *Scope) *Node {
	src := pick(m.Rand, s.Sources...)
	return seq("(", src.Name, ")::text")
}

func (m *Maker) rowJSON(s *Scope) *Node {
	src := pick(m.Rand, s.Sources...)
	return seq("to_jsonb(", src.Name, ")")
}

// cond is a condition.
func (m *Maker) cond(s *Scope, depth int) *Node {
	simple := m.comparison(s, 0)
	if depth <= 0 {
		return simple
	}
	switch m.IntN(14) {
	case 0, 1:
		return either(seq("(", m.cond(s, depth-1), ") OR (", m.cond(s, depth-1), ")"), simple)
	case 2:
		a, b := m.cond(s, depth-1), m.cond(s, depth-1)
		return either(seq(a, " AND ", b), a, b)
	case 3:
		return either(seq("NOT (", m.cond(s, depth-1), ")"), simple)
	case 4, 5:
		return either(seq(pick(m.Rand, "", "NOT "), "EXISTS (", m.subquery(s, nil), ")"), simple)
	case 6, 7:
		f := pick(m.Rand, "int", "text")
		return either(seq(m.expr(s, f, 0), pick(m.Rand, " IN (", " NOT IN (", " = ANY (", " <> ALL (", " >= SOME ("), m.subquery(s, []string{f}), ")"), simple)
	case 8:
		return either(seq("(", m.expr(s, "int", 0), ", ", m.expr(s, "text", 0), ") ", pick(m.Rand, "IN", "NOT IN"), " (", m.subquery(s, []string{"int", "text"}), ")"), simple)
	case 9:
		return either(seq(m.expr(s, "int", 0), " IN (", list(", ", 1, m.value("int"), m.value("int"), m.value("int")), ")"), simple)
	}
	return m.comparison(s, depth-1)
}

func (m *Maker) comparison(s *Scope, depth int) *Node {
	e := func(f string) *Node { return m.expr(s, f, depth) }
	op := func() string { return pick(m.Rand, " = ", " < ", " > ", " <> ", " <= ", " IS DISTINCT FROM ") }
	switch m.IntN(16) {
	case 0:
		n, _ := m.anyColumn(s)
		return seq(n, pick(m.Rand, " IS NULL", " IS NOT NULL"))
	case 1:
		if n := m.ref(s, "stamp"); n != nil {
			return seq(n, pick(m.Rand, " IS NULL", " IS NOT NULL"))
		}
	case 2:
		return seq(e("text"), pick(m.Rand, " LIKE ", " NOT LIKE ", " ~~* "), literal("text", pick(m.Rand, "%e%", "b%", "_r%")))
	case 3:
		return seq(e("bool"), pick(m.Rand, "", " IS TRUE", " IS NOT TRUE", " IS UNKNOWN"))
	case 4:
		return seq(e("int"), " BETWEEN ", e("int"), " AND ", e("int"))
	case 5:
		return seq(e("array"), pick(m.Rand, " && ", " @> "), e("array"))
	case 6:
		return seq(e("range"), " @> ", e("int"))
	case 7:
		return seq(e("json"), " ? 'a'")
	case 8:
		return seq("(", e("int"), ", ", e("text"), ") ", pick(m.Rand, "<", "=", ">="), " (", e("int"), ", ", e("text"), ")")
	case 9:
		if m.risky && s.Outer == nil && len(s.Sources) == 1 && s.Sources[0].Table != nil {
			return seq("10 / NULLIF(", m.expr(s, "int", 0), ", 0) > 1")
		}
	case 10:
		f := pick(m.Rand, "date", "ts", "enum", "num", "big", "array", "json")
		return seq(e(f), op(), e(f))
	}
	f := pick(m.Rand, "int", "int", "int", "text")
	return seq(e(f), op(), e(f))
}
