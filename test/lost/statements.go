package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// write makes up a statement of a kind.
func (c *client) write(kind string) *statement {
	s := &statement{kind: kind, table: tables[rand.IntN(len(tables))]}
	c.statements++
	s.tok = fmt.Sprintf("%s.%d", c.name, c.statements)
	switch kind {
	case "insert":
		c.insert(s)
	case "update":
		c.update(s)
	case "delete":
		for s.table.loose { // destroy is for those
			s.table = tables[rand.IntN(len(tables))]
		}
		c.delete(s)
	case "destroy":
		s.kind = "delete"
		s.table = called([]string{"owners", "loose"}[rand.IntN(2)])
		s.sql = fmt.Sprintf("DELETE FROM %s WHERE id = %s", s.table.name, s.table.key[0].random())
	}
	return s
}

func (c *client) insert(s *statement) {
	t := s.table
	var tuples []string
	var names []string
	for range 1 + rand.IntN(2) {
		var list []string
		names = nil
		add := func(name, value string) { names, list = append(names, name), append(list, value) }
		for _, k := range t.key {
			add(k.name, k.random())
		}
		if t.unique != "" {
			add(t.unique, fmt.Sprintf("'n%d'", rand.IntN(30)))
		}
		for _, r := range t.refs {
			for i, value := range r.random() {
				if !strings.Contains(" "+strings.Join(t.keyNames(), " ")+" ", " "+r.columns[i]+" ") {
					add(r.columns[i], value)
				}
			}
		}
		c.uids++
		add("uid", fmt.Sprint(c.uids))
		add("tok", "'"+s.tok+"'")
		add("held", fmt.Sprint(rand.IntN(8) == 0))
		more, its := values()
		names, list = append(names, more...), append(list, its...)
		tuples = append(tuples, "("+strings.Join(list, ", ")+")")
	}
	s.sql = fmt.Sprintf("INSERT INTO %s (%s) VALUES %s", t.name, strings.Join(names, ", "), strings.Join(tuples, ", "))
	if key := strings.Join(t.keyNames(), ", "); rand.IntN(4) == 0 {
		s.sql = fmt.Sprintf("INSERT INTO %s (%s) VALUES %s ON CONFLICT (%s) ", t.name, strings.Join(names, ", "), tuples[0], key)
		if rand.IntN(3) == 0 {
			s.sql += "DO NOTHING"
		} else {
			s.sql += "DO UPDATE SET tok = excluded.tok, held = excluded.held, amount = excluded.amount, doc = excluded.doc"
		}
	}
}

// random is a reference to a row that may be there.
func (r *ref) random() []string {
	list := make([]string, len(r.columns))
	to := called(r.to)
	for i := range list {
		list[i] = to.key[i].random()
		if !r.required && rand.IntN(5) == 0 {
			list[i] = "NULL"
		}
	}
	return list
}

func (t *table) some() string {
	list := make([]string, 0, len(t.key))
	for i, k := range t.key {
		switch one := k.random(); {
		case i == 0 && !k.text && rand.IntN(4) == 0:
			list = append(list, fmt.Sprintf("%[1]s BETWEEN %[2]s AND %[2]s + 3", k.name, one))
		case i == 0 || rand.IntN(3) > 0:
			list = append(list, k.name+" = "+one)
		}
	}
	return strings.Join(list, " AND ")
}

func (c *client) update(s *statement) {
	t := s.table
	set := "tok = '" + s.tok + "', " + change()
	where := t.some()
	switch n := rand.IntN(10); {
	case n < 3 && len(t.refs) > 0 && t.name != "cities":
		r := t.refs[rand.IntN(len(t.refs))]
		for i, value := range r.random() {
			set += ", " + r.columns[i] + " = " + value
		}
	case n == 3: // another key
		k := t.key[len(t.key)-1]
		set += ", " + k.name + " = " + k.random()
	case n == 4:
		set += ", held = NOT held"
	}
	s.sql = "UPDATE " + t.name + " SET " + set + " WHERE " + where
}

func (c *client) delete(s *statement) {
	t := s.table
	s.sql = "DELETE FROM " + t.name + " WHERE " + t.some()
	if len(t.refs) == 0 {
		return
	}
	r := t.refs[rand.IntN(len(t.refs))]
	switch to := called(r.to); rand.IntN(12) {
	case 0:
		s.sql = fmt.Sprintf("DELETE FROM %s x USING %s p WHERE x.%s = p.%s AND p.%s = %s", t.name, r.to, r.columns[0], r.refs[0], to.key[0].name, to.key[0].random())
	case 1:
		s.sql = fmt.Sprintf("DELETE FROM %s WHERE %s = %s", t.name, r.columns[0], to.key[0].random())
	case 2:
		if t.name == "bills" || t.name == "marks" {
			s.sql = "TRUNCATE " + t.name
		}
	}
}
