package lifecycle

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"tombstone/policy"
)

// live writes the condition that a row is live, as the proxy and a partial index do. alias is "" or ends in a point.
func live(t *policy.Table, alias string) string {
	column := alias + ident(t.Marker)
	test := ""
	switch t.Live.Value {
	case policy.Null:
		return column + " IS NULL"
	case policy.False:
		if t.Live.Nullable {
			return column + " IS NOT TRUE"
		}
		return "NOT " + column
	case policy.Zero:
		test = column + " OPERATOR(pg_catalog.=) 0"
	case policy.Infinity:
		test = column + " OPERATOR(pg_catalog.=) 'infinity'"
	}
	if t.Live.Nullable {
		return "(" + test + " OR " + column + " IS NULL)"
	}
	return test
}

// dead writes the opposite of live. Neither is ever NULL.
func dead(t *policy.Table, alias string) string {
	if t.Live.Value == policy.Null {
		return alias + ident(t.Marker) + " IS NOT NULL"
	}
	return "NOT COALESCE(" + live(t, alias) + ", false)"
}

// stamp writes what a row is given that a deletion takes along.
func stamp(t *policy.Table) string {
	value := "pg_catalog.now()"
	switch t.Live.Value {
	case policy.False:
		value = "true"
	case policy.Zero:
		value = "EXTRACT(epoch FROM pg_catalog.now())::pg_catalog." + map[string]string{"integer": "int4", "bigint": "int8"}[t.MarkerType]
	}
	words := ident(t.Marker) + " = " + value
	for _, a := range t.Audit {
		value := "tombstone.deleter()"
		if a.What == policy.Deletion {
			value = "pg_catalog.pg_current_xact_id()"
			if a.Type != "" && a.Type != "xid8" {
				value += "::pg_catalog.text::" + a.Type
			}
		}
		words += ", " + ident(a.Column) + " = " + value
	}
	return words
}

// revival lists what makes a row live: columns, and what they are set to.
func revival(t *policy.Table) (columns, values []string) {
	value := map[policy.LiveValue]string{policy.Null: "NULL", policy.False: "false", policy.Zero: "0", policy.Infinity: "'infinity'"}[t.Live.Value]
	columns, values = []string{t.Marker}, []string{value}
	for _, a := range t.Audit {
		columns, values = append(columns, a.Column), append(values, "NULL")
	}
	return columns, values
}

// revive writes what UPDATE sets in a row that is restored.
func revive(t *policy.Table) string {
	columns, values := revival(t)
	set := make([]string, len(columns))
	for i := range columns {
		set[i] = ident(columns[i]) + " = " + values[i]
	}
	return strings.Join(set, ", ")
}

// alive writes the same as a JSON object, in the way jsonb prints it.
func alive(t *policy.Table) string {
	columns, values := revival(t)
	order := make([]int, len(columns))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { // jsonb: the shorter key first
		return cmp.Or(cmp.Compare(len(columns[a]), len(columns[b])), strings.Compare(columns[a], columns[b]))
	})
	pairs := make([]string, len(columns))
	for i, at := range order {
		key, _ := json.Marshal(columns[at])
		value, _ := json.Marshal(values[at])
		pairs[i] = string(key) + ": " + string(value)
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// array writes names as jsonb prints an array of them.
func array(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		quoted, _ := json.Marshal(name)
		list[i] = string(quoted)
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// tells reports whether the marker of a tombstone tells its deletion: it has the time of the transaction, to the microsecond.
func tells(t *policy.Table) bool { return t.MarkerType == "timestamp with time zone" }

// instant writes the marker of the row new as a time that tells its deletion, or NULL.
func instant(t *policy.Table) string {
	if tells(t) {
		return "NEW." + ident(t.Marker)
	}
	return "NULL"
}

// indent puts a tab before each line.
func indent(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n\t") + "\n"
}
