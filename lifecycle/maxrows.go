package lifecycle

import "fmt"

// maxRows refuses statements that change more rows of the table than the policy's max_rows, and deletions that would take more along by a foreign key,
// for each row that it follows.
func (d *Database) maxRows(t *Table) (step Step, needed bool) {
	most := t.Protected.MaxRows
	step = Step{
		Object: "table " + t.Name.String(), Why: fmt.Sprintf("The policy has max_rows: %d. A DELETE or UPDATE of more rows is refused.", most),
		SQL: []string{fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", maxRowsGuard, full(t.Name))},
	}
	there := d.trigger(t, maxRowsGuard)
	if most == 0 || t.Protected.Observed {
		step.Why = "The policy has no max_rows for it any more."
		return step, there != nil
	}
	step.SQL = append(step.SQL, fmt.Sprintf("CREATE TRIGGER %s AFTER UPDATE ON %s REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tombstone.max_rows('%d')",
		maxRowsGuard, full(t.Name), most))
	step.Done = there != nil && there.argument == fmt.Sprint(most)
	return step, true
}
