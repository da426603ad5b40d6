package login

import (
	"sync/atomic"
	"time"
)

// counter is an observer that keeps what tests ask for.
type counter struct {
	received     atomic.Int64 // bytes from servers
	open, closed atomic.Int64 // connections
	ok, refused  atomic.Int64 // logins
}

func (c *counter) ConnectionOpened() { c.open.Add(1) }
func (c *counter) ConnectionClosed() { c.closed.Add(1) }
func (c *counter) Bytes(direction string, n int) {
	if direction == "server_to_client" {
		c.received.Add(int64(n))
	}
}
func (c *counter) Statement(string, string)    {}
func (c *counter) Table(string, string)        {}
func (c *counter) RowsBuried(string, int64)    {}
func (c *counter) Asked(string, string)        {}
func (c *counter) Observed(string, string)     {}
func (c *counter) ObservedRule(string, string) {}
func (c *counter) Rewrite(time.Duration)       {}
func (c *counter) ParseFailure()               {}
func (c *counter) Handshake(string, string)    {}
func (c *counter) Login(result string) {
	if result == "ok" {
		c.ok.Add(1)
	} else {
		c.refused.Add(1)
	}
}
