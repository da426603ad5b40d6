package lifecycle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// wanted is what prepare makes of functions and triggers.
type wanted struct {
	functions map[string]bool // as the catalog lists them
	triggers  map[installed]bool
}

func (w *wanted) add(f *function) {
	w.functions[house+"."+plain(f.name)+"()"] = true
	for _, t := range f.triggers {
		w.triggers[installed{table: t.table.Name, name: t.name}] = true
	}
}

// isOfTable reports whether a function with that comment is a table's. Those of the house have no comment that tells their state.
func isOfTable(comment string) bool { return strings.HasSuffix(comment, "]") }

// stale takes out triggers and functions that nothing needs any more: of a table that the policy has let go of, or of a foreign key or an index
// that is gone.
//
// A guard that is left behind refuses the DELETEs of an application that the proxy lets through.
func (d *Database) stale(w *wanted) []Step {
	var steps []Step
	for _, i := range d.triggers {
		if w.triggers[installed{table: i.table, name: i.name}] {
			continue
		}
		why := "Nothing needs the trigger " + i.name + " any more."
		if t := d.tables[i.table]; t == nil || t.Protected == nil {
			why = "The policy does not protect the table. " + why
		}
		steps = append(steps, Step{Object: "table " + i.table.String(), Stale: true, Why: why, SQL: []string{fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", ident(i.name), full(i.table))}})
	}
	for _, name := range slices.Sorted(maps.Keys(d.installed)) {
		if !w.functions[name] && isOfTable(d.installed[name]) {
			steps = append(steps, Step{Object: "function " + name, Why: "No trigger calls it any more.", SQL: []string{"DROP FUNCTION IF EXISTS " + name}})
		}
	}
	if d.dropped > 0 {
		steps = append(steps, Step{
			Object: "table tombstone.tables", Why: "It speaks of tables that were dropped. What is restored from a dump may have a number of theirs.",
			SQL: []string{"DELETE FROM tombstone.tables t WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.relation)"},
		})
	}
	return steps
}
