package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// purge lets a DELETE through, for good. It deletes the rows that the session sees, and returns their condition, "" if it sees all.
//
//	DELETE FROM users WHERE a OR b                               tombstone.visibility = deleted
//	DELETE FROM users WHERE (a OR b) AND users.deleted_at IS NOT NULL
//
// Without the condition, to purge deleted rows would take live ones along.
func (r *rewriter) purge(rv *pg.RangeVar, table *policy.Table, twice bool) string {
	r.purged(table, rv.Location)
	if table.Unmarked {
		return "" // all are live
	}
	return r.test(rv, table, twice)
}

// purged records that rows are deleted for good.
func (r *rewriter) purged(table *policy.Table, offset int32) {
	r.use(AskedPurge)
	switch r.asks.Visibility {
	case All:
		r.use(AskedAll)
	case Deleted:
		r.use(AskedDeleted)
	}
	r.touch(table, PurgeRows, offset, Purged)
}

// merges reports whether a MERGE may change a protected table as the session asks for it, and refuses it if not. One that deletes
// would bury rows again that are deleted already, if it saw them.
func (r *rewriter) merges(rv *pg.RangeVar, table *policy.Table, deletes bool) bool {
	if !r.mayChange(rv, table, "MERGE") {
		return false
	}
	switch {
	case !deletes:
	case r.asks.deleting != nil:
		r.refuseBy(r.asks.deleting, rv.Location)
	case r.asks.Visibility != Live && !r.asks.Purge:
		r.refuse("deletes-again", rv.Location, table.String())
	}
	return r.stmt.Refusal == nil
}
