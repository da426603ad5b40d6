package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tombstone/cluster"
	"tombstone/config"
	"tombstone/proxy"
)

// shopTables is the policy for the shop.
const shopTables = `
  - name: public.users
  - name: public.orders
  - name: public.memberships
  - name: 'public."Größe"'
  - name: public.files
  - name: tenant.users
`

// everything is the policy that protects every table.
const everything = `
  - name: "*.*"
`

// front is a proxy in this process.
type front struct {
	addr    net.Addr
	server  *proxy.Server
	options proxy.Options
	log     *journal
	stop    func()
}

// start runs a proxy before the shared server until the test ends.
func start(t *testing.T, tables string) *front {
	t.Helper()
	return startBefore(t, server, tables, nil)
}

// startBefore runs a proxy before any server. change may alter its options.
func startBefore(t *testing.T, c *cluster.Cluster, tables string, change func(*proxy.Options)) *front {
	t.Helper()
	text := fmt.Sprintf("listen: 127.0.0.1:6432\nupstream: postgres://%s:%d\ntables:\n%s", c.Host, c.Port, tables)
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	o := proxy.From(cfg)
	o.Listen = config.Address{Network: "tcp", Address: "127.0.0.1:0"}
	o.CatalogMaxAge, o.Drain, o.Literals, o.Log = time.Hour, 0, true, slog.New(slog.NewTextHandler(log, nil))
	if change != nil {
		change(&o)
	}
	p, err := proxy.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	f := &front{addr: p.Addr(), server: p, options: o, log: log}
	f.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(limit / 2):
			t.Errorf("Serve has not returned %s after its context ended", limit/2)
		}
		if said := log.String(); strings.Contains(said, "internal error") {
			t.Errorf("the proxy logged an internal error:\n%s", said)
		}
	})
	t.Cleanup(f.stop)
	return f
}

// dsn is the address of a database behind the proxy.
func (f *front) dsn(db string) string {
	host, port, err := net.SplitHostPort(f.addr.String())
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("host=%s port=%s user=postgres dbname=%s sslmode=disable", host, port, db)
}

// journal keeps what the proxy logs.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// environ is this process's environment without what would lead a client of
// PostgreSQL astray.
func environ(more ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PG") && !strings.HasPrefix(e, "LC_") && !strings.HasPrefix(e, "LANG") {
			env = append(env, e)
		}
	}
	return append(env, append([]string{"LC_ALL=C.UTF-8", "PGCLIENTENCODING=UTF8", "PSQL_PAGER=", "PSQLRC=/dev/null"}, more...)...)
}
