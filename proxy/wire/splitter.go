package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the size in bytes of a typed message's header: its type and
// its length, which counts itself but not the type.
const HeaderSize = 5

// maxFrame is the largest length a header may claim: what the protocol's
// signed 32 bits can say.
const maxFrame = 1<<31 - 1

// Part is a message or a piece of one.
type Part struct {
	Type  byte
	Raw   []byte // bytes of the stream, header included if First; borrowed until the next call
	First bool   // Raw starts with the header
	Last  bool   // Raw ends the message
	Size  int    // of the whole message's body, in bytes
	Lent  bool   // Raw is part of what Next was given, rather than gathered from several pieces
}

// Body returns the body's bytes that a first part holds.
func (p *Part) Body() []byte { return p.Raw[HeaderSize:] }

// Whole reports whether the part is a whole message.
func (p *Part) Whole() bool { return p.First && p.Last }

// Splitter cuts a stream into messages. The zero value is ready, once Head is
// set.
type Splitter struct {
	// Head says how many bytes of a message's body the first Part must have,
	// given its type and the size of its body. 0 takes what comes; size asks
	// for the whole message. An error ends the stream.
	Head func(typ byte, size int) (int, error)

	buf  []byte // a first part that came in pieces
	want int    // how long buf must get, 0 while the header is not complete
	typ  byte
	size int
	left int // bytes of the current message that are still to come
}

// Next finds the next part in p and returns how many bytes of p it used. A
// part without Raw means that p is used up and more is needed.
func (s *Splitter) Next(p []byte) (part Part, n int, err error) {
	if s.left > 0 {
		n = min(s.left, len(p))
		s.left -= n
		return Part{Type: s.typ, Raw: p[:n], Last: s.left == 0, Size: s.size, Lent: true}, n, nil
	}
	if len(s.buf) == 0 {
		// The usual case: the first part is all in p, and nothing is copied.
		if len(p) >= HeaderSize {
			if err := s.header(p); err != nil {
				return Part{}, 0, err
			}
			if len(p) >= s.want {
				return s.first(p[:min(len(p), HeaderSize+s.size)], true)
			}
		}
		s.buf = append(s.buf, p...)
		return Part{}, len(p), nil
	}
	if s.want == 0 {
		n = min(HeaderSize-len(s.buf), len(p))
		s.buf = append(s.buf, p[:n]...)
		if len(s.buf) < HeaderSize {
			return Part{}, n, nil
		}
		if err := s.header(s.buf); err != nil {
			return Part{}, n, err
		}
	}
	m := min(s.want-len(s.buf), len(p)-n)
	s.buf = append(s.buf, p[n:n+m]...)
	n += m
	if len(s.buf) < s.want {
		return Part{}, n, nil
	}
	part, _, err = s.first(s.buf, false)
	return part, n, err
}

// Whole finds the message at the front of p if all of it is there, as Next
// would, for a fraction of the cost. It returns how many bytes of p that is; 0
// means that Next has to be asked. It does not ask Head whether the message may
// be, so that is for the caller to do.
func (s *Splitter) Whole(p []byte, part *Part) int {
	if s.left > 0 || len(s.buf) > 0 || len(p) < HeaderSize {
		return 0
	}
	length := binary.BigEndian.Uint32(p[1:])
	if length < 4 || uint64(length) >= uint64(len(p)) {
		return 0
	}
	n := 1 + int(length)
	*part = Part{Type: p[0], Raw: p[:n], First: true, Last: true, Size: n - HeaderSize, Lent: true}
	return n
}

// Skip returns how many bytes at the front of p are whole messages of a type
// that nobody needs to look at, and which Next need not be given: the rows of
// a large answer cost a few nanoseconds each that way. It is 0 inside a
// message, or if p begins with another.
func (s *Splitter) Skip(p []byte, typ byte) int {
	if s.left > 0 || len(s.buf) > 0 {
		return 0
	}
	n := 0
	for len(p)-n >= HeaderSize && p[n] == typ {
		length := binary.BigEndian.Uint32(p[n+1:])
		if length < 4 || uint64(length) > uint64(len(p)-n-1) {
			break // Next says what is wrong with it, or takes what there is
		}
		n += 1 + int(length)
	}
	return n
}

// first makes the first part of the bytes that hold it.
func (s *Splitter) first(raw []byte, borrowed bool) (Part, int, error) {
	s.left = HeaderSize + s.size - len(raw)
	s.want = 0
	if !borrowed {
		s.buf = s.buf[:0]
		if cap(raw) > keep {
			s.buf = nil // one large message must not hold its memory for good
		}
	}
	return Part{Type: s.typ, Raw: raw, First: true, Last: s.left == 0, Size: s.size, Lent: borrowed}, len(raw), nil
}

// keep is the capacity in bytes that a splitter's buffer may keep between
// messages.
const keep = 4 << 10

func (s *Splitter) header(b []byte) error {
	s.typ = b[0]
	length := binary.BigEndian.Uint32(b[1:])
	if length < 4 || length > maxFrame {
		return fmt.Errorf("message %q claims a length of %d bytes", s.typ, length)
	}
	s.size = int(length) - 4
	head, err := s.Head(s.typ, s.size)
	if err != nil {
		return err
	}
	s.want = HeaderSize + min(max(head, 0), s.size)
	return nil
}

// Partial reports whether the stream stands inside a message.
func (s *Splitter) Partial() bool { return len(s.buf) > 0 || s.left > 0 }

// Streaming reports whether part of a message has been handed out and its
// rest has not come.
func (s *Splitter) Streaming() bool { return s.left > 0 }

// Gathering returns the size in bytes of the first part that is being gathered
// from several pieces, 0 if none is.
func (s *Splitter) Gathering() int {
	if len(s.buf) == 0 {
		return 0
	}
	return s.want
}

// Unread takes back a whole message, which must be what Next last returned:
// the caller will offer its bytes again.
func (s *Splitter) Unread(*Part) { s.buf, s.want, s.left = s.buf[:0], 0, 0 }

// Codes that stand where a startup packet has its protocol version.
const (
	CancelRequest = 1234<<16 | 5678
	SSLRequest    = 1234<<16 | 5679
	GSSENCRequest = 1234<<16 | 5680
)

// maxStartup is the largest startup packet in bytes, as the server has it
// (MAX_STARTUP_PACKET_LENGTH in pqcomm.h).
const maxStartup = 10000

// ErrNotStartup says that a connection did not begin as the protocol does.
var ErrNotStartup = errors.New("invalid length of startup packet")

// Startup finds the untyped packet that opens a connection at the start of
// p. It returns its code (a protocol version or one of the requests above)
// and its size in bytes, 0 if more is needed.
func Startup(p []byte) (code uint32, size int, err error) {
	if len(p) >= 4 {
		length := binary.BigEndian.Uint32(p)
		if length < 8 || length > maxStartup {
			return 0, 0, ErrNotStartup
		}
		if len(p) >= int(length) {
			return binary.BigEndian.Uint32(p[4:]), int(length), nil
		}
	}
	return 0, 0, nil
}
