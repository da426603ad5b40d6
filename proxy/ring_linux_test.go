package proxy

import (
	"bytes"
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
	answer := bytesOfMessages(&pgproto3.DataRow{Values: [][]byte{bytes.Repeat([]byte("x"), 2000)}},
		&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	size := 0
	for len(b.flow.client.out) == 0 {
		b.write(b.client, bytesOfMessages(&pgproto3.Query{String: "SELECT id FROM items"}))
		b.turn()
		b.read(b.server)
		b.write(b.server, answer)
		b.turn()
		size += len(answer)
	}
	if b.flow.server.mask&unix.EPOLLIN != 0 {
		t.Error("the server is read from while the client does not take what it said before")
	}
	got := 0
	for did := true; did; {
		some, _ := b.read(b.client)
		got += len(some)
		did = b.turn() || len(some) > 0
	}
	if got != size {
		t.Errorf("the client got %d bytes of %d", got, size)
	}
}
