package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"tombstone/cluster"
	"tombstone/proxy"
	proxies "tombstone/test/serve"
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
	log     *proxies.Journal
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
	log := &proxies.Journal{}
	o, err := proxies.Before(c, tables, log)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&o)
	}
	here := proxies.InProcess(t, o, log, limit/2)
	f := &front{addr: here.Addr(), server: here.Server, options: o, log: log, stop: here.Stop}
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
