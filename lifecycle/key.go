package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"tombstone/policy"
)

// identity lists the columns that tell a row of the table from the others: those of its primary key, else of another unique key without
// NULL, else all. Then two rows may be the same, and it does not matter which of them is meant.
func (d *Database) identity(t *Table) []string {
	if t.Primary != nil {
		return t.Primary.Columns
	}
	for _, x := range d.Indexes {
		if x.Table == t && !x.Exclusion && x.Where == "" && !slices.ContainsFunc(x.Columns, func(name string) bool { return !t.notNull(name) }) {
			return x.Columns
		}
	}
	var all []string
	for _, c := range t.Columns {
		if p := t.Protected; p != nil && (c.Name == p.Marker || slices.ContainsFunc(p.Audit, func(a policy.Audit) bool { return a.Column == c.Name })) {
			continue
		}
		all = append(all, c.Name)
	}
	return all
}

func (t *Table) notNull(name string) bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == name && c.NotNull })
}

// texts writes the values of columns as an array of text, as tombstone.keyed has them.
func texts(alias string, columns []string) string {
	list := make([]string, len(columns))
	for i, name := range columns {
		list[i] = alias + ident(name) + "::pg_catalog.text"
	}
	return "ARRAY[" + strings.Join(list, ", ") + "]"
}

// hasKey writes that a row is the one that an array of texts tells, so that an index finds it if there is one.
func (d *Database) hasKey(t *Table, alias, key string) string {
	if t.Primary == nil {
		return texts(alias, d.identity(t)) + " OPERATOR(pg_catalog.=) " + key
	}
	list := make([]string, len(t.Primary.Columns))
	for i, name := range t.Primary.Columns {
		list[i] = fmt.Sprintf("%s%s %s (%s)[%d]::%s", alias, ident(name), t.Primary.Equal[i], key, i+1, t.typeOf(name))
	}
	return strings.Join(list, " AND ")
}

// typeOf is the type of a column.
func (t *Table) typeOf(name string) string {
	for _, c := range t.Columns {
		if c.Name == name {
			return c.Type
		}
	}
	return ""
}
