package proxy

import (
	"context"
	gosync "sync"
	"time"
)

// Draining reports that the server has been told to stop, and waits for transactions to end.
func (s *Server) Draining() bool { return s.draining.Load() }

// drain ends sessions that are idle, has the others end when their transaction does, and calls cut when the time for that is over.
func (s *Server) drain(hard context.Context, cut func()) {
	s.draining.Store(true)
	patience := s.setup.Load().options.Drain
	if patience <= 0 {
		cut()
		return
	}
	s.log.Info("stopping: sessions end between transactions", "deadline", patience)
	s.loops.drain()
	s.threads.each((*conn).drain)
	timer := time.AfterFunc(patience, cut)
	context.AfterFunc(hard, func() { timer.Stop() })
}

// drain ends the session now if it is idle, else when its transaction has ended.
func (c *conn) drain() {
	c.mu.Lock()
	c.leaving = true
	idle := c.idle()
	if idle {
		c.session.Shutdown()
	}
	c.mu.Unlock()
	if idle {
		c.end()
	}
}

// left ends the session if it was to end when its transaction has, and that is over now.
func (c *conn) left() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	over := c.leaving && c.idle()
	if over {
		c.session.Shutdown()
		c.collect()
	}
	return over
}

// threads are the sessions that goroutines drive.
type threads struct {
	mu  gosync.Mutex
	all map[*conn]struct{}
}

func (t *threads) add(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[*conn]struct{}{}
	}
	t.all[c] = struct{}{}
	c.leaving = c.owner.draining.Load()
}

func (t *threads) remove(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, c)
}

// each calls f for every session, outside the lock: it may end one.
func (t *threads) each(f func(*conn)) {
	t.mu.Lock()
	all := make([]*conn, 0, len(t.all))
	for c := range t.all {
		all = append(all, c)
	}
	t.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}
