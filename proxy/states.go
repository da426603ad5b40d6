package proxy

import (
	"time"
)

// State is what a session is doing, in the words of the server's pg_stat_activity.
func (s *Session) State() string {
	switch {
	case s.phase == replicates:
		return "replication"
	case !s.Ready():
		return "starting"
	case !s.queue.empty() || s.batch || s.Held():
		return "active"
	case s.status == 'T':
		return "idle in transaction"
	case s.status == 'E':
		return "idle in transaction (aborted)"
	}
	return "idle"
}

// States are all that a session can be in.
func States() []string {
	return []string{"starting", "active", "idle", "idle in transaction", "idle in transaction (aborted)", "replication"}
}

// askTime is how long an event loop may take to be asked something. One that does not answer is not waited for.
const askTime = time.Second

// States counts the sessions that have a server connection by what they are doing now.
func (s *Server) States() map[string]int {
	counts := map[string]int{}
	for _, one := range s.loops.states() {
		for state, n := range one {
			counts[state] += n
		}
	}
	s.threads.each(func(c *conn) {
		c.mu.Lock()
		counts[c.session.State()]++
		c.mu.Unlock()
	})
	return counts
}

// sampled is how many statements there are to one whose time is taken: to read the clock costs as much as to look a plan up.
const sampled = 8

// Timing is how long things take, as a sample.
type Timing struct {
	Own  Histogram // from when bytes were read to when what they led to was written
	Wait Histogram // from when a request was sent to the server to when something came back
	Lag  Histogram // from when an event loop was asked something to when it got to it
}

// Timing returns the server's histograms, which go on counting.
func (s *Server) Timing() *Timing { return s.timing }
