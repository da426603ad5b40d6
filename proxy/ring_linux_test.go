package proxy

import (
	"testing"

	"github.com/jackc/pgproto3/v2"
	"golang.org/x/sys/unix"
)

// The last piece of an answer is small, so it is sent with the next wait, and
// the socket has no room for it. When the client reads on it gets it, though
// nothing else comes.
func TestLastPieceThatFindsNoRoom(t *testing.T) { overBoth(t, lastPieceThatFindsNoRoom) }

func lastPieceThatFindsNoRoom(t *testing.T, over string) {
	b := newWorkbench(t, over)
	size := b.overfill(2000)
	if b.flow.server.mask&unix.EPOLLIN != 0 {
		t.Error("the server is read from while the client does not take what it said before")
	}
	if got := b.readOn(); got != size {
		t.Errorf("the client got %d bytes of %d", got, size)
	}
}

// A client that closes its half when the server has answered, but has not read
// all of the answer, gets the rest.
func TestHangsUpWithAnAnswerToRead(t *testing.T) { overBoth(t, hangsUpWithAnAnswerToRead) }

func hangsUpWithAnAnswerToRead(t *testing.T, over string) {
	b := newWorkbench(t, over)
	size := b.overfill(64 << 10)
	if err := unix.Shutdown(b.client, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	b.turn()
	if got := b.readOn(); got != size {
		t.Errorf("the client got %d bytes of %d", got, size)
	}
	if _, end := b.read(b.server); !end {
		t.Error("the server was not told that nothing more comes")
	}
}

// A client that has said that nothing more comes, and does not read what it
// asked for, does not keep the loop busy.
func TestSlowReaderThatHungUp(t *testing.T) { overBoth(t, slowReaderThatHungUp) }

func slowReaderThatHungUp(t *testing.T, over string) {
	b := newWorkbench(t, over)
	b.write(b.client, bytesOfMessages(&pgproto3.Query{String: "SELECT id FROM items"}))
	if err := unix.Shutdown(b.client, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	b.turn()
	row := bytesOfMessages(&pgproto3.DataRow{Values: [][]byte{make([]byte, 64<<10)}})
	size := 0
	events := make([]unix.EpollEvent, 8)
	for len(b.flow.client.out) == 0 {
		for rest := row; len(rest) > 0; {
			rest = b.write(b.server, rest)
			for range 10 {
				b.loop.once(events, 0)
			}
		}
		size += len(row)
	}
	busy := 0
	for range 100 {
		b.loop.once(events, 0)
		if b.loop.served {
			busy++
		}
	}
	if busy > 10 {
		t.Errorf("something was to be done in %d of 100 rounds", busy)
	}
	got := 0
	for n := 0; n < 100 && got < size; n++ {
		some, _ := b.read(b.client)
		got += len(some)
		b.loop.once(events, 0)
	}
	if got != size {
		t.Errorf("the client got %d bytes of %d", got, size)
	}
}
