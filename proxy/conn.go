package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	gosync "sync"
	"time"

	"tombstone/config"
)

const (
	readSize     = 32 << 10 // bytes read at a time
	dialTimeout  = 10 * time.Second
	farewellTime = time.Second // for a client to take the last message
)

// conn is a client's connection. greet begins its session; then an event loop
// takes it over where that can be, else run drives it: a goroutine that reads
// the client and one that reads the server, both owned by run, which returns
// when both have ended.
type conn struct {
	owner   *Server
	setup   *setup
	log     *slog.Logger
	client  net.Conn
	binding []byte // what a login over the client's TLS can be bound to, nil if there is no such thing
	started time.Time

	host           config.Host // of the server
	user, database string      // as the client named them
	admitted       bool        // counted in the census
	kept           string      // in keys

	mu      gosync.Mutex // guards session
	resumed *gosync.Cond // the session takes client bytes again, or is over
	session *Session
	server  net.Conn
	over    bool
	leaving bool      // the proxy stops: the session ends between transactions
	moved   bool      // something has come since the last sweep
	since   time.Time // the last sweep at which something had
	asked   time.Time // when the server was sent what it has not answered; zero if it has

	toClient, toServer outbox

	readers    gosync.WaitGroup // the server's reader and what it starts
	serverDone chan struct{}    // closed when the server's reader has ended
}

// outbox is what waits to be written to one side. Whoever appends to it does
// so under conn.mu, so the order is the session's.
type outbox struct {
	mu    gosync.Mutex // guards buf
	buf   []byte
	write gosync.Mutex // held while writing
	spare []byte
	busy  bool  // a write is going on
	err   error // of the write that failed: what came after it would be out of step
}

// take moves the session's output into the outbox.
func (o *outbox) take(out *Output) {
	if out.Empty() {
		return
	}
	own, lent := out.Parts()
	o.mu.Lock()
	if len(o.buf) == 0 {
		o.buf, own = append(own, lent...), o.buf
	} else {
		o.buf = append(append(o.buf, own...), lent...)
	}
	o.mu.Unlock()
	out.Reset(own)
}

// flush writes all that waits. It blocks while the peer does not read, which
// is what keeps the other side from sending more.
func (o *outbox) flush(w io.Writer) error {
	o.write.Lock()
	defer o.write.Unlock()
	for o.err == nil {
		o.mu.Lock()
		b := o.buf
		o.buf = o.spare[:0]
		o.spare = nil
		o.busy = len(b) > 0
		o.mu.Unlock()
		if len(b) == 0 {
			o.spare = b
			return nil
		}
		_, o.err = w.Write(b)
		if cap(b) <= 256<<10 {
			o.spare = b
		}
	}
	return o.err
}

// empty reports whether all has been written.
func (o *outbox) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.buf) == 0 && !o.busy
}

// idle reports whether the session could end here and lose nothing. c.mu is held.
//
// Without the outbox, a client that reads slowly would lose the rest of an answer: end stops what is being written.
func (c *conn) idle() bool { return c.session.Idle() && c.toClient.empty() }

// run serves a client that has been greeted until either side ends.
func (c *conn) run(ctx context.Context) {
	c.resumed = gosync.NewCond(&c.mu)
	stop := context.AfterFunc(ctx, c.shutdown)
	defer stop()
	c.serverDone = make(chan struct{})
	c.since = time.Now()
	c.owner.threads.add(c)
	defer c.owner.threads.remove(c)
	if c.owner.Draining() {
		c.drain()
	}
	late := time.AfterFunc(time.Until(c.started.Add(c.setup.limits.StartupTime)), c.late)
	defer late.Stop()
	waiting := !c.session.Ready() // else the server asked for nothing, and greet has let the client in
	c.readers.Go(func() { c.readServer(waiting) })
	c.readClient()
	c.end()
	_ = c.server.Close()
	c.readers.Wait()
	c.mu.Lock()
	c.session.leave()
	c.mu.Unlock()
}

// readClient feeds the session with what the client sends.
func (c *conn) readClient() {
	defer c.recover(c.end)
	buf := make([]byte, readSize)
	for {
		n, err := c.client.Read(buf)
		if n > 0 {
			c.owner.observer.Bytes("client_to_server", n)
			if !c.feedClient(buf[:n]) {
				return
			}
		}
		if err != nil {
			c.mu.Lock()
			ended := c.over
			waits := !ended && err == io.EOF && c.session.HungUp(!c.toClient.empty())
			for waits && !c.over && (c.session.Held() || !c.session.Listens()) {
				c.resumed.Wait()
			}
			c.mu.Unlock()
			switch half, ok := c.server.(interface{ CloseWrite() error }); {
			case waits && ok && c.toServer.flush(c.server) == nil && half.CloseWrite() == nil:
				<-c.serverDone
			case !ended: // by us, or by the server
				c.logLost(err)
			}
			return
		}
	}
}

func (c *conn) feedClient(p []byte) bool {
	begun := time.Now()
	c.mu.Lock()
	c.moved = true
	err := c.session.FromClient(p)
	if c.asked.IsZero() && !c.session.ToServer.Empty() {
		c.asked = time.Now()
	}
	c.collect()
	if !c.session.Held() {
		defer func() { c.owner.timing.Own.Add(time.Since(begun)) }()
	}
	for err == nil && c.session.Held() && !c.over {
		c.mu.Unlock()
		if !c.flushBoth() {
			return false
		}
		c.mu.Lock()
		if c.session.Held() && !c.over {
			c.resumed.Wait()
		}
		c.collect()
	}
	c.mu.Unlock()
	return c.flushBoth() && err == nil
}

// collect moves the session's output to the outboxes. c.mu is held.
func (c *conn) collect() {
	c.toServer.take(&c.session.ToServer)
	c.toClient.take(&c.session.ToClient)
}

func (c *conn) flushBoth() bool {
	if err := c.toServer.flush(c.server); err != nil {
		// What the server said before it went is still to be read.
		c.log.Debug("write to the server", "error", err)
		<-c.serverDone
		return false
	}
	return c.toClient.flush(c.client) == nil
}

// readServer feeds the session with what the server sends. The client is waiting to be let in, or has been.
func (c *conn) readServer(waiting bool) {
	defer close(c.serverDone)
	defer c.recover(c.end)
	defer c.end()
	buf := make([]byte, readSize)
	for {
		n, err := c.server.Read(buf)
		if n > 0 {
			c.owner.observer.Bytes("server_to_client", n)
			c.mu.Lock()
			begun := time.Now()
			c.moved = true
			if !c.asked.IsZero() {
				c.owner.timing.Wait.Add(begun.Sub(c.asked))
				c.asked = time.Time{}
			}
			ended := c.session.FromServer(buf[:n])
			if waiting && c.session.Ready() {
				waiting = false
				c.letIn()
			}
			back := !c.session.ToServer.Empty()
			c.collect()
			c.resumed.Broadcast()
			c.mu.Unlock()
			if back {
				// Not here: a server that is itself waiting for us to read
				// would wait for ever. flush ends when the connection does.
				c.readers.Go(func() { _ = c.toServer.flush(c.server) })
			}
			if c.toClient.flush(c.client) != nil || ended != nil {
				return
			}
			if c.left() {
				_ = c.toClient.flush(c.client) // before end lets no write finish that readClient may have begun
				return
			}
			c.owner.timing.Own.Add(time.Since(begun))
		}
		if err != nil {
			c.mu.Lock()
			ended := c.over
			if !ended {
				c.session.ServerGone()
				c.collect()
			}
			c.mu.Unlock()
			if !ended && !errors.Is(err, io.EOF) { // with TLS, why the server does not want us
				c.log.Info("server connection lost", "error", err)
			}
			return
		}
	}
}

// end makes both readers stop. It may be called more than once.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	c.collect()
	c.resumed.Broadcast()
	// Both sides' reads return, and writes have a moment left. Whoever is about
	// to write to the client may have its last message, and a write that finds
	// its time over is the end of a TLS connection.
	now := time.Now()
	for _, side := range []net.Conn{c.client, c.server} {
		_ = side.SetReadDeadline(time.Unix(1, 0))
		_ = side.SetWriteDeadline(now.Add(farewellTime))
	}
}

// letIn lifts the limit on the time that logging in takes.
func (c *conn) letIn() {
	c.loggedIn()
	_ = c.client.SetReadDeadline(time.Time{})
}

// loggedIn notes that the client has been let in.
func (c *conn) loggedIn() {
	c.inTrouble(nil)
	if c.setup.dialer.several() && c.session.key != "" && c.kept == "" {
		c.kept = c.session.key
		c.owner.keys.add(c.kept, c.host)
	}
}

// shutdown ends the session because the proxy stops.
func (c *conn) shutdown() {
	c.mu.Lock()
	c.session.Shutdown()
	c.mu.Unlock()
	c.end()
}

// farewell sends the client what is left and closes its connection. A socket
// closed with unread bytes in it is reset, and the client would lose the
// message that says why; so what it still sends is read for a moment.
func (c *conn) farewell() {
	defer c.client.Close()
	_ = c.client.SetDeadline(time.Now().Add(farewellTime))
	c.mu.Lock()
	said := c.session.doomed
	c.mu.Unlock()
	if c.toClient.flush(c.client) != nil || !said {
		return
	}
	if half, ok := c.client.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.client, 1<<20))
	}
}

// recover keeps a fault in one session from ending the others.
func (c *conn) recover(end func()) {
	if r := recover(); r != nil {
		c.log.Error("internal error, connection closed", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		end()
	}
}

// late ends the session if the client is not let in by now. It may be that nobody reads from it, so that no read fails.
func (c *conn) late() {
	c.mu.Lock()
	late := !c.session.Ready() && !c.over
	c.mu.Unlock()
	if late {
		c.log.Info("client took too long to log in", "limit", c.setup.limits.StartupTime)
		c.end()
	}
}
