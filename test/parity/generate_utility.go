package main

import (
	"fmt"
	"strings"
)

// Everything that is not a plain query or a change of rows. Each returns one or
// more statements that belong together; they are sent one after the other.

func statement(kind string, order Order, parts ...any) *Statement {
	return &Statement{Node: seq(parts...), Kind: kind, Order: order}
}

// temporary makes a table that hides another of its name.
func (m *Maker) temporary() []*Statement {
	t := m.anyTable()
	name := quoteName(t.Name)
	create := statement("create temp", AnyOrder, "CREATE TEMP TABLE ", name, " (id int, ", marker, " timestamptz)")
	if m.chance(40) {
		create = statement("create temp as", AnyOrder, "CREATE TEMP TABLE ", name, " AS SELECT * FROM ", t.sql())
	}
	// Without the temporary table the names below mean others.
	for _, o := range m.world.Tables {
		if o.Name == t.Name {
			m.deletes(o)
		}
	}
	out := []*Statement{create,
		statement("temp", AnyOrder, "INSERT INTO pg_temp.", name, " (id) VALUES (1), (2), (3)"),
		statement("temp", AnyOrder, "DELETE FROM ", name, " WHERE id = 2"),
		statement("temp", AnyOrder, "SELECT id FROM ", name),
		statement("select", AnyOrder, "SELECT * FROM ", t.sql()),
	}
	if m.chance(60) {
		out = append(out, statement("drop temp", AnyOrder, "DROP TABLE pg_temp.", name), statement("select", AnyOrder, "SELECT id FROM ", name))
	}
	return out
}

// path changes what names without a schema mean.
func (m *Maker) path() []*Statement {
	set := pick(m.Rand, "SET search_path = app, public", "SET search_path = other, public", "SET search_path TO public, app", "SELECT set_config('search_path', 'other', false)", "SET search_path = ''")
	out := []*Statement{statement("set path", AnyOrder, set)}
	for range m.between(1, 3) {
		t := m.anyTable()
		name := quoteName(t.Name)
		out = append(out, statement("after path", AnyOrder, pick(m.Rand, "SELECT * FROM ", "DELETE FROM ", "TABLE "), name))
		for _, o := range m.world.Tables {
			if o.Name == t.Name {
				m.deletes(o)
			}
		}
	}
	return append(out, statement("set path", AnyOrder, pick(m.Rand, "RESET search_path", "SET search_path = DEFAULT", "SET search_path = public")))
}

// copying is COPY, in both directions.
func (m *Maker) copying() []*Statement {
	t := m.anyTable()
	switch m.IntN(6) {
	case 0:
		n, _, order := m.query(nil, nil)
		return []*Statement{statement("copy query", order, "COPY (", n, ") TO STDOUT", opt(pick(m.Rand, "", " (FORMAT csv)", " (FORMAT binary)")))}
	case 1:
		d, _ := m.deletion()
		return []*Statement{statement("copy delete", AnyOrder, "COPY (", d, ") TO STDOUT")}
	case 2, 3:
		return []*Statement{m.copyIn(t), statement("select", AnyOrder, "SELECT * FROM ", t.sql())}
	}
	columns := ""
	if m.chance(40) {
		columns = " (id, " + quoteName(t.Columns[1].Name) + ")"
	}
	options := pick(m.Rand, "", "", " WITH (FORMAT csv, HEADER)", " (FORMAT csv, NULL '~', FORCE_QUOTE *)", " WITH (FORMAT binary)", " CSV HEADER", " WITH NULL AS 'none'", " (DELIMITER '|')", " DELIMITERS ';'", " BINARY")
	return []*Statement{statement("copy to", AnyOrder, "COPY ", t.sql(), columns, " TO STDOUT", opt(options))}
}

func (m *Maker) copyIn(t *Relation) *Statement {
	var columns []*Column
	var names []string
	for _, c := range t.Columns {
		if c.Computed == "" && !c.Marker {
			columns, names = append(columns, c), append(names, quoteName(c.Name))
		}
	}
	var data strings.Builder
	for range m.between(0, 3) {
		var values []string
		for _, c := range columns {
			v := columnValue(m.Rand, c)
			switch {
			case c.Name == "id":
				v = m.fresh(t)
			case v == nothing:
				v = `\N`
			default:
				v = strings.ReplaceAll(v, `\`, `\\`)
			}
			values = append(values, v)
		}
		if m.chance(5) {
			values = values[1:]
		}
		fmt.Fprintln(&data, strings.Join(values, "\t"))
	}
	st := statement("copy from", AnyOrder, "COPY ", t.sql(), " (", strings.Join(names, ", "), ") FROM STDIN")
	st.CopyIn, st.Fails = data.String(), m.chance(10)
	if st.CopyIn == "" {
		st.Fails = true
	}
	return st
}

// odds and ends.
func (m *Maker) other() []*Statement {
	t := m.anyTable()
	switch m.IntN(14) {
	case 0, 1, 2:
		n, kind := m.write()
		if m.chance(60) {
			n, _, _ = m.query(nil, nil)
			kind = "select"
		}
		return []*Statement{statement("explain "+kind, NotCompared, "EXPLAIN ", pick(m.Rand, "", "(COSTS OFF) ", "(VERBOSE, COSTS OFF) ", "(ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "), n)}
	case 3:
		return []*Statement{statement("lock", AnyOrder, "BEGIN"), statement("lock", AnyOrder, "LOCK TABLE ", t.sql(), pick(m.Rand, "", " IN SHARE MODE")), statement("lock", AnyOrder, "COMMIT")}
	case 4:
		return []*Statement{statement("notify", AnyOrder, "LISTEN here"), statement("notify", AnyOrder, "NOTIFY here, 'deleted'"), statement("notify", AnyOrder, "UNLISTEN *")}
	case 5:
		return []*Statement{statement("do", AnyOrder, "DO $$ BEGIN RAISE NOTICE 'here'; PERFORM lib.say('there'); END $$")}
	case 6:
		return []*Statement{statement("show", AnyOrder, pick(m.Rand, "SHOW search_path", "SHOW work_mem", "SET LOCAL work_mem = '5MB'", "RESET ALL", "SET datestyle = 'German, DMY'", "SET application_name = 'it'"))}
	case 7:
		return []*Statement{statement("say", AnyOrder, "SELECT lib.say(", m.value("text"), "), (", m.count(), ")")}
	case 8:
		return []*Statement{statement("comment", AnyOrder, "COMMENT ON TABLE ", t.sql(), " IS 'rows'")}
	case 9:
		return []*Statement{statement("empty", AnyOrder, pick(m.Rand, "", " -- nothing", "/* nothing */ "))}
	case 10:
		return []*Statement{statement("syntax error", AnyOrder, pick(m.Rand, "SELEC 1", "SELECT FROM WHERE", "SELECT (1", "SELECT 1 1", "SELECT 'x"))}
	case 11:
		return []*Statement{statement("unknown name", AnyOrder, pick(m.Rand,
			"SELECT nosuch FROM "+t.sql(), "SELECT * FROM nosuch", "DELETE FROM "+t.sql()+" WHERE nosuch = 1", "DELETE FROM "+t.sql()+" d WHERE "+quoteName(t.Name)+".id = 1",
			"UPDATE "+t.sql()+" SET nosuch = 1", "SELECT id FROM "+t.sql()+" x, "+t.sql()+" y", "DELETE FROM "+t.sql()+" RETURNING nosuch", "SELECT nosuch(id) FROM "+t.sql(),
			"DELETE FROM "+t.sql()+" WHERE id = 'x'", "SELECT 日本, id FROM "+t.sql()+" WHERE id = 1 OR nope", "INSERT INTO "+t.sql()+" (nosuch) VALUES (1)"))}
	case 12:
		name := m.name("index")
		return []*Statement{statement("index", AnyOrder, "CREATE INDEX ", name, " ON ", t.sql(), " (id)"), statement("index", AnyOrder, "SELECT * FROM ", t.sql(), " WHERE id = 3"),
			statement("index", AnyOrder, "DROP INDEX ", quoteName(t.Schema), ".", name)}
	}
	object := "scratch." + m.name("p_new")
	return []*Statement{
		statement("create table", AnyOrder, "CREATE TABLE ", object, " (id int, ", marker, " timestamptz)"),
		statement("insert defined", AnyOrder, "INSERT INTO ", object, " (id) VALUES (1), (2), (3)"),
		statement("delete defined", AnyOrder, "DELETE FROM ", object, " WHERE id < 3", opt(" RETURNING *")),
		statement("alter table", AnyOrder, "ALTER TABLE ", object, pick(m.Rand, " ADD COLUMN more text DEFAULT 'm'", " RENAME TO p_other", " SET SCHEMA other", " RENAME COLUMN id TO number")),
		statement("read defined", AnyOrder, "SELECT * FROM ", pick(m.Rand, object, "scratch.p_other", "other"+strings.TrimPrefix(object, "scratch"))),
		statement("drop", AnyOrder, "DROP TABLE IF EXISTS ", object, ", scratch.p_other, other", strings.TrimPrefix(object, "scratch")),
	}
}
