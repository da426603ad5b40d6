package main

import (
	"fmt"
	"slices"
	"strings"
)

// writer makes up one script.
type writer struct {
	*Rand
	g    *Graph
	rows map[*Table][]row // that the tables begin with
	note int
	save bool // there is a savepoint, most likely
}

// row is the value of each column, as SQL.
type row map[string]string

// NewScript makes the script of a number. It is a pure function of the graph, the seed and the number.
func NewScript(seed uint64, n int, g *Graph, plan *Plan) *Script {
	w := &writer{Rand: newRand(seed, uint64(n)<<32|2), g: g, rows: map[*Table][]row{}, note: 100}
	s := &Script{Seed: seed, Number: n, Graph: g, Sessions: 1}
	s.Steps = w.fill()
	if plan.Sessions > 1 {
		w.interleave(s, plan)
		return s
	}
	for i, open := 0, false; i < 8+w.IntN(10) || open; i++ {
		var step *Step
		step, open = w.next(open, i > 25)
		s.Steps = append(s.Steps, step)
	}
	if w.chance(60) {
		for range w.between(1, 5) {
			s.Deletions = append(s.Deletions, w.deletion())
		}
		s.Shuffled = w.chance(40)
	}
	return s
}

// next is a statement, or one that begins or ends a transaction or a part of it.
func (w *writer) next(open, end bool) (s *Step, still bool) {
	switch {
	case !open && w.chance(25):
		w.save = false
		return step("begin", must("BEGIN"), may(pick(w.Rand, "", "", " ISOLATION LEVEL REPEATABLE READ", " ISOLATION LEVEL SERIALIZABLE"))), true
	case open && (end || w.chance(12)):
		return step("commit", must("COMMIT")), false
	case open && w.chance(6):
		return step("rollback", must("ROLLBACK")), false
	case open && w.chance(24):
		switch {
		case w.chance(35):
			return w.constraints(), true
		case !w.save || w.chance(25):
			w.save = true
			return step("savepoint", must("SAVEPOINT s")), true
		case w.chance(65):
			return step("rollback to", must("ROLLBACK TO s")), true
		}
		w.save = w.chance(3)
		return step("release", must("RELEASE s")), true
	}
	return w.statement(), open
}

func (w *writer) constraints() *Step {
	which := "ALL"
	var names []string
	for _, k := range w.g.Keys {
		if k.Deferrable != "" {
			names = append(names, k.Name)
		}
	}
	if len(names) > 0 && w.chance(50) {
		which = pick(w.Rand, names...)
	}
	return step("set constraints", must("SET CONSTRAINTS "+which+" "+pick(w.Rand, "DEFERRED", "DEFERRED", "IMMEDIATE")))
}

func (w *writer) table() *Table { return pick(w.Rand, w.g.Tables...) }

func (w *writer) statement() *Step {
	t := w.table()
	return weighed(w.Rand, []int{28, 24, 16, 10, 6, 2, 4, 6, 4}, w.delete, w.insert, w.update, w.upsert, w.merge, w.truncate, w.read, w.with, w.copyRows)(t)
}

// fill gives each table a few rows, parents before children where there is such an order.
func (w *writer) fill() []*Step {
	var steps []*Step
	for _, t := range w.g.Tables {
		for i := range w.between(2, 4) {
			values := row{}
			for _, c := range t.Columns {
				switch {
				case t.Serial && c.Name == "id":
					continue
				case c.Name == "note":
					values[c.Name] = w.tick()
				case c.Name == "b" && slices.Contains(t.Primary, "b"):
					values[c.Name] = literal(c, 1+i%2)
				case c.Name == "a" && slices.Contains(t.Primary, "a"):
					values[c.Name] = literal(c, 1+i/2)
				default:
					values[c.Name] = literal(c, 1+i)
				}
			}
			for _, k := range w.g.from(t) {
				w.point(k, values)
			}
			w.rows[t] = append(w.rows[t], values)
			columns, list := values.lists(t)
			steps = append(steps, step("fill", must(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", t.Name, columns, list))))
			if t.Serial {
				values["id"] = fmt.Sprint(i + 1)
			}
		}
	}
	return steps
}

// point lets a row refer to one that is there already, or to none.
func (w *writer) point(k *Key, values row) {
	there := w.rows[k.Parent]
	if len(there) == 0 || w.chance(12) {
		for _, name := range k.Columns {
			if c := k.Child.column(name); !c.NotNull && strings.HasPrefix(name, "r") {
				values[name] = "NULL"
			}
		}
		return
	}
	parent := pick(w.Rand, there...)
	for i, name := range k.Columns {
		if _, set := values[name]; set && !strings.HasPrefix(name, "r") && w.chance(70) {
			continue // of the primary key: other rows must be able to have another
		}
		values[name] = parent[k.Refs[i]]
	}
}

func (v row) lists(t *Table) (columns, values string) {
	var names, list []string
	for _, c := range t.Columns {
		if value, ok := v[c.Name]; ok {
			names, list = append(names, c.Name), append(list, value)
		}
	}
	return strings.Join(names, ", "), strings.Join(list, ", ")
}

func (w *writer) tick() string { w.note++; return fmt.Sprint(w.note) }

func literal(c *Column, n int) string {
	if c.Words {
		return fmt.Sprintf("'k%d'", n)
	}
	return fmt.Sprint(n)
}

// value is one that a column may be given, of few, so that keys meet.
func (w *writer) value(c *Column) string {
	switch {
	case c.Name == "note":
		return w.tick()
	case !c.NotNull && w.chance(12), w.chance(1):
		return "NULL"
	case w.chance(12) && c.Default != "":
		return "DEFAULT"
	}
	return literal(c, w.between(1, 5))
}

// values makes a new row of a table.
func (w *writer) values(t *Table) row {
	v := row{}
	for _, c := range t.Columns {
		if t.Serial && c.Name == "id" && w.chance(50) {
			v[c.Name] = "DEFAULT"
			continue
		}
		v[c.Name] = w.value(c)
	}
	for _, k := range w.g.from(t) {
		if w.chance(85) && len(w.rows[k.Parent]) > 0 {
			parent := pick(w.Rand, w.rows[k.Parent]...)
			for i, name := range k.Columns {
				if strings.HasPrefix(name, "r") || w.chance(50) {
					v[name] = parent[k.Refs[i]]
				}
			}
		}
	}
	return v
}

// where is a condition on rows of t, which is called by a name.
func (w *writer) where(t *Table, called string) string {
	at := func(c string) string { return called + "." + c }
	key := t.Primary
	if key == nil {
		key = t.Unique[0].Columns
	}
	switch weighed(w.Rand, []int{45, 15, 20, 10, 10}, "key", "list", "reference", "note", "column") {
	case "key":
		if rows := w.rows[t]; len(rows) > 0 && w.chance(70) {
			v := pick(w.Rand, rows...)
			list := make([]string, len(key))
			for i, name := range key {
				list[i] = at(name) + " = " + v[name]
			}
			return strings.Join(list, " AND ")
		}
		list := make([]string, len(key))
		for i, name := range key {
			list[i] = at(name) + " = " + literal(t.column(name), w.between(1, 5))
		}
		return strings.Join(list, " AND ")
	case "list":
		c := t.column(key[0])
		return fmt.Sprintf("%s IN (%s, %s, %s)", at(c.Name), literal(c, w.between(1, 2)), literal(c, w.between(2, 4)), literal(c, w.between(3, 5)))
	case "reference":
		if keys := w.g.from(t); len(keys) > 0 {
			c := t.column(pick(w.Rand, pick(w.Rand, keys...).Columns...))
			if w.chance(10) {
				return at(c.Name) + " IS NULL"
			}
			return at(c.Name) + " = " + literal(c, w.between(1, 4))
		}
	case "note":
		return fmt.Sprintf("%s %% 2 = %d", at("note"), w.IntN(2))
	}
	c := pick(w.Rand, t.Columns...)
	if c.Name == "note" {
		return at("note") + " > 100"
	}
	return fmt.Sprintf("%s <> %s", at(c.Name), literal(c, w.between(1, 4)))
}
