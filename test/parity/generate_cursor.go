package main

// prepared is PREPARE, EXECUTE and DEALLOCATE.
func (m *Maker) prepared() []*Statement {
	name := m.name("plan")
	n, kind := m.write()
	order := AnyOrder
	if m.chance(50) {
		n, _, order = m.query(nil, nil)
		kind = "select"
	}
	out := []*Statement{statement("prepare "+kind, AnyOrder, "PREPARE ", name, " AS ", n), statement("execute "+kind, order, "EXECUTE ", name)}
	if m.chance(40) {
		d, k := m.deletion()
		out = append(out, statement(k, AnyOrder, d))
	}
	out = append(out, statement("execute "+kind, order, "EXECUTE ", name))
	if m.chance(50) {
		out = append(out, statement("deallocate", AnyOrder, pick(m.Rand, "DEALLOCATE ", "DEALLOCATE PREPARE "), name))
	}
	return out
}

// cursor is DECLARE, FETCH, MOVE, CLOSE in a transaction, with changes at the
// cursor's row.
func (m *Maker) cursor() []*Statement {
	name := m.name("cur")
	begin, end := statement("begin", AnyOrder, "BEGIN"), statement("commit", AnyOrder, "COMMIT")
	if m.chance(40) {
		// One table in the order of its key, so that there is a current row.
		if t := m.unique(); t != nil {
			out := []*Statement{begin, statement("declare", AnyOrder, "DECLARE ", name, " CURSOR FOR SELECT * FROM ", t.sql(), opt(" WHERE ", m.cond(&Scope{Sources: []*Source{{Name: quoteName(t.Name), Columns: t.Columns, Short: true}}}, 1)), " FOR UPDATE")}
			// Which row comes first depends on the heap, so all but one
			// column are left out, and only a table of one live row is sure.
			out = append(out, statement("fetch", NotCompared, "FETCH 1 FROM ", name))
			if m.chance(50) {
				return append(out, statement("fetch", AnyOrder, "MOVE ALL IN ", name), end)
			}
			return append(out, statement("fetch", AnyOrder, "CLOSE ", name), end)
		}
	}
	n, _, order := m.query(nil, nil)
	hold := pick(m.Rand, "", "", " WITH HOLD")
	out := []*Statement{begin, statement("declare", AnyOrder, "DECLARE ", name, pick(m.Rand, " ", " SCROLL ", " NO SCROLL ", " INSENSITIVE "), "CURSOR", hold, " FOR ", n)}
	if order == AsTheyCome {
		out = append(out, statement("fetch", AsTheyCome, pick(m.Rand, "FETCH 2 FROM ", "FETCH NEXT FROM ", "FETCH ABSOLUTE 2 FROM ", "FETCH FORWARD 3 IN "), name))
	}
	if m.chance(40) {
		d, k := m.deletion()
		out = append(out, statement(k, AnyOrder, d))
	}
	if hold != "" {
		out = append(out, end)
	}
	out = append(out, statement("fetch", order, "FETCH ALL FROM ", name), statement("close", AnyOrder, "CLOSE ", pick(m.Rand, name, "ALL")))
	if hold == "" {
		out = append(out, end)
	}
	return out
}

// atCursor changes the one row that a cursor stands on.
func (m *Maker) atCursor() []*Statement {
	t := m.unique()
	if t == nil || len(m.clean[t]) == 0 {
		return m.cursor()
	}
	name := m.name("cur")
	id := pick(m.Rand, m.clean[t]...)
	change := statement("delete current", AnyOrder, "DELETE FROM ", t.sql(), " WHERE CURRENT OF ", name, opt(" RETURNING *"))
	if m.chance(40) {
		x := &Target{table: t, columns: t.Columns, source: &Source{Name: quoteName(t.Name), Columns: t.Columns, Table: t}}
		if set := m.assignments(x, &Scope{Sources: []*Source{x.source}}, true); set != nil {
			change = statement("update current", AnyOrder, "UPDATE ", t.sql(), " SET ", set, " WHERE CURRENT OF ", name)
		}
	}
	m.deletes(t)
	return []*Statement{
		statement("begin", AnyOrder, "BEGIN"),
		statement("declare", AnyOrder, "DECLARE ", name, " CURSOR FOR SELECT * FROM ", t.sql(), " WHERE id = ", id, opt(" FOR UPDATE")),
		statement("fetch", AnyOrder, "FETCH FROM ", name),
		change,
		statement("select", AnyOrder, "SELECT * FROM ", t.sql()),
		statement("commit", AnyOrder, pick(m.Rand, "COMMIT", "ROLLBACK")),
	}
}
