package proxy

import (
	"bytes"
	"fmt"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/wire"
	"tombstone/rewrite"
)

// Limits on a client's messages in bytes. The server has the same for small
// messages (PQ_SMALL_MESSAGE_LIMIT in libpq.h).
const (
	smallMessage = 10000
	bindHead     = 16 << 10 // must hold the names at the front of a Bind
	parseHead    = 16 << 10 // the same for a Parse that is too large to read
	functionHead = 4        // the function's OID
)

// clientHead says how much of a client's message must be seen together.
func (s *Session) clientHead(typ byte, size int) (int, error) {
	if size > s.MessageBytes {
		return 0, fmt.Errorf("message %q of %d bytes is larger than limits.message_bytes, %d", typ, size, s.MessageBytes)
	}
	switch typ {
	case 'Q':
		if s.tooLarge(typ, size) {
			return 0, nil
		}
		return size, nil
	case 'P':
		if s.tooLarge(typ, size) {
			return parseHead, nil
		}
		return size, nil
	case 'B':
		return bindHead, nil
	case 'D', 'E', 'C', 'S', 'H', 'X', 'c':
		if size > smallMessage {
			return 0, fmt.Errorf("message %q has an invalid length of %d bytes", typ, size)
		}
		return size, nil
	case 'F':
		return functionHead, nil
	case 'p':
		if s.binds {
			return min(size, len(scramPlus)+1), nil
		}
		return 0, nil
	case 'd', 'f':
		return 0, nil
	}
	return 0, fmt.Errorf("invalid frontend message type %d", typ)
}

// tooLarge reports whether the text of a Query or Parse is not read. Beside the text there are at least the zero bytes that end it and
// a Parse's name, and the number of a Parse's parameter types.
func (s *Session) tooLarge(typ byte, size int) bool {
	if typ == 'P' {
		size -= 3
	}
	return size-1 > s.StatementBytes
}

// holding reports whether the message that starts with typ has to wait.
func (s *Session) holding(typ byte) bool {
	switch {
	case s.client.Streaming(): // its beginning has been sent
		return false
	case s.phase == logging && s.client.Partial():
		return false
	}
	switch s.phase {
	case logging:
		// While the server waits for an answer, nothing else is right.
		return typ != 'p' && typ != 'X' && !s.asked
	case ready:
		first := s.queue.first()
		return first != nil && first.kind == refreshing
	}
	return false
}

// crowded reports whether so much that the client has sent is still to be answered that what comes now has to wait, as a server waits
// that reads nothing while it works.
//
// Without it, a client that sends Sync after Sync behind a statement that takes long fills the proxy's memory with what is known of
// each: 220 bytes for 5.
func (s *Session) crowded() bool {
	if s.phase != ready || s.client.Streaming() { // the server waits for the rest of a message
		return false
	}
	n := s.queue.size()
	if n == 0 {
		s.taken = 0
	}
	if s.copying { // it waits for data, or for whatever makes the COPY fail
		n -= mostRequests
	}
	if n < s.most && s.taken < s.limit() {
		return false
	}
	s.full = true
	s.drain() // a server need not answer before it is told to
	return true
}

// keeps reports whether something of a message may be kept until it is answered. Of one that is too large to be read little is; and what a
// client says in a COPY is not answered before its end.
func (s *Session) keeps(part *wire.Part) bool {
	switch part.Type {
	case 'd':
		return false
	case 'S', 'H':
		return !s.copying
	}
	return !s.tooLarge(part.Type, part.Size)
}

// roomy reports whether what had to wait because of that can go on.
func (s *Session) roomy() bool {
	return s.copying || s.queue.size() <= s.most/2 && s.taken < s.limit()/2
}

// limit is how many bytes may be taken from a client that have no answer.
func (s *Session) limit() int {
	if s.much > 0 {
		return s.much
	}
	return max(s.StatementBytes, mostTaken)
}

// Limits on what a client may send before the first of it is answered. The first is not much less than what makes a server send
// the shortest of answers, which it gathers in a buffer of 8 kB. A client that never waits stops for a moment at each of them.
const (
	mostRequests = 1024
	mostTaken    = 1 << 20 // in bytes; statement_bytes if that is more
)

// stream passes on the COPY data that p begins with, and returns how many bytes
// that was. clientPart does the same with one message.
func (s *Session) stream(p []byte) int {
	if p[0] != 'd' || s.phase != ready || s.skipping {
		return 0
	}
	n := s.client.Skip(p, 'd')
	if n > 0 {
		s.clientSink = forward
		s.ToServer.pass(p[:n], true)
	}
	return n
}

// clientPart handles a message or a piece of one. It reports false if the
// message has to wait for what the server says.
func (s *Session) clientPart(part *wire.Part) (bool, error) {
	if !part.First {
		if s.clientSink == forward {
			s.ToServer.pass(part.Raw, part.Lent)
		}
		return true, nil
	}
	s.clientSink = forward
	if s.phase == logging && s.asked && part.Type != 'X' {
		if part.Type != 'p' {
			return false, s.violation(fmt.Errorf("expected password response, got message type %d", part.Type))
		}
		if s.binds && bytes.HasPrefix(part.Body(), []byte(scramPlus)) {
			return false, s.refuseBinding()
		}
		s.asked, s.binds = false, false
	}
	if s.skipping && part.Type != 'S' && part.Type != 'X' {
		// The server discards everything up to a Sync, so it need not get it;
		// and should it not discard after all, it must not get it unread.
		if s.eaten > 0 && (part.Type == 'Q' || part.Type == 'P') {
			return false, s.violation(fmt.Errorf("message %q after a COPY that failed, where a Sync was due", part.Type))
		}
		s.clientSink = discard
		return true, nil
	}
	s.begins()
	f := wire.Read(part.Body())
	switch part.Type {
	case 'Q':
		return s.clientQuery(part)
	case 'P':
		return s.clientParse(part)
	case 'B':
		port, name := f.String(), f.String()
		if !f.OK() {
			return false, s.violation(fmt.Errorf("the names in a Bind message are not terminated or too long"))
		}
		if reserved(name) || reserved(port) {
			return false, s.reserved()
		}
		statement := s.nameOf(name)
		switch s.check(statement) {
		case wait:
			return false, s.ended()
		case outdated:
			s.looked(key(port)) // the server skips its Execute
			s.refuseOutdated()
			return true, nil
		}
		portal := key(port)
		s.bound(portal, statement)
		s.looked(portal)
		r := s.request(bind)
		r.port, r.name = portal, statement
	case 'D', 'C':
		what, name := f.Byte(), f.String()
		if !f.OK() {
			return false, s.violation(fmt.Errorf("invalid message format of %q", part.Type))
		}
		if reserved(name) {
			return false, s.reserved()
		}
		switch {
		case part.Type == 'D' && what == 'S':
			s.request(describeStatement).name = key(name)
		case part.Type == 'D':
			s.request(describePortal).port = key(name)
		case what == 'S':
			s.request(closeStatement).name = key(name)
		default:
			s.request(closePortal).port = key(name)
		}
	case 'E':
		port := f.String()
		if !f.OK() {
			return false, s.violation(fmt.Errorf("invalid message format of %q", part.Type))
		}
		if reserved(port) {
			return false, s.reserved()
		}
		if s.opened && s.wishes.portal(s, port) {
			s.refuseOutdated()
			return true, nil
		}
		switch s.checkPortal(key(port)) {
		case wait:
			return false, s.ended()
		case outdated:
			s.refuseOutdated()
			return true, nil
		}
		if u, ok := s.utilities.get(key(port)); ok {
			// A utility statement is analysed when it runs, not when it is bound.
			names := []string{u.name, u.inner}
			if u.inner == "" {
				names = names[:1]
			}
			for _, name := range names {
				switch s.check(name) {
				case wait:
					return false, s.ended()
				case outdated:
					s.refuseOutdated()
					return true, nil
				}
			}
		}
		effects, _ := s.effects.get(key(port))
		s.changes(effects)
		s.request(execute).port = key(port)
	case 'F':
		oid := f.Int32()
		if !f.OK() {
			return false, s.violation(fmt.Errorf("a FunctionCall message without a function"))
		}
		s.reload()
		if runner(oid) {
			if s.enforces() {
				s.clientSink = discard
				s.sendFunctionRefused()
				return true, nil
			}
			s.observeCall()
		}
		s.queue.push(request{kind: functionCall})
		s.changes(rewrite.ChangesNames | rewrite.ChangesLexing | rewrite.ChangesAsks) // it may be set_config
	case 'S':
		if s.copying {
			s.eaten++
		} else {
			s.queue.add(sync).batch = s.batches
			s.endBatch()
			s.batch, s.skipping = false, false
			s.batches++
		}
	case 'c', 'f':
		if s.copying {
			s.copying = false
		} else {
			s.queue.ended()
		}
	case 'X':
		s.over = true
	}
	s.ToServer.pass(part.Raw, part.Lent)
	return true, nil
}

// endBatch notes that a Sync or Query is on its way. It may end the transaction
// in which names were read, and undo what made them others: SET LOCAL, ON
// COMMIT DROP, an error.
//
// Without it, the DELETE of a Query that follows another Query, which ended a
// pipeline with a SET LOCAL search_path in it, would really delete from the
// protected table that it means again.
func (s *Session) endBatch() {
	if s.env.Dirty {
		s.stale, s.reread = true, s.reread || s.dirtyCatalog
	}
}

// begins notes what had been changed before a message with which a transaction
// may begin. Not when the one before it ended: what others change while the
// session is idle is older than the snapshot that it gets.
func (s *Session) begins() {
	if s.status == 'I' && !s.batch && s.queue.empty() && s.env.Set != nil {
		s.begun, s.own = s.shared().changes.Load(), 0
	}
}

// runner reports whether a function is one of the server's that run SQL which they are given, or
// read tables by their names, by their OIDs in pg_proc.dat: query_to_xml and
// its kin, ts_stat, ts_rewrite.
func runner(oid int) bool {
	switch oid {
	case 2923, 2924, 2926, 2927, 2929, 2930, 2933, 2934, 2935, 2936, 2937, 2938, 3685, 3689, 3690:
		return true
	}
	return false
}

// sendFunctionRefused answers a FunctionCall of a function whose arguments
// would have to be read.
func (s *Session) sendFunctionRefused() {
	plan := refused(rewrite.FunctionCall())
	s.queue.push(request{kind: functionCall, plan: plan})
	s.ToServer.encode(&pgproto3.Query{String: sentinel})
	s.Observer.Statement("call", rewrite.Refused.String())
}

// reserved reports whether a client's statement or portal has the name of our
// own. What we prepared is not for it to run.
func reserved(name []byte) bool { return string(name) == ownName }

func (s *Session) reserved() error {
	s.fatal("42939", fmt.Sprintf("the name %q is reserved for the proxy", ownName), "Use another name for a prepared statement or portal.")
	return ErrEnded
}

// refuseOutdated answers a Bind or Execute of a statement whose names have
// come to stand for other tables.
func (s *Session) refuseOutdated() {
	s.clientSink = discard
	r := s.request(parse)
	r.plan, r.own = refused(rewrite.Outdated()), true
	s.ToServer.encode(&pgproto3.Parse{Name: ownName, Query: sentinel})
}

// request notes an extended-protocol message that asks for a reply. The caller
// says the rest about it, as with queue.add.
func (s *Session) request(kind requestKind) *request {
	s.batch = true
	return s.queue.add(kind)
}
