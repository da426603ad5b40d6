package lifecycle

import (
	"fmt"
	"strings"

	"tombstone/rewrite"
)

// stays reports whether an index has to go on holding every row: a constraint that foreign keys, the replica identity or the end of a
// transaction need cannot be partial. What it does not let in for a tombstone's sake, tombstone.evict makes room for. An exclusion constraint can wait
// for the end of the transaction and be partial as well.
func (x *Index) stays() bool {
	return x.Primary || x.Needed || x.Identity || x.Deferrable && !x.Exclusion || x.Parted
}

// wantsLive reports whether an index holds tombstones and need not.
func (x *Index) wantsLive() bool {
	p := x.Table.Protected
	return p != nil && !x.Table.hopeless() && !x.stays() && !rewrite.LiveOnly(p, x.Where) && !(x.Table.Partition && x.Table.inherits)
}

// partial replaces an index of all rows by one of live rows.
//
// Without it a value that a deleted row has cannot be used again.
func (x *Index) partial() Step {
	step := Step{Object: "table " + x.Table.Name.String(), Check: "key-holds-tombstones", Why: fmt.Sprintf("A value of %s that a deleted row has could not be used again (23505).", x.Name)}
	condition := live(x.Table.Protected, "")
	if x.Where != "" {
		condition = "(" + x.Where + ") AND " + condition
	}
	if x.Exclusion {
		definition, when := x.Constraint, ""
		for _, clause := range []string{" INITIALLY DEFERRED", " DEFERRABLE"} {
			if cut, found := strings.CutSuffix(definition, clause); found {
				definition, when = cut, clause+when
			}
		}
		definition = strings.TrimSuffix(definition, " WHERE ("+x.Where+")")
		step.SQL = []string{fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s, ADD CONSTRAINT %s %s WHERE (%s)%s",
			full(x.Table.Name), ident(x.Name), ident(x.Name), definition, condition, when)}
		return step
	}
	fresh, concurrently := named(x.Name, "live"), "CONCURRENTLY "
	if x.Table.Kind == 'p' {
		concurrently = "" // the server cannot
	} else {
		step.Alone = true
	}
	_, definition, _ := strings.Cut(x.Definition, " ON ")
	definition = strings.TrimPrefix(strings.TrimSuffix(definition, " WHERE "+x.Where), "ONLY ") // with its partitions
	drop := fmt.Sprintf("DROP INDEX %s.%s", ident(x.Table.Schema), ident(x.Name))
	if x.Constraint != "" {
		drop = fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", full(x.Table.Name), ident(x.Name))
	}
	qualified := func(name string) string {
		return literal(ident(x.Table.Schema)+"."+ident(name)) + "::pg_catalog.regclass"
	}
	step.SQL = []string{
		x.Table.dropInvalid(fresh),
		fmt.Sprintf("CREATE UNIQUE INDEX %sIF NOT EXISTS %s ON %s WHERE %s", concurrently, ident(fresh), definition, condition),
		"DO " + dollars(fmt.Sprintf(` BEGIN -- under the name of the one that it replaces
	IF EXISTS (SELECT FROM pg_catalog.pg_index a, pg_catalog.pg_index b WHERE a.indexrelid = %[1]s AND b.indexrelid = %[2]s
			AND pg_catalog.pg_get_expr(a.indpred, a.indrelid) IS NOT DISTINCT FROM pg_catalog.pg_get_expr(b.indpred, b.indrelid)) THEN
		DROP INDEX %[3]s.%[4]s;
	ELSE
		%[5]s;
		ALTER INDEX %[3]s.%[4]s RENAME TO %[6]s;
	END IF;
END `, qualified(x.Name), qualified(fresh), ident(x.Table.Schema), ident(fresh), drop, ident(x.Name))),
	}
	return step
}
