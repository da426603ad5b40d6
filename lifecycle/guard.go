package lifecycle

import "fmt"

// guard keeps rows from being deleted for good by accident. A table that is only observed has none: its rows are really deleted.
func (d *Database) guard(t *Table) Step {
	const row, truncate = "tombstone_guard", "tombstone_guard_truncate"
	step := Step{
		Object: "table " + t.Name.String(), Check: "missing-guard",
		Why: "A DELETE that does not come through the proxy, as one in a function or from psql, would lose rows for good.",
		SQL: []string{fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", row, full(t.Name)), fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", truncate, full(t.Name))},
	}
	rows, truncates := !t.Protected.Observed, !t.Protected.Observed && t.Protected.Truncate != "allow"
	if !rows {
		step.Check, step.Why = "", "The table is only observed: its rows are really deleted."
	}
	if rows {
		step.SQL = append(step.SQL, fmt.Sprintf("CREATE TRIGGER %s BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION tombstone.guard()", row, full(t.Name)))
	}
	if truncates {
		step.SQL = append(step.SQL, fmt.Sprintf("CREATE TRIGGER %s BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION tombstone.guard()", truncate, full(t.Name)))
	}
	step.Done = d.triggered(t, row) == rows && d.triggered(t, truncate) == truncates
	return step
}
