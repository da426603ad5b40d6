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
	if x := d.key(t); x != nil {
		return x.Columns
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

// key is the index that tells a row of the table from the others, nil if none does.
func (d *Database) key(t *Table) *Index {
	if t.Primary != nil {
		return t.Primary
	}
	for _, x := range d.Indexes {
		// One that is to be of live rows only tells no tombstone from another.
		if x.Table == t && !x.Exclusion && x.Where == "" && (t.Protected == nil || x.stays()) && !slices.ContainsFunc(x.Columns, func(name string) bool { return !t.notNull(name) }) {
			return x
		}
	}
	return nil
}

// Alike lists the protected tables in which rows may be alike, and whose markers do not tell which deletion took which of them.
//
// Of equal rows that several deletions took, an undo brings back as many as its own took, and not necessarily those.
func (d *Database) Alike() []*Table {
	var list []*Table
	for _, t := range d.Protected() {
		if t.Protected.Problem == "" && !tells(t.Protected) && d.key(t) == nil {
			list = append(list, t)
		}
	}
	return list
}

func (t *Table) notNull(name string) bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == name && c.NotNull })
}

// texts writes the values of columns as an array of text, as tombstone.keyed has them.
func (t *Table) texts(alias string, columns []string) string { return texts(alias, columns, t.typeOf) }

func texts(alias string, columns []string, typeOf func(string) string) string {
	list := make([]string, len(columns))
	for i, name := range columns {
		list[i] = text(alias+ident(name), typeOf(name))
	}
	return "ARRAY[" + strings.Join(list, ", ") + "]"
}

// text writes a value as text, whatever the session says of dates and bytes: it is compared in another session.
func text(value, typ string) string {
	switch base, _, _ := strings.Cut(typ, "("); {
	case typ == "date", strings.HasPrefix(typ, "timestamp") && strings.HasSuffix(typ, "without time zone"):
		return fmt.Sprintf("pg_catalog.replace(pg_catalog.to_jsonb(%s) OPERATOR(pg_catalog.#>>) '{}', 'T', ' ')", value)
	case strings.HasPrefix(typ, "timestamp"):
		return fmt.Sprintf("(pg_catalog.replace(pg_catalog.to_jsonb(pg_catalog.timezone('UTC', %s)) OPERATOR(pg_catalog.#>>) '{}', 'T', ' ') OPERATOR(pg_catalog.||) '+00')", value)
	case base == "double precision", base == "real", strings.HasPrefix(typ, "interval"):
		return fmt.Sprintf("pg_catalog.encode(pg_catalog.%s(%s), 'hex')", map[byte]string{'d': "float8send", 'r': "float4send", 'i': "interval_send"}[typ[0]], value)
	case base == "bytea":
		return fmt.Sprintf("(E'\\\\x' OPERATOR(pg_catalog.||) pg_catalog.encode(%s, 'hex'))", value) // whatever standard_conforming_strings says
	case wavers(typ):
		return "tombstone.told(" + value + ")"
	}
	return value + "::pg_catalog.text"
}

// wavers reports whether a type may write a value in one way in this session and in another in that: it is made of others, a domain's too, and
// their dates, times, bytes and numbers go by DateStyle, TimeZone, bytea_output and the like.
func wavers(typ string) bool {
	base, _, _ := strings.Cut(typ, "(")
	return strings.HasSuffix(typ, "]") || strings.Contains(base, ".") || strings.HasPrefix(base, "ts") && strings.HasSuffix(base, "range") ||
		strings.HasPrefix(base, "date") && strings.HasSuffix(base, "range")
}

// hasKey writes that a row is the one that an array of texts tells, so that an index finds it if there is one.
func (d *Database) hasKey(t *Table, alias, key string) string {
	x := d.key(t)
	if x == nil {
		return t.texts(alias, d.identity(t)) + " OPERATOR(pg_catalog.=) " + key
	}
	list := make([]string, len(x.Columns))
	for i, name := range x.Columns {
		if strings.Contains(text("", t.typeOf(name)), "send(") { // what cannot be read back
			list[i] = fmt.Sprintf("%s OPERATOR(pg_catalog.=) (%s)[%d]", text(alias+ident(name), t.typeOf(name)), key, i+1)
			continue
		}
		list[i] = fmt.Sprintf("%s%s %s (%s)[%d]::%s", alias, ident(name), x.Equal[i], key, i+1, t.typeOf(name))
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

// replaced writes that the row which an entry s of tombstone.severed is about has gone to the archive since: one of its key now is another.
func replaced(t *Table, columns []string) string {
	list := make([]string, len(columns))
	for i, name := range columns {
		list[i] = "a.row OPERATOR(pg_catalog.->>) " + literal(name)
	}
	return fmt.Sprintf("EXISTS (SELECT FROM tombstone.archive a WHERE a.relation OPERATOR(pg_catalog.=) %s AND a.archived OPERATOR(pg_catalog.>=) s.at AND ARRAY[%s] OPERATOR(pg_catalog.=) s.key)",
		regclass(t), strings.Join(list, ", "))
}
