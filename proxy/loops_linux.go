package proxy

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// loops drive all sessions whose two connections are plain sockets, each loop
// many of them, with epoll.
//
// Go's own way, a goroutine for each direction, costs two wake-ups through its
// scheduler a message, which is more than all that is done with the message;
// and two stacks and two read buffers a session, idle or not.
type loops struct {
	all  []*loop
	next *atomic.Uint32
}

// startLoops starts so many loops; 0 for half the CPUs, since the other half is
// busy with what the loops hand to the kernel, and -1 for none.
func startLoops(o *Options) (loops, error) {
	n := o.Loops
	if n == 0 {
		n = max(1, runtime.GOMAXPROCS(0)/2)
	}
	uses := "io_uring"
	if o.IOUring == "off" {
		uses = "epoll"
	}
	l := loops{next: new(atomic.Uint32)}
	for range n {
		one := &loop{observer: o.Observer}
		if err := one.open(); err != nil {
			l.stop()
			return loops{}, fmt.Errorf("start an event loop: %w", err)
		}
		l.all = append(l.all, one)
		started := make(chan error)
		go one.run(uses == "io_uring", started)
		if err := <-started; err != nil {
			o.Log.Info("io_uring cannot be had, and epoll does as well but for some CPU", "reason", err)
			uses = "epoll"
		}
	}
	o.Log.Info("event loops started", "loops", len(l.all), "over", uses)
	return l, nil
}

// endOn has the loops end their sessions when ctx is done.
func (l loops) endOn(ctx context.Context) {
	for _, one := range l.all {
		context.AfterFunc(ctx, func() { one.post(one.shutdown) })
	}
}

// drain has the loops end each session when its transaction has ended.
func (l loops) drain() {
	for _, one := range l.all {
		one.post(one.drain)
	}
}

// sweep has the loops end sessions that have been idle for so long.
func (l loops) sweep(now time.Time, limit time.Duration) {
	for _, one := range l.all {
		one.post(func() {
			for f := range one.flows {
				f.sweep(now, limit)
			}
		})
	}
}

// lag measures how late the loops are.
func (l loops) lag(h *Histogram) {
	asked := time.Now()
	for _, one := range l.all {
		one.post(func() { h.Add(time.Since(asked)) })
	}
}

// states counts each loop's sessions by what they are doing.
func (l loops) states() []map[string]int {
	answers := make(chan map[string]int, len(l.all))
	asked := 0
	for _, one := range l.all {
		if one.post(func() { answers <- one.states() }) {
			asked++
		}
	}
	var all []map[string]int
	late := time.After(askTime)
	for range asked {
		select {
		case counts := <-answers:
			all = append(all, counts)
		case <-late:
			return all
		}
	}
	return all
}

func (l *loop) states() map[string]int {
	counts := map[string]int{}
	for f := range l.flows {
		if f.state == away { // another goroutine has the session
			counts["active"]++
		} else {
			counts[f.session.State()]++
		}
	}
	return counts
}

// stop ends the loops, which must have no sessions any more.
func (l loops) stop() {
	for _, one := range l.all {
		if one.post(func() { one.stopping = true }) {
			<-one.stopped
		}
	}
}

// adopt gives a connection to a loop if that can drive it. The connection and
// its session are the loop's from then on.
func (l loops) adopt(c *conn) bool {
	if len(l.all) == 0 {
		return false
	}
	client, ok := detach(c.client)
	if !ok {
		return false
	}
	server, ok := detach(c.server)
	if !ok {
		_ = unix.Close(client)
		return false
	}
	_, _ = c.client.Close(), c.server.Close()
	one := l.all[int(l.next.Add(1))%len(l.all)]
	one.post(func() { one.add(c, client, server) })
	return true
}

// detach returns a descriptor of its own for a plain socket, one that Go's
// poller does not watch.
func detach(c net.Conn) (fd int, ok bool) {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return 0, false
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(old uintptr) { fd, ok = duplicate(old) })
	return fd, ok && err == nil
}

func duplicate(fd uintptr) (int, bool) {
	n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	return n, err == nil
}
