package lifecycle

import "fmt"

// The triggers that call functions of the house itself.
const (
	rowGuard      = "tombstone_guard"
	truncateGuard = "tombstone_guard_truncate"
	maxRowsGuard  = "tombstone_max_rows"
)

// guard keeps rows from being deleted for good by accident. A table that is only observed has none: its rows are really deleted.
func (d *Database) guard(t *Table) Step {
	step := Step{
		Object: "table " + t.Name.String(), Check: "missing-guard",
		Why: "A DELETE that does not come through the proxy, as one in a function or from psql, would lose rows for good.",
		SQL: []string{fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", rowGuard, full(t.Name)), fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", truncateGuard, full(t.Name))},
	}
	rows, truncates := !t.Protected.Observed, !t.Protected.Observed && t.Protected.Truncate != "allow"
	if !rows {
		step.Check, step.Why = "", "The table is only observed: its rows are really deleted."
	}
	if rows {
		step.SQL = append(step.SQL, fmt.Sprintf("CREATE TRIGGER %s BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION tombstone.guard()", rowGuard, full(t.Name)))
	}
	if truncates {
		step.SQL = append(step.SQL, fmt.Sprintf("CREATE TRIGGER %s BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION tombstone.guard()", truncateGuard, full(t.Name)))
	}
	step.Done = d.triggered(t, rowGuard) == rows && d.triggered(t, truncateGuard) == truncates
	return step
}
