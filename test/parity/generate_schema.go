package main

import (
	"fmt"
	"strings"
)

// Values come from small pools, so that joins meet, keys repeat and groups have
// more than one row.
var (
	integer   = &Type{"int", "int", func(r *Rand) string { return fmt.Sprint(r.between(0, 9)) }}
	big       = &Type{"bigint", "big", func(r *Rand) string { return pick(r, "0", "1", "7", "5000000000") }}
	number    = &Type{"numeric(8,2)", "num", func(r *Rand) string { return fmt.Sprintf("%d.%02d", r.between(0, 20), 25*r.IntN(4)) }}
	text      = &Type{"text", "text", func(r *Rand) string { return pick(r, someWords...) }}
	varchar   = &Type{"varchar(12)", "text", func(r *Rand) string { return pick(r, "x", "yy", "Zoë", "") }}
	boolean   = &Type{"boolean", "bool", func(r *Rand) string { return pick(r, "t", "f") }}
	date      = &Type{"date", "date", func(r *Rand) string { return fmt.Sprintf("2024-0%d-1%d", r.between(1, 3), r.between(0, 3)) }}
	timestamp = &Type{"timestamp", "ts", func(r *Rand) string { return fmt.Sprintf("2024-01-0%d 12:00:00", r.between(1, 9)) }}
	array     = &Type{"int[]", "array", func(r *Rand) string { return pick(r, "{}", "{1}", "{1,2}", "{3,NULL,5}", "{2,2}") }}
	json      = &Type{"jsonb", "json", func(r *Rand) string {
		return pick(r, `{}`, `{"a": 1}`, `{"a": 2, "b": [1, 2]}`, `[1, "x", null]`, `"s"`, `7`)
	}}
	span = &Type{"int4range", "range", func(r *Rand) string { return pick(r, "empty", "[1,5)", "[3,8)", "[0,)", "(,4)") }}
	mood = &Type{"lib.mood", "enum", func(r *Rand) string { return pick(r, "sad", "ok", "happy") }}

	timestamptz = &Type{"timestamptz", "stamp", func(*Rand) string { return nothing }}
	markerTypes = []*Type{timestamptz, timestamptz, timestamptz, {"timestamptz(3)", "stamp", nil}, {"timestamp", "stamp", nil}, {"date", "stamp", nil}}
)

var someWords = []string{"red", "green", "blue", "o'Brien", "Größe", `back\slash`, "", "日本", "%_", "deleted_at"}

// columnKinds are what tables are made of. One name has one type, so that
// tables can be joined by NATURAL and USING.
var columnKinds = []Column{
	{Name: "a", Type: integer}, {Name: "b", Type: text}, {Name: "n", Type: number}, {Name: "flag", Type: boolean}, {Name: "day", Type: date},
	{Name: "at", Type: timestamp}, {Name: "tags", Type: array}, {Name: "doc", Type: json}, {Name: "span", Type: span}, {Name: "mood", Type: mood},
	{Name: "ref", Type: integer}, {Name: "v", Type: varchar}, {Name: "big", Type: big}, {Name: "order", Type: integer}, {Name: "x Y", Type: text},
}

// places are where tables may stand: what begins with p in public and app is
// protected, and nothing in other is, though it shares the names.
var places = []struct{ schema, name string }{
	{"public", "p1"}, {"public", "p2"}, {"public", "p3"}, {"public", "p order"}, {"public", `pÄ"q`}, {"public", "P1"}, {"public", "u1"}, {"public", "u2"},
	{"app", "p1"}, {"app", "p4"}, {"app", "p2"}, {"app", "u1"}, {"other", "p1"}, {"other", "p2"}, {"other", "p3"}, {"other", "user"},
}

func protectedName(schema, name string) bool {
	return (schema == "public" || schema == "app" || schema == "scratch") && strings.HasPrefix(name, "p")
}

// NewWorld makes a world of its own for each number.
func NewWorld(seed, n uint64) *World {
	r := newRand(seed, n<<32|1)
	w := &World{}
	// Three that are protected at least, one that is not.
	chosen := append(some(r, r.between(2, 4), shuffled(r, places[:5])), some(r, r.between(1, 3), shuffled(r, places[5:]))...)
	chosen = append(chosen, places[pick(r, 8, 9, 10)])
	seen := map[string]bool{}
	for _, at := range chosen {
		if key := at.schema + "." + at.name; !seen[key] {
			seen[key] = true
			w.Tables = append(w.Tables, newTable(r, at.schema, at.name))
		}
	}
	if r.chance(30) {
		w.inherit(r)
	}
	for i := range r.between(1, 3) {
		w.Views = append(w.Views, newView(r, w, i))
	}
	return w
}

func newTable(r *Rand, schema, name string) *Relation {
	t := &Relation{Schema: schema, Name: name, Protected: protectedName(schema, name)}
	kind := r.IntN(10) // 0: without key, 1-2: composite key, 3: partitioned, else: id
	id := &Column{Name: "id", Type: integer, NotNull: true}
	t.Columns = append(t.Columns, id)
	for _, c := range some(r, r.between(2, 5), shuffled(r, columnKinds[2:])) {
		t.Columns = append(t.Columns, &c)
	}
	for _, c := range columnKinds[:2] {
		if r.chance(75) || kind < 4 {
			t.Columns = append(t.Columns, &c)
		}
	}
	t.Columns = append(t.Columns[:1:1], shuffled(r, t.Columns[1:])...)
	for _, c := range t.Columns[1:] {
		c.NotNull = r.chance(15)
		if c.Type == integer && r.chance(15) {
			c.Check = quoteName(c.Name) + " < 100"
		}
	}
	place := func(name string) int {
		for i, c := range t.Columns {
			if c.Name == name {
				return i
			}
		}
		return -1
	}
	switch {
	case kind == 0:
		id.NotNull = false
	case kind <= 2:
		t.Columns[place("b")].NotNull = true
		t.Key = []int{0, place("b")}
	case kind == 3:
		t.Columns[place("a")].NotNull = true
		t.Key = []int{0, place("a")}
		for i, bound := range []string{"FOR VALUES FROM (MINVALUE) TO (3)", "FOR VALUES FROM (3) TO (7)", "DEFAULT"} {
			part := &Relation{Schema: schema, Name: fmt.Sprintf("%s_%d", name, i), Protected: t.Protected, Bound: bound, PartOf: t}
			if i == 1 { // the policy does not name it, and it is protected by its parent
				part.Name = "part of " + name
			}
			t.Parts = append(t.Parts, part)
		}
	default:
		id.Identity = r.chance(40)
		t.Key = []int{0}
		if i := pick(r, place("a"), place("v"), place("b"), place("order")); i > 0 && r.chance(70) {
			t.Unique = []int{i}
			if j := place("ref"); j > 0 && r.chance(30) {
				t.Unique = append(t.Unique, j)
			}
		}
	}
	if i := place("a"); i > 0 && t.Parts == nil && r.chance(20) {
		t.Columns = append(t.Columns, &Column{Name: "gen", Type: integer, Computed: "a * 2"})
	}
	if t.Protected || r.chance(40) {
		c := &Column{Name: marker, Type: pick(r, markerTypes...), Marker: true}
		at := len(t.Columns)
		if r.chance(30) && t.Key == nil {
			at = r.between(1, at)
		}
		t.Columns = append(t.Columns[:at:at], append([]*Column{c}, t.Columns[at:]...)...)
	}
	for _, p := range t.Parts {
		p.Columns, p.Key = t.Columns, t.Key
	}
	fill(r, t, r.between(4, 10), r.between(2, 6))
	return t
}

// fill gives a table rows, tombstones between the live ones. Ids are never the
// same; natural keys are among the live ones, and tombstones repeat them.
func fill(r *Rand, t *Relation, live, dead int) {
	used := map[string]bool{}
	if !t.Protected {
		dead = 0
	}
	for id := 1; live+dead > 0; id++ {
		row := &Row{Tombstone: r.IntN(live+dead) < dead}
		if row.Tombstone {
			dead--
		} else {
			live--
		}
		for _, c := range t.Columns {
			row.Values = append(row.Values, columnValue(r, c))
		}
		row.Values[0] = fmt.Sprint(id)
		key := ""
		for _, i := range t.Unique {
			if row.Values[i] == nothing {
				key = ""
				break
			}
			key += "\x00" + row.Values[i]
		}
		if key != "" && !row.Tombstone {
			if used[key] {
				continue
			}
			used[key] = true
		}
		t.Rows = append(t.Rows, row)
	}
}

func columnValue(r *Rand, c *Column) string {
	if c.Type.value == nil || c.Marker || !c.NotNull && r.chance(20) {
		return nothing
	}
	return c.Type.value(r)
}

// inherit adds a child of a table: protected with its parent, whatever it is
// called.
func (w *World) inherit(r *Rand) {
	for _, t := range w.Tables {
		if t.Parts == nil && t.Protected && t.Unique == nil && t.Schema == "public" {
			child := &Relation{Schema: "public", Name: "child", Protected: true, Inherits: t}
			for _, c := range t.Columns {
				own := *c
				own.Identity = false // that is not inherited
				child.Columns = append(child.Columns, &own)
			}
			child.Columns = append(child.Columns, &Column{Name: "extra", Type: text})
			w.Tables = append(w.Tables, child)
			fill(r, child, r.between(1, 3), r.between(1, 2))
			for i, row := range child.Rows {
				row.Values[0] = fmt.Sprint(500 + i) // none of the parent's
			}
			return
		}
	}
}

func newView(r *Rand, w *World, n int) *View {
	t := pick(r, w.Tables...)
	v := &View{Schema: pick(r, "public", "app"), Name: pick(r, "v", "V ", "v_") + fmt.Sprint(n), Base: t}
	switch r.IntN(5) {
	case 0, 1:
		v.Query = "SELECT * FROM " + t.sql()
		v.Columns = t.Columns
		v.Simple = true
		v.Direct = t.marker() != nil && r.chance(30)
		if r.chance(40) && t.column("a") != nil && !v.Direct {
			v.Query += " WHERE a < 7"
			v.Options = pick(r, "", " WITH CHECK OPTION", " WITH LOCAL CHECK OPTION")
		}
	case 2:
		v.Columns = []*Column{{Name: "id", Type: integer}, {Name: "twin", Type: t.Columns[1].Type}}
		v.Query = fmt.Sprintf("SELECT id, %s AS twin FROM %s WHERE id < 8 OR id > 900", quoteName(t.Columns[1].Name), t.sql())
		v.Simple = true
	case 3:
		o := pick(r, w.Tables...)
		v.Columns = []*Column{{Name: "id", Type: integer}, {Name: "other_id", Type: integer}}
		v.Query = fmt.Sprintf("SELECT x.id, y.id AS other_id FROM %s x %s JOIN %s y ON y.id = x.id", t.sql(), pick(r, "LEFT", "FULL", "INNER"), o.sql())
	default:
		v.Columns = []*Column{{Name: "a", Type: integer}, {Name: "big", Type: big}}
		v.Query = fmt.Sprintf("SELECT id %% 3 AS a, count(*) AS big FROM %s GROUP BY 1", t.sql())
	}
	return v
}
