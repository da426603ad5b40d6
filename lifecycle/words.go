package lifecycle

import (
	"tombstone/policy"
	"tombstone/policy/catalog"
)

// What follows writes SQL for others as it is written here, so that what tombstone doctor proposes looks like what prepare does, and purge and erase
// take for a tombstone, for a reference and for a key what restore does.

// Ident writes a name as SQL.
func Ident(name string) string { return ident(name) }

// Full writes the name of a relation, with its schema, as SQL.
func Full(n catalog.Name) string { return full(n) }

// Literal writes a string as SQL.
func Literal(s string) string { return literal(s) }

// Named joins parts to a name that is not too long.
func Named(parts ...string) string { return named(parts...) }

// Live writes the condition that a row is live. alias is "" or ends in a point.
func Live(t *policy.Table, alias string) string { return live(t, alias) }

// Dead writes the condition that a row is a tombstone.
func Dead(t *policy.Table, alias string) string { return dead(t, alias) }

// Idents writes names with a prefix before each, such as an alias with its point, separated by commas.
func Idents(prefix string, names []string) string { return idents(prefix, names) }

// Tells reports whether the marker of a tombstone tells its deletion: it has the time of the transaction, to the microsecond.
func Tells(t *policy.Table) bool { return tells(t) }

// Texts writes columns of a row as tombstone.keyed and tombstone.severed have them: an array of text that is the same in every session. typeOf gives
// a column's type as format_type prints it.
func Texts(alias string, columns []string, typeOf func(string) string) string {
	return texts(alias, columns, typeOf)
}

// Shape writes a row of tombstone.archive as one of its table, under an alias: a FROM item beside that row, or in a query inside. row is the archive's
// alias. A column that has been added since is NULL.
func Shape(row string, columns []Column, alias string) string { return shape(row, columns, alias) }

// Identity lists the columns that tell a row of the table from the others, all of them if none do.
func (d *Database) Identity(t *Table) []string { return d.identity(t) }

// Only writes the table as the server's own foreign keys name it: a partitioned one with its partitions, any other alone.
func (t *Table) Only() string { return t.only() }

// Texts writes columns of a row of the table as the function Texts does.
func (t *Table) Texts(alias string, columns []string) string { return t.texts(alias, columns) }

// Matches writes that a row of the child refers to a row of the parent. The aliases end in a point.
func (k *ForeignKey) Matches(parent, child string) string { return k.matches(parent, child) }

// RefOf is the column of the parent that one of the child refers to, "" if it refers to none.
func (k *ForeignKey) RefOf(column string) string { return k.refOf(column) }
