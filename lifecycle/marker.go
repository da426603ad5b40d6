package lifecycle

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"tombstone/policy"
)

// qualified is SQL of functions, which run under the search_path of whoever changes a row.
var qualified = &policy.Spelling{
	Column:   ident,
	Operator: func(op string) string { return "OPERATOR(pg_catalog." + op + ")" },
	Function: func(name string) string { return "pg_catalog." + name },
	Role:     "tombstone.deleter()",
}

// live writes the condition that a row is live, as the proxy and a partial index do. alias is "" or ends in a point.
func live(t *policy.Table, alias string) string { return qualified.Live(t.Live, alias+ident(t.Marker)) }

// dead writes the opposite of live. Neither is ever NULL.
func dead(t *policy.Table, alias string) string {
	if t.Live.Value == policy.Null {
		return alias + ident(t.Marker) + " IS NOT NULL"
	}
	return "NOT COALESCE(" + live(t, alias) + ", false)"
}

// stamp writes what a row is given that a deletion takes along.
func stamp(t *policy.Table) string { return qualified.Stamp(t) }

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
