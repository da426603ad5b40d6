// Command suites runs test suites that others wrote, directly and through the proxy with a policy that concerns none of
// their tables, and compares what they give. It shows that the proxy is transparent: who is not protected notices nothing.
//
//	go run ./test/suites                              # all suites with both policies
//	go run ./test/suites -sample                      # a fair part of each
//	go run ./test/suites -suite regress -files join,with -mode empty -v
//	go run ./test/suites -suite isolation -mode direct   # two direct runs: what differs then is unsteady
//
// # What runs
//
//   - regress: PostgreSQL's regression suite, 217 scripts, by its own pg_regress
//   - isolation: PostgreSQL's isolation suite, by its own pg_isolation_regress and isolationtester
//   - pipeline: PostgreSQL's libpq_pipeline, with a trace of every message that libpq sends and receives
//   - pgx, pq: the tests of the Go drivers pgx and lib/pq
//
// Nothing of them is kept here. Package source fetches PostgreSQL's source as Debian has it, in the server's version, into
// a cache folder, and compiles two small C files; Debian's package of PostgreSQL's clients has the programs that run
// the suites; the drivers come as Go modules. What is missing and cannot be fetched is said, and is an error.
//
// # How
//
//  1. Each run has a place of its own (place.go): a fresh server with a database as pg_regress makes it, the proxy as a
//     program, and a folder. Clients connect to the same port and write into the same folder in every run, because some tests
//     print them: so nothing has to be replaced in outputs before they are compared.
//  2. Every database has the table guarded.never, which no test touches, directly too. With the policy `empty` it is not
//     protected, with `guarded` it is. The second is the harder one: statements are then parsed, names are resolved, and
//     the catalog is read through the tests' own connections.
//  3. A suite runs directly and with each policy. Of PostgreSQL's suites the outputs are compared byte for byte, with each
//     other and not with those that PostgreSQL expects: these also depend on the system's locales. Of the drivers' suites the
//     tests' verdicts are compared: passed, failed or skipped.
//  4. What differs runs once more, alone, directly and through the proxy. The same then: it was chance, and the report says so.
//     What the proxy does on purpose has its cause in one line in the suite's list (Known).
//
// Scripts run one at a time and the server's autovacuum is off: fewer things happen by chance, so a difference means more.
//
// # What may never happen
//
// A cause that hides an error of the proxy: it names the policy, the tests and the words in which they differ. Whether a test
// is unsteady shows in two direct runs (-mode direct).
//
// # Status
//
// 1 if a difference has no cause, or if something could not be run. The last line is `N passed, N failed`, in tests.
// -keep FOLDER keeps all outputs, for diff -r; -v shows where they part.
package main
