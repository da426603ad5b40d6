package proxy

import (
	"unsafe"

	"github.com/jackc/pgproto3/v2"
)

// Output is what a session has to say to one side. Most bytes pass through as
// they came, so they are not copied: those at the end may be lent, a part of
// what FromClient or FromServer was given last. Whoever takes them must do so
// before giving the session more.
type Output struct {
	own  []byte
	lent []byte // comes after own
}

// Parts returns what there is to send, the second after the first. Both are
// the session's until the next Reset.
func (o *Output) Parts() (own, lent []byte) { return o.own, o.lent }

// Empty reports whether there is nothing to send.
func (o *Output) Empty() bool { return len(o.own) == 0 && len(o.lent) == 0 }

// Reset says that all has been sent, or copied. The session puts what comes
// next into buf, which may be nil.
func (o *Output) Reset(buf []byte) { o.own, o.lent = buf[:0], nil }

// Take returns what there is to send and leaves nothing.
func (o *Output) Take() []byte {
	b := o.copied()
	o.own = nil
	return b
}

// copied ends the lending, and returns what there is to send.
func (o *Output) copied() []byte {
	if len(o.lent) > 0 {
		o.own = append(o.own, o.lent...)
		o.lent = nil
	}
	return o.own
}

// pass adds bytes as they came. lent says that they are part of what the
// session was given last, and will stay until its caller has sent them.
func (o *Output) pass(raw []byte, lent bool) {
	switch {
	case !lent:
		o.own = append(o.copied(), raw...)
	case len(o.lent) == 0:
		o.lent = raw
	case follows(o.lent, raw):
		o.lent = o.lent[:len(o.lent)+len(raw)]
	default:
		o.own = append(o.copied(), raw...)
	}
}

// follows reports whether b begins in memory where a ends, in the same array.
func follows(a, b []byte) bool {
	return len(b) > 0 && cap(a)-len(a) >= len(b) && unsafe.SliceData(a[len(a):cap(a)]) == unsafe.SliceData(b)
}

// add adds bytes that will not stay.
func (o *Output) add(b ...byte) { o.own = append(o.copied(), b...) }

// encode adds a message of our own making. They are all far below the size at
// which encoding fails.
func (o *Output) encode(m pgproto3.Message) { o.own = encode(o.copied(), m) }
