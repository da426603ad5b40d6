// Package cluster runs a throwaway PostgreSQL: for `tombstone demo`, and for every test that wants a real server.
//
// What comes in: nothing but a machine. [Find] looks for PostgreSQL's programs where systems keep them, [Fetch]
// installs them where they are missing, and [Start] makes an empty cluster in a folder of its own and runs it.
// What goes out: a [Cluster] with an address. [Cluster.Stop] ends the server and removes the folder.
//
//	programs, err := cluster.Ensure(ctx, os.Stderr, 0)
//	c, err := cluster.Start(ctx, cluster.Options{Programs: programs})
//	defer c.Stop()
//	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
//
// # What may never happen
//
// A server that outlives this process. Ctrl-C does not reach it (it has a process group of its own), so that the
// caller decides the order in which things end; and a death without goodbye, SIGKILL included, is noticed by
// the watchdog, a small shell at the other end of a pipe. It ends the server and removes the folder. A pipe was
// chosen over Linux's parent-death signal because it works on every Unix, is not tied to a thread, and
// can clean up too. [Cluster.Stop] ends the watchdog as well.
//
// A server that runs as root: PostgreSQL refuses. Under root its programs run as the user postgres, or as nobody
// where there is no such user, and the folder belongs to that user.
//
// A server that answers on a port which is not ours: readiness is asked over the Unix socket in the cluster's own
// folder, and a taken TCP port makes PostgreSQL exit, upon which another port is tried.
//
// # What it is not
//
// For Windows: it stands on Unix sockets, signals and users. Safe for data worth keeping: fsync is off. Safe
// among hostile neighbours: unless Options.HBA says otherwise, every local user may connect as the superuser.
//
// # Debugging
//
// Set Options.Log to see the server's log, and Options.Settings to {"log_statement": "all"} to see its statements.
// Errors of Start carry the log's last lines. TOMBSTONE_PG_BIN names the folder with the programs when the wrong
// ones are found.
package cluster
