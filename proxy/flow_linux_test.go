package proxy

import (
	"bytes"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
	"golang.org/x/sys/unix"
)

// workbench is a loop that is driven by hand, with one session in it, and the
// other ends of the session's two sockets.
type workbench struct {
	*table
	loop           *loop
	flow           *flow
	client, server int
}

func newWorkbench(t *testing.T, over string) *workbench {
	t.Helper()
	b := &workbench{table: readyTable(t), loop: &loop{observer: silent{}}}
	if err := b.loop.open(); err != nil {
		t.Fatal(err)
	}
	if over == "io_uring" {
		if err := b.loop.openRing(); err != nil {
			t.Skip(err) // a sandbox may forbid it
		}
	}
	owner := &Server{observer: silent{}, timing: new(Timing)}
	owner.clients.Add(1)
	c := &conn{owner: owner, session: b.Session, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	var fds [2][2]int
	for i := range fds {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds[i] = pair
	}
	b.client, b.server = fds[0][1], fds[1][1]
	b.loop.add(c, fds[0][0], fds[1][0])
	for f := range b.loop.flows {
		b.flow = f
	}
	t.Cleanup(func() {
		b.flow.close()
		b.turn()
		b.loop.shut()
		_, _ = unix.Close(b.client), unix.Close(b.server)
		if r := b.loop.ring; r != nil {
			if len(r.free) != len(r.ends) || len(r.queued) > 0 {
				t.Errorf("%d of %d ends, %d sends are still under way", len(r.ends)-len(r.free), len(r.ends), len(r.queued))
			}
			runtime.UnlockOSThread()
		}
	})
	return b
}

// overBoth runs a test with a loop over epoll and with one over io_uring.
func overBoth(t *testing.T, test func(t *testing.T, over string)) {
	for _, over := range []string{"epoll", "io_uring"} {
		t.Run(over, func(t *testing.T) { test(t, over) })
	}
}

// turn has the loop do all that it can, and reports whether that was anything.
func (b *workbench) turn() bool {
	b.t.Helper()
	events := make([]unix.EpollEvent, 8)
	for did := false; ; did = true {
		b.loop.once(events, 0)
		if !b.loop.served && len(b.loop.unread) == 0 {
			return did
		}
	}
}

// read returns what has come at a socket, and whether that was the end.
func (b *workbench) read(fd int) (got []byte, end bool) {
	b.t.Helper()
	buf := make([]byte, 1<<20)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case err == unix.EAGAIN:
			return got, false
		case err != nil:
			b.t.Fatal(err)
		case n == 0:
			return got, true
		}
		got = append(got, buf[:n]...)
	}
}

func (b *workbench) write(fd int, p []byte) (rest []byte) {
	b.t.Helper()
	n, err := unix.Write(fd, p)
	if err != nil && err != unix.EAGAIN {
		b.t.Fatal(err)
	}
	return p[max(n, 0):]
}

// overfill has the server answer queries of a client that does not read, with so
// many bytes each, until the kernel takes no more. It returns the size of the answers.
func (b *workbench) overfill(row int) (size int) {
	b.t.Helper()
	answer := bytesOfMessages(&pgproto3.DataRow{Values: [][]byte{make([]byte, row)}},
		&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	for len(b.flow.client.out) == 0 {
		b.write(b.client, bytesOfMessages(&pgproto3.Query{String: "SELECT id FROM items"}))
		b.turn()
		b.read(b.server)
		for rest := answer; len(rest) > 0; {
			rest = b.write(b.server, rest)
			b.turn()
		}
		size += len(answer)
	}
	return size
}

// readOn has the client read until nothing more comes, and returns how much that was.
func (b *workbench) readOn() (size int) {
	b.t.Helper()
	for did := true; did; {
		some, _ := b.read(b.client)
		size += len(some)
		did = b.turn() || len(some) > 0
	}
	return size
}

// A client that does not read makes the server wait, and the proxy keeps no
// more than it had read at once. When the client reads on, it gets all of it.
func TestClientThatDoesNotRead(t *testing.T) { overBoth(t, clientThatDoesNotRead) }

func clientThatDoesNotRead(t *testing.T, over string) {
	b := newWorkbench(t, over)
	b.write(b.client, bytesOfMessages(&pgproto3.Query{String: "SELECT id FROM items"}))
	b.turn()
	if got, _ := b.read(b.server); string(got[5:]) != "SELECT id FROM items\x00" {
		t.Fatalf("the server got %q", got)
	}
	row := bytesOfMessages(&pgproto3.DataRow{Values: [][]byte{bytes.Repeat([]byte("0123456789"), 300)}})
	answer := append(bytes.Repeat(row, 8<<20/len(row)), bytesOfMessages(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 2796")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})...)

	rest := answer
	for {
		before := len(rest)
		rest = b.write(b.server, rest)
		if !b.turn() && len(rest) == before {
			break
		}
	}
	if kept := len(b.flow.client.out); kept > loopReadSize || len(rest) == 0 {
		t.Errorf("%d bytes are kept, %d of %d not sent yet", kept, len(rest), len(answer))
	}
	var got []byte
	for {
		some, _ := b.read(b.client)
		got = append(got, some...)
		before := len(rest)
		rest = b.write(b.server, rest)
		if !b.turn() && len(some) == 0 && len(rest) == before {
			break
		}
	}
	if !bytes.Equal(got, answer) {
		t.Errorf("the client got %d bytes of %d, or others", len(got), len(answer))
	}
}

// What a side has sent before it hung up is not lost, and the end is seen,
// though the kernel tells of both once.
func TestLastWords(t *testing.T) { overBoth(t, lastWords) }

func lastWords(t *testing.T, over string) {
	one := bytesOfMessages(&pgproto3.Query{String: "--" + string(bytes.Repeat([]byte("x"), 1024-8))})
	for _, size := range []int{len(one), loopReadSize, 3 * loopReadSize} {
		b := newWorkbench(t, over)
		query := bytes.Repeat(one, size/len(one))
		for rest := query; len(rest) > 0; {
			rest = b.write(b.client, rest)
			if len(rest) > 0 {
				b.turn()
			}
		}
		if err := unix.Shutdown(b.client, unix.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		var got []byte
		end := false
		for did := true; did; {
			did = b.turn()
			var some []byte
			some, end = b.read(b.server)
			got = append(got, some...)
			did = did || len(some) > 0
		}
		if !bytes.Equal(got, query) || !end {
			t.Errorf("%d bytes of queries: the server got %d, and the end: %v", len(query), len(got), end)
		}
	}
}

// A client that is still reading an answer is not idle, whatever the session has left to do.
func TestSlowReaderIsNotIdle(t *testing.T) { overBoth(t, slowReaderIsNotIdle) }

func slowReaderIsNotIdle(t *testing.T, over string) {
	for _, why := range []string{"drain", "idle time"} {
		b := newWorkbench(t, over)
		size := b.overfill(64 << 10)
		if !b.flow.session.Idle() {
			t.Fatal("the session has something left to do")
		}
		later := time.Now().Add(2 * time.Hour)
		if why == "drain" {
			b.loop.drain()
		} else {
			b.flow.moved = false
			b.flow.sweep(later, time.Hour)
		}
		b.loop.tick(later)
		var got []byte
		for did, end := true, false; did && !end; {
			var some []byte
			some, end = b.read(b.client)
			got = append(got, some...)
			did = b.turn() || len(some) > 0
		}
		if len(got) < size {
			t.Errorf("%s: the client got %d bytes of %d", why, len(got), size)
		}
		if told := bytes.Contains(got[min(size, len(got)):], []byte("57P01")); told != (why == "drain") {
			t.Errorf("%s: the end is told: %v", why, told)
		}
	}
}

// A session that the kernel does not watch ends by itself, and not with all others.
func TestKernelDoesNotWatch(t *testing.T) {
	b := newWorkbench(t, "epoll")
	epoll := b.loop.epoll
	b.loop.epoll = -1
	defer func() { b.loop.epoll = epoll }()
	owner := &Server{observer: silent{}, timing: new(Timing)}
	owner.clients.Add(1)
	c := &conn{owner: owner, session: readyTable(t).Session, log: b.flow.conn.log}
	client, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	server, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.loop.add(c, client[0], server[0])
	for _, fd := range []int{client[1], server[1]} {
		if _, end := b.read(fd); !end {
			t.Error("a socket stays open")
		}
		_ = unix.Close(fd)
	}
	if len(b.loop.flows) != 1 {
		t.Errorf("%d sessions", len(b.loop.flows))
	}
	owner.clients.Wait()
}
