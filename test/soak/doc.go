// Command soak runs a proxy for a long time under a mixed load and everything that goes wrong in a week, and says
// whether anything was left behind or lost.
//
//	go run ./test/soak                  # half an hour
//	go run ./test/soak -duration 60s    # a sample
//
// # What comes in
//
// Nothing but a machine: a throwaway PostgreSQL (package cluster) and the program, built from this checkout, as a process of its own.
//
// # The load
//
//   - workers (worker.go): point reads, inserts, buried deletes, COPY both ways, pipelines, prepared statements. Every request
//     holds a token of its own, which has to be in its reply.
//   - trouble (trouble.go): logins at a rate, cancel requests, statement timeouts, DDL, backends that an administrator ends,
//     clients that vanish in the middle of a result, reloads of a rewritten configuration (SIGHUP, where serve has it).
//
// The load is paced (-rate), so that it is the same at the beginning and at the end, and memory can be compared.
//
// # What goes out
//
// A line a minute: requests, errors by class, and what the process holds. Then a verdict. Status 1 says that one of these was not so:
//
//   - Every reply went to the request that asked for it.
//   - Every acknowledged insert is in the table, and every acknowledged delete is a tombstone there (ledger.go).
//   - Nothing hung, and no error was of a class that nothing here causes (errors.go).
//   - Memory at the end is at most 10% above that after the warm-up (memory.go); in a run of less than ten minutes, 30%.
//   - Goroutines and descriptors are back where they were before the load.
//
// # How memory is measured
//
// As the resident memory of the process, since that is what an operator pays for. One sample says little: the garbage collector lets it
// breathe, and the cache of plans fills up to its bound. So the cache is filled first (fill.go), and the medians of two windows of the same length are compared, one right after the warm-up and one at the end.
//
// # Debugging
//
// -log FILE keeps what the proxy logs. A worker that meets what it must not says what it sent and what came.
package main
