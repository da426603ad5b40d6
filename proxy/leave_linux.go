package proxy

import (
	"time"

	"golang.org/x/sys/unix"
)

// gone handles the end of what a side sends.
func (f *flow) gone(e *end, err error) {
	switch {
	case f.state == leaving && e == &f.client:
		f.close()
	case f.state == leaving:
		f.loop.forget(e)
		f.partly()
	case e == &f.server:
		f.session.ServerGone()
		f.leave()
	case err == nil && f.session.HungUp(f.client.owes()):
		f.hungUp = true
		f.settle()
	default:
		if err != nil {
			f.conn.log.Info("client connection lost", "error", err)
		} else {
			f.conn.log.Debug("client closed the connection")
		}
		f.client.dead = true
		f.leave()
	}
}

// idle reports whether the session could end here and lose nothing.
//
// Without the last condition, a client that reads slowly would get a moment for what is left of an answer, and then not the
// rest of it.
func (f *flow) idle() bool {
	return f.state == running && f.session.Idle() && !f.client.owes()
}

// sweep ends the session if it has been idle for so long.
func (f *flow) sweep(now time.Time, limit time.Duration) {
	if f.moved {
		f.moved, f.since = false, now
	}
	if now.Sub(f.since) >= limit && f.idle() {
		f.session.TooIdle()
		f.leave()
	}
}

// shutdown ends the session because the proxy stops.
func (f *flow) shutdown() {
	if f.state == running {
		f.session.Shutdown()
		f.leave()
	}
}

// leave ends the session: what is left for each side is written, and the
// client, if it was told why, gets a moment to read it. A socket closed with
// unread bytes in it is reset, and the client would lose the message.
func (f *flow) leave() {
	f.state = leaving
	f.session.leave()
	f.send(&f.server, &f.session.ToServer)
	f.send(&f.client, &f.session.ToClient)
	f.session.ToServer.Reset(nil)
	f.session.ToClient.Reset(nil)
	f.expire(time.Now().Add(farewellTime))
	f.partly()
}

// partly closes what of a session that ends has been done with.
func (f *flow) partly() {
	switch {
	case f.server.fd < 0:
	case f.server.owes() && !f.server.dead:
		f.loop.watch(&f.server, unix.EPOLLOUT)
	default:
		f.loop.forget(&f.server)
	}
	done := false
	switch {
	case f.client.dead, !f.client.owes() && !f.session.doomed:
		f.loop.watch(&f.client, 0)
		done = true
	case f.client.owes():
		f.loop.watch(&f.client, unix.EPOLLOUT)
	case !f.said:
		f.said = true
		_ = unix.Shutdown(f.client.fd, unix.SHUT_WR)
		f.loop.watch(&f.client, unix.EPOLLIN)
	}
	if done && f.server.fd < 0 {
		f.close()
	}
}

// close is the end. It may be called more than once.
func (f *flow) close() {
	if f.state == closed {
		return
	}
	f.state = closed
	f.session.leave()
	f.loop.forget(&f.client)
	f.loop.forget(&f.server)
	delete(f.loop.flows, f)
	delete(f.loop.timed, f)
	f.conn.finished()
}
