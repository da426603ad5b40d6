package uring

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newRing(t *testing.T, entries, buffers, size int) *Ring {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := New(entries, buffers, size)
	if err != nil {
		t.Skip(err) // a sandbox may forbid it, and the proxy does without
	}
	t.Cleanup(r.Close)
	return r
}

func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// completions enters once and returns all there are, by their data.
func completions(t *testing.T, r *Ring, timeout int) map[uint64]Completion {
	t.Helper()
	if err := r.Enter(timeout, false); err != nil {
		t.Fatal(err)
	}
	all := map[uint64]Completion{}
	for {
		c, ok := r.Next()
		if !ok {
			return all
		}
		all[c.Data] = c
	}
}

func TestReceiveAndSend(t *testing.T) {
	r := newRing(t, 4, 2, 16)
	a, b := pair(t)
	text := append([]byte(nil), "more than sixteen bytes"...)
	r.Receive(b, 1)
	r.Send(a, text, 2)
	got := completions(t, r, -1)
	if c, ok := got[2]; ok {
		t.Fatalf("a send that has been done is told of: %+v", c)
	}
	if c := got[1]; !bytes.Equal(r.Bytes(c), text[:16]) || !r.Full(c) {
		t.Fatalf("received %q", r.Bytes(c))
	}
	r.Done(got[1])
	r.Receive(b, 3)
	if c := completions(t, r, -1)[3]; string(r.Bytes(c)) != string(text[16:]) || r.Full(c) {
		t.Fatalf("received %q", r.Bytes(c))
	}
}

// More is asked for than the ring holds, and each buffer is used many times.
func TestManyRounds(t *testing.T) {
	r := newRing(t, 4, 4, 16)
	var ours, theirs [16]int
	for i := range ours {
		ours[i], theirs[i] = pair(t)
	}
	for round := range 100 {
		heard := 0
		for i := range ours {
			r.Receive(ours[i], uint64(i))
			_, _ = unix.Write(theirs[i], []byte{byte(round), byte(i)})
		}
		for heard < len(ours) {
			for i, c := range completions(t, r, 1000) {
				switch {
				case c.Err == unix.ENOBUFS:
					r.Receive(ours[i], i)
				case !bytes.Equal(r.Bytes(c), []byte{byte(round), byte(i)}):
					t.Fatalf("round %d, socket %d: %+v %v", round, i, c, r.Bytes(c))
				default:
					r.Done(c)
					heard++
				}
			}
		}
	}
}

func TestEndsAndErrors(t *testing.T) {
	r := newRing(t, 8, 2, 16)
	a, b := pair(t)
	r.Receive(b, 1)
	r.Poll(a, unix.POLLOUT, 2)
	if c := completions(t, r, -1)[2]; c.Err != 0 || c.Result&unix.POLLOUT == 0 {
		t.Fatalf("a socket with room: %+v", c)
	}
	// A socket that is shut down completes what is under way: without it, closing the descriptor would not.
	_ = unix.Shutdown(b, unix.SHUT_RDWR)
	if c := completions(t, r, -1)[1]; c.Err != 0 || c.Result != 0 || len(r.Bytes(c)) != 0 {
		t.Fatalf("a socket that was shut down: %+v", c)
	}
	r.Send(a, []byte("x"), 3)
	if c := completions(t, r, -1)[3]; c.Err != unix.EPIPE {
		t.Fatalf("to nobody: %+v", c)
	}
	a, _ = pair(t)
	sent := 0
	for big := make([]byte, 1<<20); ; {
		r.Send(a, big, 4)
		c := completions(t, r, -1)[4]
		if c.Err == unix.EAGAIN {
			break
		}
		sent += c.Result
	}
	if sent == 0 || sent > 1<<20 {
		t.Fatalf("%d bytes to one who does not read", sent)
	}
}

func TestWaits(t *testing.T) {
	r := newRing(t, 4, 2, 16)
	begun := time.Now()
	if got := completions(t, r, 30); len(got) != 0 || time.Since(begun) < 25*time.Millisecond {
		t.Fatalf("%v after %v", got, time.Since(begun))
	}
	a, b := pair(t)
	r.Send(a, []byte("y"), 2) // is over at once, which is nothing to wake up for
	begun = time.Now()
	if got := completions(t, r, 30); len(got) != 0 || time.Since(begun) < 25*time.Millisecond {
		t.Fatalf("%v after %v", got, time.Since(begun))
	}
	if n, err := unix.Read(b, make([]byte, 8)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r.Receive(b, 1)
	r.Submit()
	_, _ = unix.Write(a, []byte("x"))
	if err := r.Enter(-1, true); err != nil {
		t.Fatal(err)
	}
	if c, ok := r.Next(); !ok || string(r.Bytes(c)) != "x" {
		t.Fatal(c, ok)
	}
}
