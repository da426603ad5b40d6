// Package policy is what the operator wants, resolved against what a
// database is.
//
// What comes in: the tables of the configuration ([Policy]) and a snapshot of
// a database ([catalog.Catalog]). What goes out: a [Set], immutable and
// numbered, that answers the one question the rest of the proxy asks of a
// name: is this a protected table, something that reads one, or neither?
//
// What may never happen: a protected table that answers "neither". So a table
// that the configuration names outright is protected even while the catalog
// does not know it, children follow their parents, and views and parents over
// a protected table are told apart from ordinary relations.
//
// # Words
//
//   - protected table: a table the policy names.
//   - observed table: one that the policy names with mode observe. Nothing is done to statements on it; a second Set
//     beside the first ([Set.Observing]) tells what would be.
//   - marker: its column that says when a row was deleted, deleted_at unless
//     told otherwise.
//   - live row: the marker is NULL. Tombstone: it is not.
//   - bury: turn a DELETE into a marking UPDATE.
//   - hide: keep tombstones out of a statement.
//   - restore: make a tombstone live again.
//   - purge: delete a tombstone for good.
//   - deletion: all rows buried by one transaction, cascades included.
package policy
