package proxy

import (
	"fmt"
	"net"

	"tombstone/proxy/wire"
)

// loginMessage is the size in bytes of the largest message that is read before a login is over. The largest that is right is
// an error with a long text.
const loginMessage = 64 << 10

// peer is a connection on which the proxy itself takes part, before a session does or without one: messages are read
// whole, one at a time.
type peer struct {
	net.Conn
	frames wire.Splitter
	buf    []byte
	rest   []byte // read, and not looked at yet
}

// violationError says that what a peer sends is no protocol.
type violationError struct{ error }

// newPeer reads from a connection of which rest has been read already.
func newPeer(c net.Conn, rest []byte) *peer {
	p := &peer{Conn: c, rest: rest}
	p.frames.Head = func(typ byte, size int) (int, error) {
		if size > loginMessage {
			return 0, fmt.Errorf("message %q of %d bytes is too large here", typ, size)
		}
		return size, nil
	}
	return p
}

// next reads a message. raw has its header too, and is good until the next call.
func (p *peer) next() (typ byte, raw []byte, err error) {
	for {
		for len(p.rest) > 0 {
			part, n, err := p.frames.Next(p.rest)
			if err != nil {
				return 0, nil, &violationError{err}
			}
			p.rest = p.rest[n:]
			if part.Raw != nil {
				return part.Type, part.Raw, nil
			}
		}
		if p.buf == nil {
			p.buf = make([]byte, greetSize)
		}
		n, err := p.Read(p.buf)
		if n == 0 && err != nil {
			return 0, nil, err
		}
		p.rest = p.buf[:n]
	}
}
