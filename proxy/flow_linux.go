package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"tombstone/rewrite"
)

// flow is a session that a loop drives.
//
// A side that does not take what it is sent has the rest kept in its end's
// out, and nothing is read from the other side until that is gone: so a slow
// peer costs what was read at once, and the kernel's own buffers make its
// partner wait.
type flow struct {
	loop     *loop
	conn     *conn
	session  *Session
	client   end
	server   end
	state    flowState
	deadline time.Time // of logging in, or of the farewell
	asked    time.Time // when the server was sent what it has not answered; zero if it has
	hungUp   bool      // the client sends nothing more, and waits for an answer
	moved    bool      // something has come since the last sweep
	since    time.Time // the last sweep at which something had
	said     bool      // the client has been sent everything
	heard    int       // bytes that it sent after that
}

// copyRather is the size in bytes below which a second buffer is copied
// behind the first rather than written with it.
const copyRather = 8 << 10

type flowState uint8

const (
	running flowState = iota
	away              // a goroutine has the session
	leaving           // only what is left for each side is written
	closed
)

// end is one of a flow's two sockets.
type end struct {
	flow *flow
	fd   int    // -1 when closed
	mask uint32 // what epoll reports
	out  []byte // what the kernel did not take yet
	dead bool   // nothing can be written any more
	more bool   // it is in the loop's list of those to be read again
	ring ringEnd
}

// owes reports whether there is something that the kernel has not taken, or may
// not have: then what becomes of it is looked at soon.
func (e *end) owes() bool {
	if e.ring.sending != nil {
		e.flow.loop.ring.hurry = true
		return true
	}
	return len(e.out) > 0
}

// add takes a connection in.
func (l *loop) add(c *conn, client, server int) {
	f := &flow{loop: l, conn: c, session: c.session, since: time.Now()}
	f.client, f.server = end{flow: f, fd: client}, end{flow: f, fd: server}
	c.client, c.server = nil, nil
	defer c.recover(f.close) // the kernel may have no room for more in epoll, and the others go on
	l.know(&f.client)
	l.know(&f.server)
	l.flows[f] = struct{}{}
	if !f.session.Ready() {
		f.expire(c.started.Add(c.setup.limits.StartupTime))
	}
	if l.over {
		f.shutdown()
		return
	}
	f.after(nil) // it may have been let in already
}

// expire sets the flow's deadline; the zero time is none.
func (f *flow) expire(at time.Time) {
	f.deadline = at
	if at.IsZero() {
		delete(f.loop.timed, f)
	} else {
		f.loop.timed[f] = struct{}{}
	}
}

// expired ends what took too long.
func (f *flow) expired() {
	switch f.state {
	case away: // it will come back
	case leaving:
		f.close()
	default:
		f.conn.log.Info("client took too long to log in", "limit", f.conn.setup.limits.StartupTime)
		f.leave()
	}
}

// readable reads from a socket, once: what more there is is read after the
// others had their turn. A read that does not fill the buffer has read all, but
// not that nothing will follow if the other side has said so (hungUp).
func (f *flow) readable(e *end, hungUp bool) {
	if f.early(e) {
		return
	}
	n, err := receive(e.fd, f.loop.buf)
	if n == len(f.loop.buf) || n > 0 && hungUp || err == unix.EINTR {
		f.loop.more(e)
	}
	if err != unix.EAGAIN && err != unix.EINTR {
		f.received(e, f.loop.buf[:max(n, 0)], err)
	}
}

// received handles what was read, nothing if that was the end.
func (f *flow) received(e *end, p []byte, err error) {
	switch {
	case f.hungUp && e == &f.client && f.state == running: // it said that it was the end
	case err != nil, len(p) == 0:
		f.gone(e, err)
	case f.state == leaving:
		if f.heard += len(p); f.heard > 1<<20 {
			f.close()
		}
	default:
		f.took(e, p)
	}
}

// took gives the session what was read.
func (f *flow) took(e *end, p []byte) {
	l := f.loop
	if e == &f.server {
		l.fromPeers[1] += len(p)
	} else {
		l.fromPeers[0] += len(p)
	}
	f.moved = true
	if f.session.Heavy() {
		f.aside(e, p)
		return
	}
	begun := f.begin(e)
	s := f.session
	s.scratch = &l.scratch
	s.ToServer.Reset(l.toServer)
	s.ToClient.Reset(l.toClient)
	ended := f.feed(e, p)
	asks := e == &f.client && !s.ToServer.Empty()
	f.send(&f.server, &s.ToServer)
	f.send(&f.client, &s.ToClient)
	l.toServer, l.toClient = reclaim(&s.ToServer), reclaim(&s.ToClient)
	s.scratch = nil
	if !begun.IsZero() {
		done := time.Now()
		f.conn.owner.timing.Own.Add(done.Sub(begun))
		if asks {
			f.asked = done
		}
	}
	f.after(ended)
}

// begin returns when what was read begins to be handled, or the zero time if that is not to be measured. What a client
// sends is measured now and then, and then so is what the server answers.
func (f *flow) begin(e *end) (begun time.Time) {
	switch {
	case e == &f.server && f.asked.IsZero():
		return time.Time{}
	case e == &f.server:
		begun = time.Now()
		f.conn.owner.timing.Wait.Add(begun.Sub(f.asked))
		f.asked = time.Time{}
		return begun
	}
	if f.loop.turns++; f.loop.turns%sampled == 1 && f.asked.IsZero() {
		return time.Now()
	}
	return time.Time{}
}

func (f *flow) feed(e *end, p []byte) error {
	if e == &f.server {
		return f.session.FromServer(p)
	}
	return f.session.FromClient(p)
}

// reclaim takes back the buffer that a session was lent.
func reclaim(o *Output) []byte {
	own, _ := o.Parts()
	o.Reset(nil)
	if cap(own) > scratchKept {
		return nil
	}
	return own[:0]
}

// after goes on when the session has handled what was read.
func (f *flow) after(ended error) {
	switch {
	case f.state == closed:
	case ended != nil:
		f.leave()
	case f.client.dead: // nobody listens
		f.leave()
	default:
		if !f.deadline.IsZero() && f.session.Ready() {
			f.expire(time.Time{})
			f.conn.loggedIn()
		}
		if f.loop.draining && f.idle() {
			f.shutdown()
			return
		}
		f.settle()
	}
}

// aside has a goroutine do what takes long, a large statement to be parsed or
// the catalog of a large database, while the loop goes on with the others.
func (f *flow) aside(e *end, p []byte) {
	f.state = away
	f.loop.watch(&f.client, 0)
	f.loop.watch(&f.server, 0)
	p = append([]byte(nil), p...)
	f.session.scratch = new(rewrite.Scratch)
	go func() {
		defer f.conn.recover(func() { f.loop.post(f.close) })
		ended := f.feed(e, p)
		f.loop.post(func() {
			defer f.conn.recover(f.close)
			if f.state == closed {
				return
			}
			f.state = running
			s := f.session
			s.scratch = nil
			f.send(&f.server, &s.ToServer)
			f.send(&f.client, &s.ToClient)
			s.ToServer.Reset(nil)
			s.ToClient.Reset(nil)
			if f.loop.over {
				f.shutdown()
				return
			}
			f.after(ended)
		})
	}()
}

// settle says what is to be waited for.
func (f *flow) settle() {
	var client, server uint32
	if len(f.server.out) == 0 && !f.server.dead && !f.session.Held() {
		client = unix.EPOLLIN
	}
	if len(f.client.out) == 0 {
		server = unix.EPOLLIN
	}
	if len(f.client.out) > 0 {
		client |= unix.EPOLLOUT
	}
	if len(f.server.out) > 0 {
		server |= unix.EPOLLOUT
	}
	if f.hungUp {
		client &^= unix.EPOLLIN
		if f.session.Listens() && !f.server.owes() && !f.session.Held() {
			_ = unix.Shutdown(f.server.fd, unix.SHUT_WR) // it may be told more than once
		}
	}
	f.loop.watch(&f.client, client)
	f.loop.watch(&f.server, server)
}

// send writes what a session says to one side, and keeps what the kernel does
// not take.
func (f *flow) send(e *end, o *Output) {
	if o.Empty() || e.dead || e.fd < 0 {
		return
	}
	own, lent := o.Parts()
	if e.owes() {
		e.out = append(append(e.out, own...), lent...)
		return
	}
	if r := f.loop.ring; r != nil && f.state == running && r.send(e, own, lent) {
		return
	}
	if len(own) > 0 && len(lent) < copyRather {
		own, lent = o.copied(), nil
	}
	var n int
	var err error
	switch {
	case len(own) == 0:
		n, err = transmit(e.fd, lent)
	case len(lent) == 0:
		n, err = transmit(e.fd, own)
	default:
		n, err = unix.Writev(e.fd, [][]byte{own, lent})
	}
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		f.conn.log.Debug("write", "error", err)
		e.dead = true
		return
	}
	n = max(n, 0)
	if n < len(own) {
		e.out = append(e.out, own[n:]...)
		n = len(own)
	}
	if n -= len(own); n < len(lent) {
		e.out = append(e.out, lent[n:]...)
	}
}

// writable goes on with what the kernel did not take.
func (f *flow) writable(e *end) {
	if e.ring.sending != nil { // comes first
		return
	}
	n, err := transmit(e.fd, e.out)
	switch {
	case err == unix.EAGAIN, err == unix.EINTR:
		return
	case err != nil:
		e.dead, e.out = true, nil
	case n < len(e.out):
		e.out = e.out[:copy(e.out, e.out[n:])]
		return
	default:
		e.out = nil
	}
	if f.state == leaving {
		f.partly()
		return
	}
	f.after(nil)
}
