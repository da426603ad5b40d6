// Package lifecycle is what happens to a tombstone after it has been made, and what the database itself has to know for it:
// the SQL that `tombstone prepare` prints.
//
// It works on rows with a login of its own, outside the query path, and runs without the proxy.
//
// # Purge
//
// [Purge] reads the foreign keys (graph.go) and goes through the tables children first. In each it finds candidates (seek.go), takes them in
// transactions of a batch (take.go) and counts what stays (stay.go); what refers to itself in a circle goes together (circle.go). Then comes what
// was archived, and what is known of deletions of which nothing is left (archived.go). [Erase] takes certain rows in the same way.
//
// What may never happen: that a live row goes or changes, or one that was restored. Hence each row is locked, and only then, in a statement with a
// later snapshot, tested again and deleted if nothing refers to it: who restores it or begins to refer to it has its lock first, and then it is
// left alone, or waits and finds that it is gone. The foreign keys are the ones that are known, since the table is locked against others.
//
// A dry run does the same in its head: what would have gone is in a temporary table, and counts as gone.
package lifecycle
