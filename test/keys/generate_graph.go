package main

import (
	"fmt"
	"slices"
)

// odd is how many columns in a hundred have a name that somebody else may use for something: an alias, in a function.
const odd = 20

// NewGraph makes a graph of its own for each number. tables is how many it has, 0 for any; parted, how many in a hundred are partitioned.
func NewGraph(seed, n uint64, tables, parted int) *Graph {
	r := newRand(seed, n<<32|1)
	g := &Graph{}
	if tables == 0 {
		tables = weighed(r, []int{25, 35, 20, 12, 8}, 2, 3, 4, 5, 6)
	}
	for i := range tables {
		g.Tables = append(g.Tables, newTable(r, i+1, parted))
	}
	if !slices.ContainsFunc(g.Tables, func(t *Table) bool { return t.Marker != nil }) {
		g.Tables[0].protect(markers[0])
	}
	for i := range r.between(tables-1, tables+2) {
		newKey(r, g, i+1)
	}
	return g
}

func (t *Table) protect(m *Marker) {
	letter := byte(unprotected)
	if m != nil {
		letter = m.letter
	}
	t.Marker, t.Name = m, string(letter)+t.Name[1:]
	for _, u := range t.Unique {
		u.Name = t.Name + u.Name[len(t.Name):]
	}
}

func newTable(r *Rand, n, parted int) *Table {
	t := &Table{Name: fmt.Sprintf("p%d", n)}
	add := func(c Column) { t.Columns = append(t.Columns, &c) }
	switch weighed(r, []int{40, 18, 12, 25, 5}, "natural", "serial", "words", "pair", "none") {
	case "natural":
		add(Column{Name: "id", Type: pick(r, "int", "int", "bigint"), NotNull: true})
		t.Primary = []string{"id"}
	case "serial":
		add(Column{Name: "id", Type: "serial", NotNull: true})
		t.Primary, t.Serial = []string{"id"}, true
	case "words":
		add(Column{Name: "id", Type: "text", NotNull: true, Words: true})
		t.Primary = []string{"id"}
	case "pair":
		add(Column{Name: "a", Type: "int", NotNull: true})
		add(Column{Name: "b", Type: pick(r, "int", "int", "text"), NotNull: true})
		t.Columns[1].Words = t.Columns[1].Type == "text"
		t.Primary = []string{"a", "b"}
	}
	if t.Primary != nil && !t.Columns[0].Words && r.chance(parted) {
		t.Parts, t.Levels = pick(r, "list", "range", "hash"), 1
		t.Apart = r.chance(50)
		if r.chance(25) {
			t.Levels = 2
		}
	}
	if t.Primary == nil || r.chance(35) {
		c := Column{Name: "k", Type: pick(r, "int", "int", "text"), NotNull: t.Primary == nil || r.chance(50)}
		c.Words = c.Type == "text"
		add(c)
		u := &Unique{Name: t.Name + "_k_key", Columns: []string{"k"}}
		if t.Parts != "" {
			u.Columns = []string{t.Primary[0], "k"}
		} else if t.Primary != nil && r.chance(12) {
			u.Deferrable = pick(r, "DEFERRABLE INITIALLY DEFERRED", "DEFERRABLE")
		}
		t.Unique = append(t.Unique, u)
	}
	if t.Parts == "" && r.chance(10) {
		one := "m"
		if r.chance(odd) {
			one = pick(r, "x", "c", "p", "d", "r", "g", "row", "key")
		}
		add(Column{Name: one, Type: "int"})
		add(Column{Name: "n", Type: "int", NotNull: r.chance(50)})
		t.Unique = append(t.Unique, &Unique{Name: t.Name + "_m_n_key", Columns: []string{one, "n"}})
	}
	add(Column{Name: "note", Type: "int"})
	var m *Marker
	if r.chance(80) {
		weights := make([]int, len(markers))
		for i, m := range markers {
			weights[i] = m.percent
		}
		m = weighed(r, weights, markers...)
	}
	t.protect(m)
	return t
}

// targets lists the column lists of a table that a foreign key may refer to.
func (t *Table) targets() [][]string {
	var list [][]string
	if t.Primary != nil {
		list = append(list, t.Primary)
	}
	for _, u := range t.Unique {
		if u.Deferrable == "" {
			list = append(list, u.Columns)
		}
	}
	return list
}

func newKey(r *Rand, g *Graph, n int) {
	child, parent := r.IntN(len(g.Tables)), r.IntN(len(g.Tables))
	if n < len(g.Tables) && r.chance(75) { // each table hangs on an earlier one, mostly
		child, parent = n, r.IntN(n)
	}
	k := &Key{Child: g.Tables[child], Parent: g.Tables[parent]}
	targets := k.Parent.targets()
	if len(targets) == 0 {
		return
	}
	k.Refs = targets[0]
	if r.chance(35) {
		k.Refs = pick(r, targets...)
	}
	nullable := r.chance(75)
	for i, ref := range k.Refs {
		p := k.Parent.column(ref)
		if c := k.shared(r, p); c != "" {
			k.Columns = append(k.Columns, c)
			continue
		}
		name := fmt.Sprintf("r%d", n)
		if len(k.Refs) > 1 {
			name += string(rune('a' + i))
		}
		c := &Column{Name: name, Type: p.Type, Words: p.Words, NotNull: !nullable}
		switch {
		case c.Type == "serial":
			c.Type = "int"
		case c.Type == "bigint" && r.chance(50):
			c.Type = "int"
		}
		if r.chance(45) {
			if c.Default = "1"; c.Words {
				c.Default = "'k1'"
			}
		}
		k.Columns = append(k.Columns, name)
		k.Child.Columns = append(k.Child.Columns, c)
	}
	if slices.Equal(k.Columns, k.Refs) && k.Child == k.Parent {
		return // each row would refer to itself
	}
	k.Name = fmt.Sprintf("%s_%d_fkey", k.Child.Name, n)
	k.OnDelete = weighed(r, []int{18, 10, 36, 20, 16}, "", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")
	k.OnUpdate = weighed(r, []int{55, 25, 8, 5, 7}, "", "CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT")
	if len(k.Columns) > 1 && (k.OnDelete == "SET NULL" || k.OnDelete == "SET DEFAULT") && r.chance(50) {
		k.Set = []string{pick(r, k.Columns...)}
	}
	k.Full = r.chance(15)
	if r.chance(28) {
		k.Deferrable = pick(r, "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED")
	}
	g.Keys = append(g.Keys, k)
}

// shared is a column that the child has already and that may be part of the key too: of its primary key, or of another foreign key.
func (k *Key) shared(r *Rand, like *Column) string {
	if !r.chance(12) {
		return ""
	}
	for _, c := range k.Child.Columns {
		if c.Words == like.Words && c.Name != "note" && c.Name != "k" && !slices.Contains(k.Columns, c.Name) && !(k.Child.Serial && c.Name == "id") {
			return c.Name
		}
	}
	return ""
}
