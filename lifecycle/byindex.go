package lifecycle

import (
	"fmt"
)

// The planner takes a table that was empty when it was last analyzed, or vacuumed, for one that is empty, and reads it whole rather than by an index. A
// plan that is kept goes on like that while a statement fills the table: 20,000 rows took nine minutes instead of seconds.

// seqscan declares what the session says of plans that read whole tables, and what forget needs.
const seqscan = "seqscan pg_catalog.text := pg_catalog.current_setting('enable_seqscan');\nreference pg_catalog.text[];\n"

// byIndex writes a statement that is planned to use an index. No trigger that others have made may run in it: its plans would be such, too.
func byIndex(statement string) string {
	return "PERFORM pg_catalog.set_config('enable_seqscan', 'off', true);\n" + statement + "PERFORM pg_catalog.set_config('enable_seqscan', seqscan, true);\n"
}

// planned declares what firstPlans and planByIndex need.
const planned = "seqscan pg_catalog.text;\nsaid pg_catalog.text;\n"

// firstPlans comes before what planByIndex writes, in a function that is called for each of many rows, where byIndex would cost a third of the rest: it
// counts the first calls in a session. Five plans are made for their values, and the sixth is kept.
func firstPlans(t *Table) string {
	return fmt.Sprintf(`IF (pg_catalog.current_setting(%[1]s, true) OPERATOR(pg_catalog.=) '......') IS NOT TRUE THEN
	seqscan := pg_catalog.current_setting('enable_seqscan');
	said := pg_catalog.set_config(%[1]s, COALESCE(pg_catalog.current_setting(%[1]s, true), '') OPERATOR(pg_catalog.||) '.', false);
END IF;
`, literal("tombstone.planned_"+hash(full(t.Name))))
}

// planByIndex is byIndex in those calls.
func planByIndex(statement string) string {
	return `IF seqscan IS NOT NULL THEN
	said := pg_catalog.set_config('enable_seqscan', 'off', true);
END IF;
` + statement + `IF seqscan IS NOT NULL THEN
	said := pg_catalog.set_config('enable_seqscan', seqscan, true);
END IF;
`
}
