package main

import "fmt"

// free reports whether the natural key may be left out.
func (x *Target) free() bool {
	for _, i := range x.table.Unique {
		if x.table.Columns[i].NotNull {
			return false
		}
	}
	return true
}

// merge is a MERGE whose source has one row for each of the target's.
func (m *Maker) merge() (*Node, string) {
	x := m.aim(false)
	o := m.unique()
	if x == nil || x.view != nil || o == nil {
		return m.deletion()
	}
	x.source.Name = m.name("m")
	src := &Source{Name: m.name("s"), Columns: o.Columns, Table: o}
	from := seq(o.sql(), " AS ", src.Name)
	if m.chance(30) {
		from = seq("(SELECT * FROM ", o.sql(), " WHERE ", m.cond(&Scope{Sources: []*Source{{Name: quoteName(o.Name), Columns: o.Columns, Short: true}}}, 1), ") AS ", src.Name)
	}
	both := &Scope{Sources: []*Source{x.source, src}}
	mine := m.ref(&Scope{Sources: []*Source{x.source}}, "int")
	n := seq("MERGE INTO ", x.name, " AS ", x.source.Name, " USING ", from, " ON ", src.Name, ".id = ", mine)
	var whens []*Node
	for range m.between(1, 3) {
		and := seq()
		if m.chance(50) {
			and = opt(" AND ", m.comparison(both, 0))
		}
		switch m.IntN(5) {
		case 0, 1:
			m.deletes(x.table)
			whens = append(whens, opt(" WHEN MATCHED", and, " THEN DELETE"))
		case 2:
			if set := m.assignments(x, both, false); set != nil {
				whens = append(whens, opt(" WHEN MATCHED", and, " THEN UPDATE SET ", set))
			}
		case 3:
			whens = append(whens, opt(" WHEN MATCHED", and, " THEN DO NOTHING"))
		default:
			if x.table.PartOf != nil || x.table.Unique != nil && !x.free() {
				continue // which of several rows fails first would be left open
			}
			s := &Scope{Sources: []*Source{src}}
			if m.chance(50) {
				and = opt(" AND ", m.comparison(s, 0))
			} else {
				and = seq()
			}
			names, values := "id", []any{src.Name, ".id % ", fmt.Sprint(firstBlock), " + ", m.block()}
			for i, c := range x.columns {
				if i > 0 && (c.NotNull || contains(x.table.Key, i)) && c.Computed == "" && c.Type.value != nil {
					names += ", " + quoteName(c.Name)
					values = append(values, ", COALESCE(", m.expr(s, c.Type.Family, 0), ", ", literal(c.Type.Name, c.Type.value(m.Rand)), ")")
				}
			}
			whens = append(whens, opt(append([]any{" WHEN NOT MATCHED", and, " THEN INSERT (" + names + ") VALUES ("}, append(values, ")")...)...))
		}
	}
	return seq(n, list("", 1, append(whens, seq(" WHEN MATCHED THEN DO NOTHING"))...)), "merge"
}
