// Command bench measures what tombstone costs, side by side with what else could stand in its place, on this host, in one run.
//
//	go run ./test/bench                                  # everything, about three quarters of an hour
//	go run ./test/bench -quick                           # a fair sample, about a minute
//	go run ./test/bench -cells 'select-only/.*/8$|copy'  # these cells
//	go run ./test/bench -also before=/tmp/old-tombstone  # one more build of it, as a column of its own
//
// # The columns
//
// Every target speaks plain TCP on 127.0.0.1, without passwords, in front of the same server and the same database (stage.go,
// targets.go): direct, which is PostgreSQL itself; PgBouncer with session pooling; tombstone, built from this checkout,
// with a policy that protects pgbench_accounts; and a relay that only copies bytes (relay.go), which is what any Go
// program with a goroutine for each direction pays. Each is a process of its own, so that /proc tells its CPU and memory apart.
// PgBouncer is left out, with a word on how to install it, where it is missing.
//
// # The rows
//
//   - select-only and tpcb-like/PROTOCOL/CLIENTS (pgbench.go): transactions per second, latency, CPU.
//   - copy-out, wide-select, copy-in (bulk.go): MB/s and CPU per GB. The client only counts bytes.
//   - connect (connect.go): connect, SELECT 1, close, with 8 workers. connect-fake: the same before the fake server, which starts no process.
//   - idle (idle.go): resident memory with thousands of idle sessions, before a fake server (fake.go).
//
// # How
//
// Rounds are the outermost loop. In each, all targets do a cell one right after the other, in an order that turns, so that a noisy
// minute hits all. A figure is the median of its rounds. A ratio is the median of the rounds' own ratios, so it need not be the ratio of
// two medians, and is steadier than that. A proxy's CPU is user and system time of its process.
//
// What must differ between targets is the proxy, not the server behind it. So for pgbench every client has a server process that is new:
// PgBouncer, which keeps its server connections, is started anew for every figure, and opens as many as there are clients before they
// come. The server's shared memory is in huge pages where root can reserve them, or enough are free (hugepages.go, stage.go); else a new
// process spends its first seconds on page faults, and the report says so. What counts begins after 2 to 4 seconds, and only once the server
// itself says that all clients are at work (window.go). Throughput, latency and CPU are of the same seconds.
//
// # What it does not say
//
// How fast the server is: fsync is off, everything is in memory. What another machine would show: clients, proxy and server share
// this one's processors, so direct has more of them than the others. Memory in the kernel: socket buffers are not resident memory
// of a process.
// PgBouncer keeps its server connections when a client leaves, so connect compares different work.
//
// # What may never happen
//
// A leftover: a watchdog (watchdog.go) ends every child, gives huge pages back and removes the folder of this run even if this process is
// killed. A figure of a run in which nothing was done. A status other than 0 because of a figure: only something that broke is an error.
//
// # Debugging
//
// An error has the end of the child's log. -rounds 1 -seconds 1 -cells REGEXP -targets REGEXP gets to one cell in a few seconds;
// -json has every round's raw figures.
package main
