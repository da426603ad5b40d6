package lifecycle

import (
	"fmt"
	"strings"
)

// differs writes that an UPDATE gives a column another value, as an operator compares them for equality. It is never NULL.
//
// IS DISTINCT FROM would look for an operator by the search_path, and not find that of a type from an extension's schema (42883).
func differs(column, equal string) string {
	return fmt.Sprintf("NOT COALESCE(OLD.%[1]s %[2]s NEW.%[1]s, OLD.%[1]s IS NULL AND NEW.%[1]s IS NULL)", ident(column), equal)
}

// early writes that one of some changes of columns is made, "" if a trigger that comes before the row is written cannot tell: a generated column
// has no value yet.
func (t *Table) early(changes, columns []string) string {
	for _, name := range columns {
		if t.generated(name) != "" {
			return ""
		}
	}
	return strings.Join(changes, " OR ")
}

// generated is what a column is computed from, as SQL, "" if it is not.
func (t *Table) generated(name string) string {
	for _, c := range t.Columns {
		if c.Name == name && c.Generated {
			return c.Default
		}
	}
	return ""
}

// coming writes the value that a column of NEW will have, for a trigger that comes before the row is written.
func (t *Table) coming(name string) string {
	if expression := t.generated(name); expression != "" {
		return "(SELECT " + expression + " FROM (SELECT NEW.*) AS row_to_come)"
	}
	return "NEW." + ident(name)
}

// noted writes the values of columns as tombstone.keyed has them, for a trigger that comes before the row is written. What is generated is as it was.
func (t *Table) noted(columns []string) string {
	list := make([]string, len(columns))
	for i, name := range columns {
		row := "NEW."
		if t.generated(name) != "" {
			row = "OLD."
		}
		list[i] = text(row+ident(name), t.typeOf(name))
	}
	return "ARRAY[" + strings.Join(list, ", ") + "]"
}
