// Command regress runs PostgreSQL's own regression scripts twice and compares every answer: directly on a server that
// really deletes (hard), and through the proxy on a twin server where every table is protected (soft).
//
//	go run ./test/regress                          # the sample that must be clean, about a minute
//	go run ./test/regress -files all               # the whole schedule, in its order, about four minutes
//	go run ./test/regress -files truncate+prepared # one script on a twin that has the database's half
//	go run ./test/regress -files join,with -v      # these, after what they depend on; differences are listed
//
// The scripts are not kept here: Debian's source package of the server's major version is fetched once into a cache
// folder (test/source), with the C functions that the scripts use.
//
// # How
//
//  1. Two throwaway clusters (twin.go), each with a database `regression` set up as pg_regress does. An event trigger
//     gives every ordinary and partitioned table the column deleted_at, last; temporary tables stay as they are, because
//     they are their session's own and never protected, and so do tables OF a type. The proxy's policy is "*.*".
//  2. A script is cut into statements where psql would (script.go). After each stands a \echo with its number and its
//     SQLSTATE (assemble.go). So psql itself runs the script, with everything it can do, and what it prints can be cut
//     into answers (psql.go).
//  3. COPY t FROM without column list would miss the added column: the list of the other columns is written into it, in both twins.
//  4. The script runs through the proxy first. A statement that the proxy refuses is an error in the hard twin as well,
//     of the same kind and at the same place: so the twins stay alike, and one refusal does not look like a hundred
//     differences. Refused statements are counted by rule. The proxy's log says which these are.
//     Only test_setup, which fills the tables of all scripts, runs directly on both: it is no test.
//  5. Answers are compared (compare.go): all that psql prints, and the SQLSTATE. Rows may come in another order where the
//     statement asks for none: a table that keeps its tombstones lies otherwise on disk. That is counted.
//  6. A difference that is known has a cause in one line (causes.go). One that only follows from an earlier difference, by
//     the tables it names, is told apart (story.go, ties.go). One without a cause is listed in full. With -control the
//     hard twin runs twice, and what differs between two direct runs (times, process ids) is set aside.
//  7. A script with +prepared behind its name runs on twins of its own, of which the soft one has the database's half: what
//     `tombstone prepare` installs, so that foreign keys act on deletions. It is installed before the script, and again before
//     the first statement that is not DDL after some that are, as a migration would do it; psql waits meanwhile (preparer.go, stops.go).
//     Not while a transaction is open: then at the next such place after its end. Nor between statements of DDL: what a migration makes in several
//     steps, such as a partition that is attached, is not prepared between them. -each does that: then most differences follow from DDL that
//     does not go with the half in place. Temporary tables are made ordinary ones in both twins, since temporary ones are never protected. What
//     prepare itself cannot do ends the run.
//
// # What may never happen
//
// A cause that swallows an error of the proxy: a cause is as narrow as its examples allow, and the report counts
// each. A real deletion or a tombstone that shows has no cause.
//
// # Status
//
// 1 if a difference without a cause is in one of the files that must be clean (-clean), or if something could not be run. The last
// line is `N passed, N failed`, in statements.
package main
