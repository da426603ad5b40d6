// Package purge deletes tombstones for good: those whose retention has ended ([Run]), and certain rows whatever their retention ([Erase]).
//
// What comes in: a connection of its own, the policy and a pace. What goes out: what went and what stays and why ([Purged], [Erased]), and the same
// as a receipt in tombstone.receipts, written in the transactions that take the rows.
//
// # The way of a purge
//
// [Run] reads the foreign keys (graph.go) and goes through the tables children first. In each it finds candidates (seek.go), takes them in
// transactions of a batch (take.go) and counts what stays (stay.go); what refers to itself in a circle goes together (circle.go). What was
// archived of a table comes right after it (archived.go), and keeps what it refers to, if it stays itself (bound.go). Then comes what is known of
// deletions of which nothing is left. [Erase] takes certain rows in the same way (eraser.go).
// Which rows have had their time, and which are held, is said once in SQL (rule.go), and so is what refers to what (leaf.go).
//
// # What may never happen
//
// That a live row goes or changes, or one that was restored. Hence each row is locked, and only then, in a statement with a
// later snapshot, tested again and deleted if nothing refers to it: who restores it or begins to refer to it has its lock first, and then it is
// left alone, or waits and finds that it is gone. The foreign keys are the ones that are known, since the table is locked against others.
//
// Nor that a purge is in the way of others: pace.go says how long a batch takes and how long others have their turn. Its commits are not waited for, but
// for the last one, which makes all of them last before anybody is told (seal).
//
// A dry run does the same in its head: what would have gone is in a temporary table, and counts as gone.
//
// # Debugging
//
// tombstone purge --dry-run tells what would go, and of what stays, why. purge_test.go has a small database for each way in which rows refer
// to each other; lifecycle's TestRaces has a purge and a restore take turns in every order.
package purge
