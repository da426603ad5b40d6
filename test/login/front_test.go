package login

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
	"tombstone/config"
	"tombstone/proxy"
	"tombstone/test/serve"
)

// Parts of configurations.
const (
	protect = "tables: [{name: public.users}]\n"
	ask     = "auth: {mode: terminate, query_as: \"postgres://asker:fragen@/postgres\"}\n"
)

// offer is the proxy's TLS, with more settings of the mapping tls.
func offer(more ...string) string {
	return fmt.Sprintf("tls: {certificate: %s, key: %s%s}\n", front.crt, front.key, strings.Join(append([]string{""}, more...), ", "))
}

// url is a server's address for the setting upstream.
func url(c *cluster.Cluster, params ...string) string {
	return fmt.Sprintf("postgres://localhost:%d/?%s", c.Port, strings.Join(params, "&"))
}

// verified is the parameters of url for TLS as it should be.
func verified() string { return "sslmode=verify-full&sslrootcert=" + ca.file }

// relay is a proxy in this process.
type relay struct {
	*proxy.Server
	addr *net.TCPAddr
	log  *serve.Journal
	stop func()
}

// read parses a configuration: an upstream, and other settings.
func read(t testing.TB, upstream string, parts ...string) proxy.Options {
	t.Helper()
	text := "listen: 127.0.0.1:6432\nupstream: " + upstream + "\n" + strings.Join(parts, "")
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	o := proxy.From(cfg)
	o.Listen = config.Address{Network: "tcp", Address: "127.0.0.1:0"}
	o.Drain = 0
	return o
}

// start runs a proxy until the test ends.
func start(t testing.TB, upstream string, parts ...string) *relay {
	t.Helper()
	return launch(t, read(t, upstream, parts...))
}

func launch(t testing.TB, o proxy.Options) *relay {
	t.Helper()
	r := &relay{log: &serve.Journal{}}
	o.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	here := serve.InProcess(t, o, r.log, limit, thePassword, "fragen", "SCRAM-SHA-256$4096")
	r.Server, r.stop = here.Server, here.Stop
	r.addr, _ = r.Addr().(*net.TCPAddr)
	return r
}

// to is how a client reaches the proxy.
func (r *relay) to(more string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d dbname=postgres %s", r.addr.Port, more)
}

// straight is how a client reaches the server itself.
func straight(c *cluster.Cluster, more string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d dbname=postgres %s", c.Port, more)
}

// dial is a raw connection to the proxy.
func (r *relay) dial(t testing.TB) net.Conn { return dial(t, r.addr.String()) }

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	return c
}

// psql runs one statement and returns the rows, and what psql says besides.
func psql(t testing.TB, dsn, sql string, env ...string) (out, said string) {
	t.Helper()
	cmd := exec.CommandContext(within(t), "psql", "-X", "-w", "-At", "-v", "VERBOSITY=verbose", "-d", dsn, "-c", sql)
	cmd.Env = environ(env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(stdout.String()), strings.TrimSpace(stderr.String())
}

// environ is this process's environment without what would lead a client of PostgreSQL astray.
func environ(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PG") && !strings.HasPrefix(e, "LC_") && !strings.HasPrefix(e, "LANG") && !strings.HasPrefix(e, "HOME=") {
			env = append(env, e)
		}
	}
	return append(env, append([]string{"LC_ALL=C.UTF-8", "HOME=" + scratch, "PSQLRC=/dev/null"}, more...)...)
}

// open connects with pgx and closes with the test.
func open(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(within(t), dsn)
	if err != nil {
		t.Fatalf("connect to %s: %v", dsn, err)
	}
	t.Cleanup(func() { _ = conn.Close(within(t)) })
	return conn
}

// one runs a query and returns its only value as text.
func one(t testing.TB, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(within(t), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	for _, r := range results {
		for _, row := range r.Rows {
			return string(row[0])
		}
	}
	return ""
}

// admin runs a script at a server as its superuser.
func admin(t testing.TB, c *cluster.Cluster, sql string) string {
	t.Helper()
	out, err := c.Psql(within(t), "postgres", sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	within     = clustertest.Within
	eventually = clustertest.Eventually
)
