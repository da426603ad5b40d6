package lifecycle

import (
	"fmt"
	"strings"
)

// shape writes a row of tombstone.archive as one of its table, under an alias: a FROM item beside that row, or in a query inside. A column that has been
// added since is NULL.
func shape(row string, columns []Column, alias string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = fmt.Sprintf("(%srow ->> %s)::%s AS %s", row, literal(c.Name), c.Type, ident(c.Name))
	}
	return "(SELECT " + strings.Join(list, ", ") + ") AS " + strings.TrimSuffix(alias, ".")
}
