package proxy

import (
	"context"
	"time"
)

// sweepTime is how often sessions are looked at for being idle: limits.idle_time is kept to within so long.
const sweepTime = time.Second

// sweep ends sessions that are idle for longer than they may, until ctx is done. It also asks the event loops how late they are.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.loops.lag(&s.timing.Lag)
			if limit := s.setup.Load().limits.IdleTime; limit > 0 {
				s.loops.sweep(now, limit)
				s.threads.each(func(c *conn) { c.sweep(now, limit) })
			}
		}
	}
}

// sweep ends the session if it has been idle for so long. That something came is noted without asking for the time, which
// would cost every message.
func (c *conn) sweep(now time.Time, limit time.Duration) {
	c.mu.Lock()
	if c.moved {
		c.moved, c.since = false, now
	}
	over := now.Sub(c.since) >= limit && c.idle()
	if over {
		c.session.TooIdle()
	}
	c.mu.Unlock()
	if over {
		c.end()
	}
}
