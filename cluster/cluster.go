package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// socketLimit bounds a Unix socket's path in bytes: the kernel's limit is 104 on macOS, 108 on Linux.
const socketLimit = 100

// Options say what kind of cluster to start. The zero value is good.
type Options struct {
	Programs  Programs          // zero: what Find finds
	Dir       string            // parent of the cluster's folder; "" for the temporary folder. Under root, open to everybody
	Settings  map[string]string // for postgresql.conf: name to value. Address, port and sockets stay Start's
	HBA       string            // the whole pg_hba.conf; "" trusts everybody. Keep a line for `local` that trusts if you want Psql
	SuperUser string            // "" for postgres
	Port      int               // of 127.0.0.1 and the Unix socket; 0 for one that is free
	Log       io.Writer         // the server's log; nil for nowhere
}

// Cluster is a running PostgreSQL that nobody will miss. Its methods may be called from several goroutines.
type Cluster struct {
	Host      string // 127.0.0.1
	Port      int
	SocketDir string // folder with the Unix socket .s.PGSQL.<Port>
	DataDir   string // the data directory, owned by the user the server runs as

	programs  Programs
	account   account
	superUser string
	settings  map[string]string
	log       io.Writer
	home      string // everything of this cluster, except a socket that needs a shorter path
	dog       *watchdog

	mu      sync.Mutex // held while the server starts or ends
	server  *server    // nil when it never started
	stopped bool
}

// Start makes an empty cluster and returns when it takes connections, on 127.0.0.1 and on a Unix socket, which takes about
// two seconds; a minute at most. The context bounds only the start. Errors carry the last lines of the program that failed; they leave nothing behind.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if o.Programs.Bin == "" {
		found, err := Find()
		if err != nil {
			return nil, err
		}
		o.Programs = found
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	home, err := who.makeDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("folder for the cluster: %w", err)
	}
	c := &Cluster{
		Host: "127.0.0.1", Port: o.Port, SocketDir: home, DataDir: filepath.Join(home, "data"),
		programs: o.Programs, account: who, superUser: o.SuperUser, settings: o.Settings, log: o.Log, home: home,
	}
	if c.superUser == "" {
		c.superUser = "postgres"
	}
	if err := c.start(ctx, o.HBA); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, hba string) (err error) {
	if len(c.socket(65535)) >= socketLimit {
		if c.SocketDir, err = c.account.makeDir("/tmp"); err != nil {
			return fmt.Errorf("folder for the socket: %w", err)
		}
	}
	if c.dog, err = startWatchdog(c.home, c.SocketDir); err != nil {
		return err
	}
	if err := c.initdb(ctx); err != nil {
		return err
	}
	if hba != "" {
		// Written over the one that initdb made, so that its owner stays.
		if err := os.WriteFile(filepath.Join(c.DataDir, "pg_hba.conf"), []byte(hba+"\n"), 0o600); err != nil {
			return fmt.Errorf("write the access rules: %w", err)
		}
	}
	if c.Port != 0 {
		return c.run(ctx)
	}
	for {
		if c.Port, err = freePort(); err != nil {
			return err
		}
		// Between our look and the server's bind somebody else may take the port. The server says so and exits.
		if err = c.run(ctx); !says(err, "could not create any TCP/IP sockets") {
			return err
		}
	}
}

// run starts the postmaster on c.Port and waits until it takes connections. An error leaves no server.
func (c *Cluster) run(ctx context.Context) error {
	s, err := c.account.launch(filepath.Join(c.programs.Bin, "postgres"), c.home, c.arguments(), c.log, c.dog)
	if err != nil {
		return err
	}
	if err := s.ready(ctx, c.socket(c.Port), c.superUser); err != nil {
		s.end(syscall.SIGQUIT)
		return err
	}
	c.server = s
	return nil
}

// arguments are postgres's. Ours about speed come first, so that Options.Settings can change them; ours about
// place come last, because Cluster tells them to others.
func (c *Cluster) arguments() []string {
	// Not synchronous_commit=off as well: a commit must survive Kill.
	args := []string{"-D", c.DataDir, "-c", "fsync=off", "-c", "full_page_writes=off"}
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		args = append(args, "-c", name+"="+c.settings[name])
	}
	return append(args,
		"-c", "listen_addresses="+c.Host,
		"-c", "port="+strconv.Itoa(c.Port),
		// A comma separates folders here; quotes keep one that holds a comma whole.
		"-c", `unix_socket_directories="`+strings.ReplaceAll(c.SocketDir, `"`, `""`)+`"`)
}

func (c *Cluster) socket(port int) string {
	return filepath.Join(c.SocketDir, ".s.PGSQL."+strconv.Itoa(port))
}

// freePort asks the system for a port that nobody uses.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// DSN is the address of a database for clients: the superuser, over TCP, without TLS and without password.
func (c *Cluster) DSN(db string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(c.superUser),
		Host:     net.JoinHostPort(c.Host, strconv.Itoa(c.Port)),
		Path:     "/" + db,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Kill ends the postmaster as a crash would, with SIGKILL, and returns when it and its children are gone. The
// files stay: Restart recovers from them.
func (c *Cluster) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		c.server.end(syscall.SIGKILL)
	}
}

// Restart starts the server again, on the same port and files; one that still runs is ended first, without mercy. It returns
// when the server takes connections: after recovery, a minute at most.
func (c *Cluster) Restart(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || c.server == nil {
		return errors.New("restart: the cluster is stopped and its files are gone; start another")
	}
	c.server.end(syscall.SIGQUIT)
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := c.run(ctx)
		// A killed postmaster's busy child may keep the shared memory for as long as its statement runs.
		if !says(err, "pre-existing shared memory block") {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("restart: %w: %w", ctx.Err(), err)
		case <-time.After(pollEvery):
		}
	}
}

// Stop ends the server at once, open transactions and all, and removes the cluster's folder. Nothing is left: no process,
// no file. A second call does nothing. The error is a folder that could not be removed.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	if c.server != nil {
		c.server.end(syscall.SIGQUIT)
	}
	err := errors.Join(os.RemoveAll(c.SocketDir), os.RemoveAll(c.home))
	if c.dog != nil {
		c.dog.close()
	}
	if err != nil {
		return fmt.Errorf("remove the cluster's folder: %w", err)
	}
	return nil
}
