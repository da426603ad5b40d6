package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// greetSize is the size in bytes of the buffer for what comes before the first
// message. A startup packet is rarely longer, and may be.
const greetSize = 2 << 10

// greet reads what a client says before its first message, and connects to the
// server when it has said where it wants to. It reports whether there is a
// session to drive; if not, all has been said but the client's connection is
// still to be closed.
func (c *conn) greet(ctx context.Context) bool {
	past := context.AfterFunc(ctx, func() { _ = c.client.SetDeadline(time.Unix(1, 0)) })
	defer past()
	_ = c.client.SetReadDeadline(c.started.Add(startupTimeout))
	buf := make([]byte, greetSize)
	for {
		n, err := c.client.Read(buf)
		if n > 0 {
			c.owner.observer.Bytes("client_to_server", n)
			ended := c.session.FromClient(buf[:n])
			if ended == nil && c.session.WantsServer() {
				c.connect(ctx)
				ended = c.session.resume()
			}
			cancel := c.session.WantsCancel()
			if cancel {
				c.cancel(ctx)
			}
			if c.sayBoth() != nil || ended != nil || cancel {
				return false
			}
			if c.server != nil {
				return true
			}
		}
		if err != nil {
			c.logLost(err)
			return false
		}
	}
}

// connect dials the server for a client that has sent its startup packet.
func (c *conn) connect(ctx context.Context) {
	err := c.owner.admit(c)
	if err == nil {
		c.server, err = c.owner.dial(ctx)
	}
	var full *tooManyError
	switch {
	case errors.As(err, &full):
		c.session.fatal("53300", full.Error(), "Raise limits.connections in the proxy's configuration, or use fewer connections.")
	case err != nil:
		c.log.Error("server cannot be reached", "upstream", c.owner.upstream.Address, "error", err)
		c.session.ServerUnreachable(err)
	default:
		c.session.ServerConnected()
	}
}

// sayBoth writes what the session has to say while nobody else writes.
func (c *conn) sayBoth() error {
	if c.server != nil {
		if _, err := c.server.Write(c.session.ToServer.Take()); err != nil {
			c.log.Debug("write to the server", "error", err) // its reader will tell why
		}
	}
	_, err := c.client.Write(c.session.ToClient.Take())
	return err
}

// logLost tells why a client's connection ended.
func (c *conn) logLost(err error) {
	switch {
	case errors.Is(err, io.EOF):
		c.log.Debug("client closed the connection")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.log.Info("client took too long to log in", "limit", startupTimeout)
	default:
		c.log.Info("client connection lost", "error", err)
	}
}

// cancel hands a CancelRequest to the server. The server closes the
// connection when it has acted on it, and so do we for the client.
func (c *conn) cancel(ctx context.Context) {
	request := c.session.ToServer.Take()
	server, err := c.owner.dial(ctx)
	if err != nil {
		c.log.Error("cancel request cannot be forwarded", "error", err)
		return
	}
	defer server.Close()
	_ = server.SetDeadline(time.Now().Add(dialTimeout))
	if _, err := server.Write(request); err == nil {
		_, _ = io.Copy(io.Discard, server)
	}
}

// dial connects to the server.
func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, s.upstream.Network, s.upstream.Address)
}
