package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	gosync "sync"
	"sync/atomic"
	"syscall"
	"time"

	"tombstone/config"
	"tombstone/policy"
	"tombstone/rewrite"
)

// Options says how a Server is to work.
type Options struct {
	Listen         config.Address
	Upstream       config.Upstream
	Policy         *policy.Policy
	CatalogMaxAge  time.Duration // how long what is known of a database's relations is trusted
	StatementBytes int           // largest statement read, in bytes
	Connections    int           // most sessions at a time, 0 for no limit
	Loops          int           // event loops for connections without TLS, where there are any; 0 to choose, -1 for none
	Literals       bool          // show literals in logged SQL
	Log            *slog.Logger  // nil for slog.Default
	Observer       Observer      // nil for none
}

// planCacheBytes bounds the memory for plans of statements seen before, in
// bytes, for all sessions together.
const planCacheBytes = 32 << 20

// Server accepts clients and owns their sessions.
type Server struct {
	listener net.Listener
	upstream config.Upstream
	settings Settings
	observer Observer
	log      *slog.Logger
	limit    int64
	loops    loops

	open    atomic.Int64 // sessions with a server connection, or about to have one
	serial  atomic.Uint64
	clients gosync.WaitGroup
}

// Listen binds the address. A port or socket that is in use is an error that
// says so.
func Listen(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	if o.CatalogMaxAge <= 0 {
		o.CatalogMaxAge = 30 * time.Second
	}
	if o.StatementBytes <= 0 {
		o.StatementBytes = 16 << 20
	}
	if o.Listen.Network == "unix" {
		removeStale(o.Listen.Address)
	}
	l, err := net.Listen(o.Listen.Network, o.Listen.Address)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("listen: %s is already in use; stop what listens there, or set listen to another address", o.Listen.Address)
		}
		return nil, fmt.Errorf("listen: %w; check the listen setting", err)
	}
	if o.Listen.Network == "unix" {
		// As PostgreSQL's own default, unix_socket_permissions = 0777: the
		// server authenticates, not the file system.
		if err := os.Chmod(o.Listen.Address, 0o777); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	loops, err := startLoops(o.Loops, o.Observer)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return &Server{
		listener: l,
		upstream: o.Upstream,
		observer: o.Observer,
		log:      o.Log,
		limit:    int64(o.Connections),
		loops:    loops,
		settings: Settings{
			Policy: o.Policy, Snapshots: NewSnapshots(o.CatalogMaxAge), Plans: rewrite.NewCache(planCacheBytes), StatementBytes: o.StatementBytes,
			Literals: o.Literals, Log: o.Log, Observer: o.Observer, Now: time.Now,
		},
	}, nil
}

// removeStale removes the socket of a process that is gone: one that nobody
// accepts connections at.
func removeStale(path string) {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path)
	}
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve accepts clients until ctx is done, then ends every session with
// 57P01 and returns nil when the last is gone.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	s.loops.endOn(ctx)
	defer s.loops.stop()
	defer s.clients.Wait()
	pause := time.Duration(0)
	for {
		client, err := s.listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept: %w", err)
			}
			// Out of descriptors, or a client that gave up: others go on.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Error("cannot accept a connection", "error", err, "retry_in", pause)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		s.clients.Add(1)
		go s.serve(ctx, client)
	}
}

// serve runs one client's session to its end, or until an event loop has
// taken it over.
func (s *Server) serve(ctx context.Context, client net.Conn) {
	s.observer.ConnectionOpened()
	log := s.log.With("connection", s.serial.Add(1), "client", client.RemoteAddr().String())
	settings := s.settings
	settings.Log = log
	c := &conn{owner: s, log: log, client: client, started: time.Now(), session: NewSession(&settings)}
	log.Debug("client connected")
	if c.greet(ctx) {
		if s.loops.adopt(c) {
			return
		}
		c.run(ctx)
	}
	c.farewell()
	c.finished()
}

// finished counts a session out. It is the last thing done for one.
func (c *conn) finished() {
	if c.admitted {
		c.owner.open.Add(-1)
	}
	c.log.Debug("session ended", "seconds", time.Since(c.started).Seconds())
	c.owner.observer.ConnectionClosed()
	c.owner.clients.Done()
}

// tooManyError says that the proxy's own limit on connections is reached.
type tooManyError struct{ limit int64 }

func (e *tooManyError) Error() string {
	return fmt.Sprintf("sorry, too many clients already: the proxy's limit is %d", e.limit)
}

// admit counts a session that is about to connect to the server.
func (s *Server) admit(c *conn) error {
	if n := s.open.Add(1); s.limit > 0 && n > s.limit {
		s.open.Add(-1)
		return &tooManyError{s.limit}
	}
	c.admitted = true
	return nil
}

// PlanCache returns what the cache of plans has done and holds.
func (s *Server) PlanCache() rewrite.CacheStats { return s.settings.Plans.Stats() }

// Close frees the address of a server whose Serve is never called.
func (s *Server) Close() error {
	s.loops.stop()
	return s.listener.Close()
}
