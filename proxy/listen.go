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

	"tombstone/rewrite"
)

// planCacheBytes bounds the memory for plans of statements seen before, in
// bytes, for all sessions together.
const planCacheBytes = 32 << 20

// Server accepts clients and owns their sessions.
type Server struct {
	listener net.Listener
	setup    atomic.Pointer[setup]
	rules    atomic.Pointer[Rules]
	settings Settings
	observer Observer
	log      *slog.Logger
	loops    loops

	reloading gosync.Mutex
	draining  atomic.Bool
	census    census
	keys      keys
	threads   threads // the sessions that goroutines drive
	timing    *Timing
	serial    atomic.Uint64
	clients   gosync.WaitGroup
}

// Listen binds the address. A port or socket that is in use is an error that
// says so.
func Listen(o Options) (*Server, error) {
	o.complete()
	n, err := newSetup(o)
	if err != nil {
		return nil, err
	}
	if o.Listen.Network == "unix" {
		removeStale(o.Listen.Address)
	}
	l, err := net.Listen(o.Listen.Network, o.Listen.Address)
	if err != nil {
		if info, statErr := os.Stat(o.Listen.Address); o.Listen.Network == "unix" && statErr == nil && info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("listen: %s is there already and is no socket; remove it, or set listen to another path", o.Listen.Address)
		}
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
	loops, err := startLoops(&o)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	s := &Server{listener: l, observer: o.Observer, log: o.Log, loops: loops, timing: new(Timing)}
	s.setup.Store(n)
	s.rules.Store(newRules(&o, nil, nil))
	s.settings = Settings{
		Current: &s.rules, Plans: rewrite.NewCache(planCacheBytes), Log: o.Log, Root: o.Log, Observer: o.Observer, Now: steady(),
	}
	return s, nil
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

// Serve accepts clients until ctx is done. Then sessions end between transactions, by 57P01, and after Options.Drain those
// that are left, too. It returns nil when the last is gone.
func (s *Server) Serve(ctx context.Context) error {
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() {
		_ = s.listener.Close()
		s.drain(hard, cut)
	})
	defer stop()
	s.loops.endOn(hard)
	defer s.loops.stop()
	defer func() {
		s.clients.Wait()
		s.setup.Load().gate.close()
	}()
	go s.sweep(hard) // ends with it
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
		go s.serve(ctx, hard, client)
	}
}

// serve runs one client's session to its end, or until an event loop has
// taken it over. Before it is logged in it ends when ctx does; after that, with hard.
func (s *Server) serve(ctx, hard context.Context, client net.Conn) {
	s.observer.ConnectionOpened()
	log := s.log.With("connection", s.serial.Add(1), "client", client.RemoteAddr().String())
	settings := s.settings
	settings.Log = log
	c := &conn{owner: s, setup: s.setup.Load(), log: log, client: client, started: time.Now(), session: NewSession(&settings)}
	c.session.wishes.from = address(client)
	if t, ok := client.(*net.TCPConn); ok {
		_ = t.SetKeepAliveConfig(c.setup.dialer.keepalive)
	}
	log.Debug("client connected")
	if c.greet(ctx) {
		if s.loops.adopt(c) {
			return
		}
		c.run(hard)
	}
	if c.server != nil { // also when the client was gone, or said something wrong, before there was a session
		_ = c.server.Close()
	}
	c.farewell()
	c.finished()
}

// address is where a client is, in the words of the server's log for one on a Unix socket.
func address(client net.Conn) string {
	if a := client.RemoteAddr(); a.Network() != "unix" {
		return a.String()
	}
	return "[local]"
}

// finished counts a session out. It is the last thing done for one.
func (c *conn) finished() {
	if c.session.unwilling {
		c.inTrouble(errUnwilling)
	}
	if c.admitted {
		c.owner.census.leave(c.user, c.database)
	}
	if c.kept != "" {
		c.owner.keys.remove(c.kept)
	}
	c.log.Debug("session ended", "seconds", time.Since(c.started).Seconds())
	c.owner.observer.ConnectionClosed()
	c.owner.clients.Done()
}

// PlanCache returns what the cache of plans has done and holds.
func (s *Server) PlanCache() rewrite.CacheStats { return s.settings.Plans.Stats() }

// Close frees the address of a server whose Serve is never called.
func (s *Server) Close() error {
	s.loops.stop()
	s.setup.Load().gate.close()
	return s.listener.Close()
}
