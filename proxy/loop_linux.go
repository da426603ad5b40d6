package proxy

import (
	"fmt"
	"runtime"
	"runtime/debug"
	gosync "sync"
	"time"

	"golang.org/x/sys/unix"

	"tombstone/rewrite"
)

const (
	loopReadSize = 128 << 10 // bytes read at a time
	loopEvents   = 256       // sockets looked at in one round
	loopTick     = 200 * time.Millisecond
	scratchKept  = 256 << 10 // bytes of a buffer that is kept for the next message
)

// loop is one goroutine and all that it drives. Only post may be called from
// elsewhere.
type loop struct {
	epoll, wake int
	ring        *ring  // nil: epoll tells what is ready
	ends        []*end // by descriptor, without a ring
	unread      []*end // those that had more than one read takes
	flows       map[*flow]struct{}
	timed       map[*flow]struct{} // those with a deadline
	draining    bool               // the proxy stops: sessions end between transactions
	over        bool               // it stops now: who comes is told so
	stopping    bool
	stopped     chan struct{}
	hide        int32 // how many loops of the process may wait unseen by the scheduler
	served      bool  // a socket had something in the last round

	observer  Observer
	fromPeers [2]int // bytes read in this round: from clients, from servers

	turns uint64 // times that a client was read from

	buf      []byte // what was read last
	toServer []byte // lent to the session at work for what it says
	toClient []byte
	scratch  rewrite.Scratch

	mu    gosync.Mutex
	inbox []func()
	woken bool // since the inbox was emptied
	ended bool // nobody looks into the inbox any more, and wake may be another file's
}

func (l *loop) open() (err error) {
	l.flows, l.timed, l.stopped = map[*flow]struct{}{}, map[*flow]struct{}{}, make(chan struct{})
	l.hide = int32(runtime.GOMAXPROCS(0) / 2)
	l.buf = make([]byte, loopReadSize)
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(l.epoll)
		return err
	}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.wake)})
}

// post has the loop do something, soon. It returns false if the loop has ended.
func (l *loop) post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.inbox = append(l.inbox, f)
	if !l.woken {
		l.woken = true
		_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	return true
}

// run is the loop, over a ring if it is asked for one. What started gets is why it has
// none: then it goes on without.
func (l *loop) run(ring bool, started chan<- error) {
	defer close(l.stopped)
	events := make([]unix.EpollEvent, loopEvents)
	if ring {
		started <- l.openRing()
	} else {
		started <- nil
	}
	ticked := time.Now()
	for !l.stopping {
		timeout := -1
		if len(l.timed) > 0 {
			timeout = int(loopTick / time.Millisecond)
		}
		if len(l.unread) > 0 {
			timeout = 0
		}
		l.once(events, timeout)
		if len(l.timed) > 0 {
			if now := time.Now(); now.Sub(ticked) >= loopTick {
				ticked = now
				l.tick(now)
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.shut()
}

// shut gives everything back.
func (l *loop) shut() {
	if l.ring != nil {
		l.ring.Close()
	}
	_, _ = unix.Close(l.epoll), unix.Close(l.wake)
}

// once waits, for at most so many milliseconds, then does all that there is to do.
func (l *loop) once(events []unix.EpollEvent, timeout int) {
	if l.ring != nil {
		l.ringWait(timeout)
		l.ringRound(events)
		return
	}
	n, err := l.wait(events, timeout)
	if err != nil && err != unix.EINTR {
		panic(fmt.Sprintf("epoll_wait: %v", err)) // a descriptor that is not what it was
	}
	l.round(events[:max(n, 0)])
}

// read does what was posted. It comes after the sockets, since it may give a
// descriptor that was closed among them a new meaning.
func (l *loop) read() {
	var count [8]byte
	_, _ = unix.Read(l.wake, count[:])
	l.mu.Lock()
	todo := l.inbox
	l.inbox, l.woken = nil, false
	l.mu.Unlock()
	for _, f := range todo {
		f()
	}
}

// round looks at the sockets that are ready, then does what was posted.
func (l *loop) round(ready []unix.EpollEvent) {
	woken := false
	l.served = len(l.unread) > 0
	for i := range ready {
		if fd := int(ready[i].Fd); fd == l.wake {
			woken = true
		} else if e := l.ends[fd]; e != nil { // else closed a moment ago
			l.served = true
			l.handle(e, ready[i].Events)
		}
	}
	l.finish(woken)
}

// finish does what comes after the sockets that were ready.
func (l *loop) finish(woken bool) {
	if len(l.unread) > 0 {
		l.readOn()
	}
	l.report()
	if woken {
		l.read()
	}
}

// report tells the observer what was read, once for all sockets of a round.
func (l *loop) report() {
	for i, direction := range [...]string{"client_to_server", "server_to_client"} {
		if l.fromPeers[i] > 0 {
			l.observer.Bytes(direction, l.fromPeers[i])
			l.fromPeers[i] = 0
		}
	}
}

// handle looks at a socket that is ready.
func (l *loop) handle(e *end, events uint32) {
	defer l.rescue(e)
	const broken = unix.EPOLLHUP | unix.EPOLLERR // reading and writing tell how
	if e.mask&unix.EPOLLOUT != 0 && events&(unix.EPOLLOUT|broken) != 0 {
		e.flow.writable(e)
	}
	if e.mask&unix.EPOLLIN != 0 && events&(unix.EPOLLIN|broken) != 0 {
		e.flow.readable(e, events&(unix.EPOLLRDHUP|broken) != 0)
	}
}

// rescue keeps a mistake in one session from ending the others. It is deferred.
func (l *loop) rescue(e *end) {
	if r := recover(); r != nil {
		e.flow.conn.log.Error("internal error, connection closed", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		e.flow.close()
	}
}

// more notes that a socket may have more to read, of which the kernel will not
// tell again.
func (l *loop) more(e *end) {
	if !e.more {
		e.more = true
		l.unread = append(l.unread, e)
	}
}

// readOn reads from those sockets once more, now that all others had their
// turn.
func (l *loop) readOn() {
	n := len(l.unread)
	for _, e := range l.unread[:n] {
		e.more = false
		if l.ring == nil {
			l.handle(e, unix.EPOLLIN|unix.EPOLLRDHUP)
		} else {
			l.handle(e, unix.EPOLLIN) // what follows a read that did not fill the buffer is asked for
			l.ring.ask(e)
		}
	}
	l.unread = l.unread[:copy(l.unread, l.unread[n:])]
}

// tick closes what took too long.
func (l *loop) tick(now time.Time) {
	for f := range l.timed {
		if now.After(f.deadline) {
			f.expired()
		}
	}
}

func (l *loop) drain() {
	l.draining = true
	for f := range l.flows {
		if f.idle() {
			f.shutdown()
		}
	}
}

func (l *loop) shutdown() {
	l.over = true
	for f := range l.flows {
		f.shutdown()
	}
}

// watch tells the kernel what to wake the loop for. It tells once what has
// become possible (EPOLLET), and need not look at the same socket again the
// next time; but whenever the mask changes it tells what is possible then. So
// whoever reads must read all, or call more.
func (l *loop) watch(e *end, mask uint32) {
	if e.fd < 0 || e.mask == mask {
		return
	}
	if l.ring != nil {
		e.mask = mask
		l.ring.ask(e)
		return
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case e.mask == 0:
		op = unix.EPOLL_CTL_ADD
	case mask == 0:
		op = unix.EPOLL_CTL_DEL // a broken socket is reported whatever the mask
	}
	if err := unix.EpollCtl(l.epoll, op, e.fd, &unix.EpollEvent{Events: mask | unix.EPOLLET | unix.EPOLLRDHUP, Fd: int32(e.fd)}); err != nil {
		panic(fmt.Sprintf("epoll_ctl: %v", err))
	}
	e.mask = mask
}

// know has the loop find an end.
func (l *loop) know(e *end) {
	if l.ring != nil {
		l.ring.know(e)
		return
	}
	for len(l.ends) <= e.fd {
		l.ends = append(l.ends, nil)
	}
	l.ends[e.fd] = e
}

// forget closes an end.
func (l *loop) forget(e *end) {
	if e.fd < 0 {
		return
	}
	if l.ring != nil {
		l.ring.forget(e)
	} else {
		l.ends[e.fd] = nil
	}
	_ = unix.Close(e.fd) // epoll forgets it by itself
	e.fd, e.mask, e.out = -1, 0, nil
	if l.ring != nil {
		l.ring.release(e)
	}
}
