package proxy

import (
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"

	"tombstone/proxy/uring"
)

// What a loop keeps ready for io_uring.
const (
	ringEntries = 256      // operations handed over at a time
	ringBuffers = 256      // receives that can be done and not yet looked at
	ringBuffer  = 16 << 10 // bytes of each; only what is used takes memory
	ringArena   = 256 << 10
)

// ring has a loop told by io_uring what epoll would tell it, and more than
// told: what a socket receives comes with it, and what is sent in a round goes
// with the next wait. So a round is one system call, however many sockets had
// something, where epoll takes one and two more for each.
//
// Everything large goes the other way, by system calls of its own: it would
// have to be copied, and gains nothing.
//
// Room to write is told by epoll, in which the ring waits for something to be
// ready. A poll of the ring's own is over whenever the other side has said that
// it sends nothing more (POLLRDHUP), room or not, so a client that says so and
// then reads slowly would keep the loop busy.
type ring struct {
	*uring.Ring
	epoll int
	ends  []*end   // by number, which an operation bears; nil if free
	free  []uint32 // numbers that can be used again

	arena  []byte // what is to be sent, which stays in place until the kernel has it
	queued []*end // those that it is sent to
	hurry  bool   // somebody waits for what becomes of that, of which a success does not tell
	over   []uring.Completion
}

// ringEnd is what an end has with its loop's ring.
type ringEnd struct {
	number  uint32
	known   bool
	hears   bool             // a receive is under way
	polled  bool             // epoll knows it
	polls   bool             // and tells, once, when it can write
	sending []byte           // what has been asked to be sent, in the arena
	unsent  uring.Completion // how that failed, or how much was sent; zero if all was

	early    []byte // what was received while nobody wanted it
	earlyEnd error  // io.EOF, or how receiving failed
}

// The kinds of operations. An operation's data is its kind and an end's number.
const (
	opReceive uint64 = iota
	opSend
	opWritable // of one or more ends, of which epoll knows
	opWake
)

// openRing gives the loop a ring that the calling goroutine uses, on a thread
// that is its own from then on.
func (l *loop) openRing() error {
	runtime.LockOSThread()
	u, err := uring.New(ringEntries, ringBuffers, ringBuffer)
	if err == nil {
		if err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, l.wake, nil); err != nil {
			u.Close()
		}
	}
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	l.ring = &ring{Ring: u, epoll: l.epoll, arena: make([]byte, 0, ringArena)}
	l.ring.Poll(l.epoll, unix.POLLIN, opWritable<<32)
	l.ring.Poll(l.wake, unix.POLLIN, opWake<<32)
	return nil
}

func (r *ring) know(e *end) {
	if n := len(r.free); n > 0 {
		e.ring.number, r.free = r.free[n-1], r.free[:n-1]
	} else {
		e.ring.number = uint32(len(r.ends))
		r.ends = append(r.ends, nil)
	}
	r.ends[e.ring.number] = e
	e.ring.known = true
}

// forget has what is under way end soon, before its descriptor is closed: what
// was not handed over yet would go to whoever gets the descriptor next, and what
// was keeps the socket open.
func (r *ring) forget(e *end) {
	if r.Pending() {
		r.Submit()
	}
	if e.ring.hears {
		_ = unix.Shutdown(e.fd, unix.SHUT_RDWR)
	}
	if e.ring.polled { // closing the descriptor ends that only once nothing is under way
		_ = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_DEL, e.fd, nil)
	}
	e.ring.early, e.ring.earlyEnd = nil, nil
}

// release gives the number of an end that is closed to others once nothing of
// it is under way.
func (r *ring) release(e *end) {
	if e.fd < 0 && e.ring.known && !e.ring.hears && e.ring.sending == nil {
		e.ring.known = false
		r.ends[e.ring.number] = nil
		r.free = append(r.free, e.ring.number)
	}
}

// ask asks for what an end waits for and has not asked for yet.
func (r *ring) ask(e *end) {
	if e.fd < 0 {
		return
	}
	if e.mask&unix.EPOLLIN != 0 && !e.ring.hears && !e.more {
		if e.ring.early != nil || e.ring.earlyEnd != nil {
			e.flow.loop.more(e)
		} else {
			e.ring.hears = true
			r.Receive(e.fd, opReceive<<32|uint64(e.ring.number))
		}
	}
	if e.mask&unix.EPOLLOUT != 0 && !e.ring.polls && e.ring.sending == nil { // what becomes of a send is seen first
		op := unix.EPOLL_CTL_MOD
		if !e.ring.polled {
			op = unix.EPOLL_CTL_ADD
		}
		if err := unix.EpollCtl(r.epoll, op, e.fd, &unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: int32(e.ring.number)}); err != nil {
			panic(fmt.Sprintf("epoll_ctl: %v", err))
		}
		e.ring.polled, e.ring.polls = true, true
	}
}

// send has something sent with the next wait. It reports false if that has to
// be done at once.
func (r *ring) send(e *end, own, lent []byte) bool {
	a := r.arena
	if size := len(own) + len(lent); size > copyRather || size > cap(a)-len(a) {
		return false
	}
	r.arena = append(append(a, own...), lent...)
	e.ring.sending = r.arena[len(a):len(r.arena):len(r.arena)]
	r.queued = append(r.queued, e)
	r.Ring.Send(e.fd, e.ring.sending, opSend<<32|uint64(e.ring.number))
	return true
}

// ringWait waits, in the way that wait describes.
func (l *loop) ringWait(timeout int) {
	if l.ring.hurry {
		l.ring.hurry, timeout = false, 0
	}
	raw := l.unseen()
	first := timeout
	if raw && timeout != 0 {
		first = hot
	}
	err := l.ring.Enter(first, raw)
	if raw {
		hidden.Add(-1)
	}
	if err == nil && first != timeout && !l.ring.Ready() {
		err = l.ring.Enter(timeout, false)
	}
	if err != nil {
		panic(fmt.Sprintf("io_uring_enter: %v", err)) // the ring is not what it was
	}
	l.gather()
}

// gather takes all that the ring tells. What becomes of a send is noted with
// its end: it counts before anything that is received.
func (l *loop) gather() {
	r := l.ring
	r.over = r.over[:0]
	for r.Pending() || r.Ready() {
		r.Submit() // the last wait may have been cut short
		for {
			c, ok := r.Next()
			if !ok {
				break
			}
			if c.Data>>32 == opSend {
				r.ends[uint32(c.Data)].ring.unsent = c
				continue
			}
			r.over = append(r.over, c)
		}
		if r.Ready() { // there were more than the ring holds
			if err := r.Enter(0, true); err != nil {
				panic(fmt.Sprintf("io_uring_enter: %v", err))
			}
		}
	}
	queued := len(r.queued)
	for _, e := range r.queued[:queued] {
		l.sent(e)
	}
	r.queued = r.queued[:copy(r.queued, r.queued[queued:])]
	if len(r.queued) == 0 {
		r.arena = r.arena[:0]
	}
}

// ringRound is round with what the ring tells.
func (l *loop) ringRound(events []unix.EpollEvent) {
	woken := false
	l.served = len(l.unread) > 0
	for _, c := range l.ring.over {
		switch c.Data >> 32 {
		case opWake:
			woken = true
		case opWritable:
			l.served = true
			n, _ := unix.EpollWait(l.epoll, events, 0)
			for i := range max(n, 0) {
				if e := l.ring.ends[events[i].Fd]; e != nil { // else closed a moment ago
					l.room(e)
				}
			}
			l.ring.Poll(l.epoll, unix.POLLIN, opWritable<<32)
		default:
			l.served = true
			l.completed(l.ring.ends[uint32(c.Data)], c)
		}
	}
	l.finish(woken)
	if woken {
		l.ring.Poll(l.wake, unix.POLLIN, opWake<<32)
	}
}

// completed looks at a receive that is over.
func (l *loop) completed(e *end, c uring.Completion) {
	defer l.rescue(e)
	defer l.ring.Done(c)
	e.ring.hears = false
	var err error
	if c.Err != 0 {
		err = c.Err
	}
	switch {
	case e.fd < 0:
	case err == unix.ENOBUFS, err == unix.EAGAIN, err == unix.EINTR:
		l.more(e)
	case e.mask&unix.EPOLLIN == 0:
		e.ring.early = append([]byte(nil), l.ring.Bytes(c)...)
		if c.Result <= 0 {
			e.ring.early, e.ring.earlyEnd = nil, endOf(err)
		}
	default:
		if l.ring.Full(c) {
			l.more(e)
		}
		e.flow.received(e, l.ring.Bytes(c), err)
	}
	if e.fd < 0 {
		l.ring.release(e)
	} else {
		l.ring.ask(e)
	}
}

// room writes to an end that can be written to.
func (l *loop) room(e *end) {
	defer l.rescue(e)
	e.ring.polls = false
	if e.mask&unix.EPOLLOUT != 0 {
		e.flow.writable(e)
	}
	l.ring.ask(e)
}

func endOf(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// early gives the session what was received while nobody wanted it, and
// reports whether there was anything.
func (f *flow) early(e *end) bool {
	p, err := e.ring.early, e.ring.earlyEnd
	e.ring.early, e.ring.earlyEnd = nil, nil
	switch {
	case err == io.EOF:
		f.received(e, nil, nil)
	case p != nil || err != nil:
		f.received(e, p, err)
	default:
		return false
	}
	return true
}

// sent goes on when what was to be sent has been, or not all of it.
func (l *loop) sent(e *end) {
	defer l.rescue(e)
	p, c := e.ring.sending, e.ring.unsent
	e.ring.sending, e.ring.unsent = nil, uring.Completion{}
	if e.fd < 0 {
		l.ring.release(e)
		return
	}
	f := e.flow
	switch {
	case c == uring.Completion{}:
		p = nil
	case c.Err == 0:
		p = p[c.Result:]
	case c.Err != unix.EAGAIN && c.Err != unix.EINTR:
		f.conn.log.Debug("write", "error", error(c.Err))
		e.dead, e.out, p = true, nil, nil
	}
	if len(p) > 0 {
		e.out = append(append([]byte(nil), p...), e.out...)
	}
	switch {
	case f.state == away: // when it comes back
	case len(p) > 0 && f.state == running: // nobody waits for room yet, and the other side is still read from
		f.settle()
	case len(p) > 0: // in a session that ends somebody does
	case len(e.out) > 0:
		f.writable(e)
	case f.state == leaving:
		f.partly()
	case f.state == running && (e.dead || f.hungUp || f.loop.draining):
		f.after(nil)
	}
	l.ring.ask(e)
}
