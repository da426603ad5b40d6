package main

import "strings"

// define makes something out of a query, reads it, and takes it away again.
// All of it stands in scratch, which is emptied after the case.
func (m *Maker) define() []*Statement {
	object := "scratch." + m.name(pick(m.Rand, "p_new", "t_new", "v_new"))
	want := []string{"int", "text", pick(m.Rand, "date", "num", "json")}
	n, columns, _ := m.query(nil, want)
	if m.chance(40) {
		src := m.anyTable()
		n, columns = seq("SELECT * FROM ", src.sql(), opt(" WHERE ", m.cond(&Scope{Sources: []*Source{{Name: quoteName(src.Name), Columns: src.Columns, Short: true}}}, 1))), src.Columns
	}
	read := func() *Statement { return statement("read defined", AnyOrder, "SELECT * FROM ", object) }
	change := func() *Statement { d, k := m.deletion(); return statement(k, AnyOrder, d) }
	m.extra = append(m.extra, &Source{Name: object, Columns: columns})
	switch m.IntN(8) {
	case 0, 1:
		out := []*Statement{statement("create table as", AnyOrder, "CREATE ", pick(m.Rand, "", "UNLOGGED ", ""), "TABLE ", pick(m.Rand, "", "IF NOT EXISTS "), object, " AS ", n, opt(pick(m.Rand, "", " WITH NO DATA", " WITH DATA"))), read()}
		if m.chance(50) {
			out = append(out, statement("delete defined", AnyOrder, "DELETE FROM ", object, opt(" RETURNING *")), read())
		}
		return out
	case 2:
		sql := strings.Replace(n.SQL(), " FROM ", " INTO "+object+" FROM ", 1)
		if !strings.HasPrefix(sql, "SELECT ") || strings.Contains(sql, "(") && strings.Index(sql, "(") < strings.Index(sql, " INTO ") {
			sql = "SELECT * INTO " + object + " FROM " + m.anyTable().sql()
		}
		return []*Statement{statement("select into", AnyOrder, sql), read()}
	case 3:
		return []*Statement{statement("create materialized view", AnyOrder, "CREATE MATERIALIZED VIEW ", object, " AS ", n), read(), change(),
			statement("refresh", AnyOrder, "REFRESH MATERIALIZED VIEW ", object), read()}
	case 4, 5:
		out := []*Statement{statement("create view", AnyOrder, "CREATE ", pick(m.Rand, "", "OR REPLACE "), "VIEW ", object, " AS ", n), read(), change(), read()}
		if m.chance(40) {
			out = append(out, statement("delete view", AnyOrder, "DELETE FROM ", object), read())
		}
		if m.chance(30) {
			out = append(out, statement("drop", AnyOrder, "DROP VIEW ", object), read())
		}
		return out
	case 6:
		f := "scratch." + m.name("f")
		m.extra = m.extra[:len(m.extra)-1]
		q, _, _ := m.query(nil, []string{"int", "text"})
		body := seq("BEGIN ATOMIC ", q, "; END")
		if m.chance(50) {
			d, _ := m.deletion()
			body = seq("BEGIN ATOMIC ", d, "; ", q, "; END")
		}
		return []*Statement{statement("create function", AnyOrder, "CREATE FUNCTION ", f, "(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE sql ", body),
			statement("call function", AnyOrder, "SELECT * FROM ", f, "()"), change(), statement("call function", AnyOrder, "SELECT * FROM ", f, "()")}
	}
	t := m.anyTable()
	m.extra = m.extra[:len(m.extra)-1]
	o := m.anyTable()
	m.deletes(o)
	base := "scratch." + m.name("u")
	return []*Statement{
		statement("create table", AnyOrder, "CREATE TABLE ", base, " (id int, word text)"),
		statement("create rule", AnyOrder, "CREATE RULE r AS ON INSERT TO ", base, " DO ", pick(m.Rand, "ALSO ", "INSTEAD "),
			pick(m.Rand, "DELETE FROM "+o.sql()+" WHERE id = NEW.id", "INSERT INTO "+base+"x SELECT id FROM "+t.sql(), "UPDATE "+o.sql()+" SET id = id WHERE id = NEW.id")),
		statement("insert", AnyOrder, "INSERT INTO ", base, " VALUES (3, 'x'), (4, 'y')"),
		statement("read defined", AnyOrder, "SELECT * FROM ", base),
		statement("select", AnyOrder, "SELECT * FROM ", o.sql()),
	}
}
