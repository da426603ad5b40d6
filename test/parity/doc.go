// Command parity is the oracle: it asks every question twice and compares the
// answers.
//
// A [Twin] is two databases of one throwaway cluster with the same columns and
// the same live rows. In hard a client's deletes are real; soft is used through
// the proxy, which buries them. What a client can see must not differ: rows,
// command tags, SQLSTATE, message, position, types, notices, the state of the
// transaction, and afterwards the live contents of every table. In soft nothing
// may ever be lost.
//
//	go run ./test/parity                        # the scripts, then 2,000 generated statements
//	go run ./test/parity -statements 50000 -seed 7
//	go run ./test/parity -seed 7 -case 41 -v    # one case again
//
// # Where statements come from
//
//   - script.go: plain SQL files in scripts/, each played four times: by simple
//     Query, unnamed with text results, unnamed with binary results, named.
//   - generate_*.go: random schemas, data and statements. A case is a pure
//     function of the seed and its number. Fifty cases share a [World].
//
// # How they are judged
//
//   - protocol.go sends a step to one side and keeps each reply.
//   - compare.go brings two lists of replies side by side. The order of rows
//     counts only where the statement asks for one.
//   - guard.go watches soft from inside: a row that is really deleted, or a
//     tombstone that changes, is a failure even if no answer shows it.
//   - known.go is the only place that forgives, each time with its reason.
//   - A statement that the proxy refuses is not run in hard. It is counted in a
//     table of its own (report.go), never as a difference.
//
// # When they differ
//
// shrink.go drops statements, rows, tables and clauses for as long as the
// difference stays, which is why a statement is a tree (tree.go). What remains
// is printed with what both sides said and what the proxy made of it. Each kind
// of difference is shrunk once; more of the same kind are counted.
//
// # What may never happen
//
// A difference that comes from the generator: no clock, no random(), no physical
// row addresses, no LIMIT without a total order, no two rows that could be the
// source of one UPDATE. A statement whose answer PostgreSQL itself leaves open
// does not belong here.
package main
