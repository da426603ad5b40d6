package chaos

import (
	"io"
	"net"
	"sync"
	"testing"
)

// direction of bytes through a relay.
type direction int

const (
	toServer direction = iota
	toClient
)

func (d direction) String() string { return [...]string{"to the server", "to the client"}[d] }

// fault is what a relay does to one direction of a connection when so many bytes have passed, from the moment it is armed.
type fault int

const (
	none      fault = iota
	cutOff          // both connections are closed
	reset           // both are reset
	halfClose       // this direction ends, the other goes on
	drip            // from here on one byte at a time
	hold            // what comes is kept back until release
)

func (f fault) String() string {
	return [...]string{"none", "cut", "reset", "half-close", "one byte at a time", "held back"}[f]
}

// relay passes bytes between clients and an address, and breaks things when it is told to.
type relay struct {
	net.Listener
	to string

	mu    sync.Mutex
	links []*link
	next  func(*link) // prepares the link of the connection that comes next
	wait  sync.WaitGroup
}

// armNext sets a fault for the connection that comes next, from its first byte.
func (r *relay) armNext(f fault, where direction, after int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = func(l *link) { l.arm(f, where, after) }
}

func startRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to}
	r.wait.Go(r.accept)
	t.Cleanup(r.stop)
	return r
}

func (r *relay) stop() {
	_ = r.Close()
	r.mu.Lock()
	for _, l := range r.links {
		l.close(false)
	}
	r.mu.Unlock()
	r.wait.Wait()
}

// accept ends with the listener.
func (r *relay) accept() {
	for {
		c, err := r.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
			continue
		}
		l := &link{ends: [2]*net.TCPConn{s.(*net.TCPConn), c.(*net.TCPConn)}}
		r.mu.Lock()
		r.links = append(r.links, l)
		if r.next != nil {
			r.next(l)
			r.next = nil
		}
		r.mu.Unlock()
		r.wait.Go(func() { l.pump(toServer) })
		r.wait.Go(func() { l.pump(toClient) })
	}
}

// last is the link of the connection that came last.
func (r *relay) last() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links[len(r.links)-1]
}

// link is one connection through a relay.
type link struct {
	ends [2]*net.TCPConn // by the direction that ends there

	mu       sync.Mutex
	fault    fault
	where    direction
	after    int           // bytes until the fault
	released chan struct{} // closed when what is held back may go
}

// arm sets a fault that strikes after so many more bytes in a direction.
func (l *link) arm(f fault, where direction, after int) {
	l.mu.Lock()
	l.fault, l.where, l.after = f, where, after
	l.released = make(chan struct{})
	l.mu.Unlock()
	if after == 0 {
		l.strike(f, where)
	}
}

// release lets go what is held back or stalled.
func (l *link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = none
	if l.released != nil {
		close(l.released)
		l.released = nil
	}
}

func (l *link) strike(f fault, where direction) {
	switch f {
	case cutOff:
		l.close(false)
	case reset:
		l.close(true)
	case halfClose:
		_ = l.ends[where].CloseWrite()
	}
}

func (l *link) close(hard bool) {
	for _, c := range l.ends {
		if hard {
			_ = c.SetLinger(0)
		}
		_ = c.Close()
	}
	l.release()
}

// next says what to do with n bytes of a direction: how many may pass, and what happens then.
func (l *link) next(d direction, n int) (pass int, f fault, released <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == none || l.where != d {
		return n, none, nil
	}
	if l.after > 0 {
		n = min(n, l.after)
		l.after -= n
		if l.after > 0 {
			return n, none, nil
		}
		return n, l.fault, l.released
	}
	if l.fault == drip {
		return 1, none, nil
	}
	return 0, l.fault, l.released
}

// pump moves the bytes of one direction until it ends.
func (l *link) pump(d direction) {
	from, to := l.ends[1-d], l.ends[d]
	buf := make([]byte, 16<<10)
	dead := false // what comes is dropped
	for {
		n, err := from.Read(buf)
		for p := buf[:n]; len(p) > 0 && !dead; {
			pass, f, released := l.next(d, len(p))
			if pass > 0 {
				if _, failed := to.Write(p[:pass]); failed != nil {
					dead = true
					break
				}
				p = p[pass:]
			}
			switch f {
			case cutOff, reset, halfClose:
				l.strike(f, d)
				dead = true
			case hold:
				<-released
			}
		}
		switch {
		case err == io.EOF && !dead:
			_ = to.CloseWrite() // the other direction may go on
			return
		case err == io.EOF:
			return
		case err != nil:
			l.close(true) // a reset is handed on as one
			return
		}
	}
}
