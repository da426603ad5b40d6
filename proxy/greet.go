package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/auth"
)

const (
	// greetSize is the size in bytes of the buffer for what comes before the first message. A startup packet is rarely longer,
	// and may be.
	greetSize = 2 << 10

	tlsHandshake = 0x16 // the first byte of a client that begins with TLS
)

// greet reads what a client says before its first message, authenticates it where that is the proxy's part, and connects to
// the server. It reports whether there is a session to drive; if not, all has been said but the client's connection
// is still to be closed.
func (c *conn) greet(ctx context.Context) bool {
	defer c.recover(func() {})
	_ = c.client.SetDeadline(c.started.Add(c.setup.limits.StartupTime))
	socket := c.client // what is below TLS, which c.client may become
	past := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
	defer past()
	if c.setup.tls != nil && c.overTCP() {
		c.session.secrecy = offered
		if c.setup.demanded {
			c.session.secrecy = demanded
		}
	}
	buf := make([]byte, greetSize)
	for first := true; ; first = false {
		n, err := c.client.Read(buf)
		if n > 0 {
			c.owner.observer.Bytes("client_to_server", n)
			if first && buf[0] == tlsHandshake && c.session.secrecy != declined {
				if !c.encrypt(&begun{c.client, append([]byte(nil), buf[:n]...)}, true) {
					return false
				}
				continue
			}
			ended := c.session.FromClient(buf[:n])
			switch {
			case ended != nil:
			case c.session.WantsTLS():
				if c.sayBoth() != nil || !c.encrypt(c.client, false) {
					return false
				}
				continue
			case c.session.WantsServer():
				c.connect(ctx)
				if ended = c.session.resume(); ended != nil { // also when its time is over
					_ = c.client.SetWriteDeadline(time.Now().Add(farewellTime))
				}
			}
			cancel := c.session.WantsCancel()
			if cancel {
				c.cancel(ctx)
			}
			if c.sayBoth() != nil || ended != nil || cancel {
				return false
			}
			if c.server != nil {
				_ = c.client.SetWriteDeadline(time.Time{})
				if c.session.Ready() { // nothing more of the server's is awaited, so nobody else would notice
					c.loggedIn()
					_ = c.client.SetReadDeadline(time.Time{})
				}
				return true
			}
		}
		if err != nil {
			c.logLost(err)
			return false
		}
	}
}

// overTCP reports whether the client came over a network. A Unix socket has no TLS, as in PostgreSQL.
func (c *conn) overTCP() bool { return c.owner.listener.Addr().Network() == "tcp" }

// encrypt makes the client's connection a TLS one.
func (c *conn) encrypt(plain net.Conn, direct bool) bool {
	secure, binding, err := c.setup.tls.handshake(plain, direct)
	c.owner.observer.Handshake("client", outcome(err))
	if err != nil {
		c.log.Info("TLS handshake failed", "error", err)
		return false
	}
	c.client, c.binding = secure, binding
	c.session.Encrypted()
	return true
}

// connect lets in a client that has sent its startup packet, and dials the server for it.
func (c *conn) connect(ctx context.Context) {
	s := c.session
	packet := s.ToServer.Take()
	c.user, c.database = s.params["user"], s.database()
	if full := c.owner.census.admit(&c.setup.limits, c.user, c.database); full != nil {
		s.fatal("53300", full.message, fmt.Sprintf("Raise %s in the proxy's configuration, or use fewer connections.", full.setting))
		c.owner.observer.Login("over limit")
		return
	}
	c.admitted = true
	// Without the deadline, a server that hangs would hold clients that have long been given up.
	ctx, cancel := context.WithDeadline(ctx, c.started.Add(c.setup.limits.StartupTime))
	defer cancel()
	var as *identity
	if c.setup.gate != nil {
		p := newPeer(c.client, s.in)
		secret, err := c.setup.gate.admit(ctx, p, c.user, c.binding)
		if err != nil {
			c.turnAway(err)
			return
		}
		s.in = append([]byte(nil), p.rest...)
		as = &identity{c.user, secret}
	}
	d := c.setup.dialer
	if d.picky() {
		s.suits = c.suits
	}
	a, err := d.arrive(ctx, packet, as)
	if refused, ok := isRefusal(err); ok {
		// The server's leg, not the client's: who is to blame is the configuration.
		c.log.Error("the proxy cannot log in to the server for a client", "user", c.user, "error", refused)
		c.owner.observer.Login("failed")
		s.refuse(refused)
		return
	}
	if err != nil {
		c.log.Error("server cannot be reached", "upstream", d.upstream.String(), "error", err)
		c.owner.observer.Login("no server")
		c.inTrouble(err)
		s.ServerUnreachable(err)
		return
	}
	c.server, c.host = a.Conn, a.host
	s.ServerConnected()
	if len(a.said) > 0 {
		c.owner.observer.Bytes("server_to_client", len(a.said))
		if err := s.FromServer(a.said); err != nil {
			return // resume tells the caller
		}
		s.ToClient.copied()
	}
}

// turnAway tells a client that the proxy's own authentication has failed.
func (c *conn) turnAway(err error) {
	var lookup *lookupError
	var violation *violationError
	refused, ok := isRefusal(err)
	switch {
	case ok:
		c.log.Warn("client is not let in", "user", c.user, "reason", refused.Message, "detail", refused.Log)
		c.session.refuse(refused)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
		c.logLost(err) // psql closes to ask for the password
		c.session.phase = ended
		return
	case errors.As(err, &lookup):
		c.log.Error("a client's verifier cannot be looked up", "user", c.user, "error", err)
		c.session.fatal("08006", "the proxy cannot look up verifiers of passwords now", "See the proxy's log, and auth.query_as and auth.query in its configuration.")
	case errors.As(err, &violation):
		_ = c.session.violation(violation.error)
	default:
		c.log.Error("client cannot be authenticated", "user", c.user, "error", err)
		c.session.fatal("08006", "the proxy cannot authenticate clients now", "See the proxy's log, and auth in its configuration.")
	}
	c.owner.observer.Login("failed")
}

// suits decides whether the server that a client has logged in to by itself will do, and remembers what it is.
func (c *conn) suits(is role) *roleError {
	d := c.setup.dialer
	if !setsReadOnly(c.session.params) {
		d.roles.learn(c.host.Address, is, time.Now())
	}
	if !is.known() {
		is, _ = d.roles.of(c.host.Address, time.Now()) // it is older than 14, and was asked
	}
	for _, want := range passes(d.attrs()) {
		if is.suits(want) {
			return nil
		}
	}
	err := &roleError{host: c.host.Address, role: is, attrs: d.attrs()}
	c.inTrouble(err)
	return err
}

// refuse tells the client of a refusal, with all that it has.
func (s *Session) refuse(e *auth.Error) {
	s.end(&pgproto3.ErrorResponse{Code: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint})
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
		c.log.Info("client took too long to log in", "limit", c.setup.limits.StartupTime)
	default:
		c.log.Info("client connection lost", "error", err)
	}
}
