package main

import (
	"fmt"
	"slices"
	"strings"
)

// Graph is tables and the foreign keys between them. Scripts that share it each start from empty tables.
type Graph struct {
	Tables []*Table
	Keys   []*Key
}

// Table is one table of a graph. Both twins have the same columns, the marker's too.
type Table struct {
	Name    string
	Marker  *Marker // nil: not protected
	Columns []*Column
	Primary []string
	Unique  []*Unique
	Parts   string // the strategy of a partitioned table: list, hash or range; "" for an ordinary one
	Levels  int    // of its partitions
	Apart   bool   // the policy does not name the partitions themselves
	Serial  bool   // the primary key has a sequence
}

// Column is a column that scripts may write to.
type Column struct {
	Name, Type, Default string
	NotNull             bool
	Words               bool // its values are words, not numbers
}

// Unique is a unique constraint.
type Unique struct {
	Name       string
	Columns    []string
	Deferrable string
}

// Key is a foreign key.
type Key struct {
	Name               string
	Child, Parent      *Table
	Columns, Refs      []string
	OnDelete, OnUpdate string   // the words of the action, "" for none
	Set                []string // the columns that SET NULL or SET DEFAULT is about; nil for all
	Full               bool
	Deferrable         string // DEFERRABLE INITIALLY .., or ""
}

// Marker is one of the ways in which a table may be marked. The first letter of a table's name says which.
type Marker struct {
	letter  byte
	column  string
	typ     string
	more    string // further columns
	live    string // the condition of a live row x
	setting string // what the policy says of it
	percent int    // how often it comes
}

var markers = []*Marker{
	{'p', "deleted_at", "timestamptz", "", "x.deleted_at IS NULL", "", 70},
	{'b', "gone", "boolean NOT NULL DEFAULT false", "", "NOT x.gone", "marker: gone", 6},
	{'n', "gone", "boolean", "", "x.gone IS NOT TRUE", "marker: gone", 4},
	{'e', "gone_at", "bigint NOT NULL DEFAULT 0", "", "x.gone_at = 0", "marker: gone_at", 5},
	{'i', "until", "timestamptz NOT NULL DEFAULT 'infinity'", "", "x.until = 'infinity'", "marker: until", 6},
	{'d', "gone_on", "date", "", "x.gone_on IS NULL", "marker: gone_on", 4},
	{'a', "deleted_at", "timestamptz", ", deleted_by text, deletion_id xid8", "x.deleted_at IS NULL", "deleted_by: deleted_by, deletion_id: deletion_id", 5},
}

// unprotected is the first letter of the tables that the policy does not name.
const unprotected = 'u'

// policy is the list below tables: in the configuration of the proxy and of prepare.
func policyText() string {
	var b strings.Builder
	for _, m := range markers {
		fmt.Fprintf(&b, "  - {name: \"public.%c*\"", m.letter)
		if m.setting != "" {
			b.WriteString(", " + m.setting)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func (t *Table) column(name string) *Column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// columns lists the names of all columns but the marker's.
func (t *Table) columns() []string {
	list := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		list[i] = c.Name
	}
	return list
}

// live is the condition that a row x of the table is live.
func (t *Table) live() string {
	if t.Marker == nil {
		return "true"
	}
	return t.Marker.live
}

// steady lists the columns that no foreign key ever changes by itself: a deleted row keeps what it had in them.
func (g *Graph) steady(t *Table) []string {
	var list []string
	for _, c := range t.Columns {
		moved := slices.ContainsFunc(g.Keys, func(k *Key) bool {
			set := strings.HasPrefix(k.OnDelete, "SET")
			follows := k.OnUpdate == "CASCADE" || strings.HasPrefix(k.OnUpdate, "SET")
			return k.Child == t && slices.Contains(k.Columns, c.Name) && (set || follows)
		})
		if !moved {
			list = append(list, c.Name)
		}
	}
	return list
}

// to lists the keys that refer to a table, and from those that it has.
func (g *Graph) to(t *Table) (list []*Key) {
	for _, k := range g.Keys {
		if k.Parent == t {
			list = append(list, k)
		}
	}
	return list
}

func (g *Graph) from(t *Table) (list []*Key) {
	for _, k := range g.Keys {
		if k.Child == t {
			list = append(list, k)
		}
	}
	return list
}

// DDL makes the tables of either side.
func (g *Graph) DDL() string {
	var b strings.Builder
	for _, t := range g.Tables {
		t.ddl(&b)
	}
	for _, k := range g.Keys {
		b.WriteString(k.ddl())
	}
	return b.String()
}

func (t *Table) ddl(b *strings.Builder) {
	var lines []string
	for _, c := range t.Columns {
		line := c.Name + " " + c.Type
		if c.NotNull && !slices.Contains(t.Primary, c.Name) {
			line += " NOT NULL"
		}
		if c.Default != "" {
			line += " DEFAULT " + c.Default
		}
		lines = append(lines, line)
	}
	if m := t.Marker; m != nil {
		lines = append(lines, m.column+" "+m.typ+m.more)
	}
	if t.Primary != nil {
		lines = append(lines, "PRIMARY KEY ("+strings.Join(t.Primary, ", ")+")")
	}
	for _, u := range t.Unique {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("CONSTRAINT %s UNIQUE (%s) %s", u.Name, strings.Join(u.Columns, ", "), u.Deferrable)))
	}
	if t.Parts == "" {
		fmt.Fprintf(b, "CREATE TABLE %s (%s);\n", t.Name, strings.Join(lines, ", "))
		return
	}
	by := t.Primary[0]
	fmt.Fprintf(b, "CREATE TABLE %s (%s) PARTITION BY %s (%s);\n", t.Name, strings.Join(lines, ", "), t.Parts, by)
	bounds := map[string][2]string{
		"list": {"IN (1, 2)", "DEFAULT"}, "range": {"FROM (MINVALUE) TO (3)", "FROM (3) TO (MAXVALUE)"}, "hash": {"WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 2, REMAINDER 1)"},
	}[t.Parts]
	one, two := bounds[0], bounds[1]
	values := func(bound string) string {
		if bound == "DEFAULT" {
			return bound
		}
		return "FOR VALUES " + bound
	}
	name := t.partition()
	fmt.Fprintf(b, "CREATE TABLE %sx1 PARTITION OF %s %s;\n", name, t.Name, values(one))
	if t.Levels < 2 {
		fmt.Fprintf(b, "CREATE TABLE %sx2 PARTITION OF %s %s;\n", name, t.Name, values(two))
		return
	}
	fmt.Fprintf(b, "CREATE TABLE %sx2 PARTITION OF %s %s PARTITION BY HASH (%s);\n", name, t.Name, values(two), by)
	for i := range 2 {
		fmt.Fprintf(b, "CREATE TABLE %sx2x%d PARTITION OF %sx2 FOR VALUES WITH (MODULUS 2, REMAINDER %d);\n", name, i+1, name, i)
	}
}

// partition is how the names of its partitions begin.
func (t *Table) partition() string {
	if t.Apart {
		return "z" + t.Name
	}
	return t.Name
}

func (k *Key) ddl() string {
	words := []string{fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)",
		k.Child.Name, k.Name, strings.Join(k.Columns, ", "), k.Parent.Name, strings.Join(k.Refs, ", "))}
	if k.Full {
		words = append(words, "MATCH FULL")
	}
	if k.OnDelete != "" {
		words = append(words, "ON DELETE "+k.OnDelete)
		if k.Set != nil {
			words = append(words, "("+strings.Join(k.Set, ", ")+")")
		}
	}
	if k.OnUpdate != "" {
		words = append(words, "ON UPDATE "+k.OnUpdate)
	}
	if k.Deferrable != "" {
		words = append(words, k.Deferrable)
	}
	return strings.Join(words, " ") + ";\n"
}
