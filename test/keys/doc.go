// Command keys is the oracle for foreign keys: it plays the same scripts on two
// databases with the same tables and native foreign keys, and compares all that
// a client is told.
//
// In hard, rows are really deleted. In soft the tables are protected and tombstone
// prepare has been applied; its clients come through the proxy, as everybody's
// do.
//
//	go run ./test/keys                                   # 1,000 scripts
//	go run ./test/keys -scripts 20000 -seed 7
//	go run ./test/keys -sessions 3 -isolation "read committed"
//	go run ./test/keys -seed 7 -script 41 -v             # one script again
//
// # Where scripts come from
//
//   - graph.go, generate_graph.go: two to six tables and the foreign keys between
//     them, with all that can be said of a key, partitions and unprotected tables
//     among them. Fifty scripts share a [Graph]; each begins with empty tables.
//   - generate_script.go, generate_write.go: statements for one session, with
//     transactions and savepoints. Values are few, so that keys meet. In the end
//     come deletions that are undone.
//   - generate_sessions.go: transactions of several sessions that meet at one row of
//     one key, and the order in which their statements are sent.
//
// All is a pure function of the seed and the script's number.
//
// # How they are judged
//
//   - play.go sends each statement to soft, then to hard. What the proxy refuses is
//     not run in hard; it is counted.
//   - compare.go: rows in any order, tags, notices, the whole error, the state of the
//     transaction. contents.go: in the end all live rows and sequences; and what hard
//     has deleted, which its triggers write down, soft must still have.
//   - undo.go takes deletions back. In reverse order each brings back the state before
//     it, exactly; in any order it works or is refused, no row is gone, and no live row
//     refers to a deleted one.
//   - sessions.go sends one interleaving to both sides, meet.go compares. Whether a statement waits for
//     another session is part of the answer. A step whose session waits is delayed
//     and the others go on, so the order stays the same for as long as the answers do.
//   - known.go is the only place that forgives, each time with its reason. Of several
//     constraints that one statement breaks another may be told, if it is broken:
//     genuine.go asks hard.
//
// # When they differ
//
// shrink.go drops steps, keys, tables and clauses for as long as the same kind of
// difference stays. Each kind is shrunk once; more of the same kind are counted.
//
// # What may never happen
//
// A difference that comes from the generator or from the order in which rows lie:
// no clock, no LIMIT, no two rows that could be the source of one UPDATE; tables are
// truncated between scripts so that both sides fill them in the same order. And for
// several sessions, one that comes from a slow machine: what does not come again is
// counted apart.
package main
