package proxy

import (
	"bytes"
	"fmt"

	"tombstone/proxy/wire"
)

// maxNotice is the size in bytes up to which an error or notice is read. A
// longer one is passed on as it is.
const maxNotice = 1 << 20

// serverHead says how much of a server's message must be seen together.
func (s *Session) serverHead(typ byte, size int) (int, error) {
	switch typ {
	case 'E', 'N':
		return min(size, maxNotice), nil
	case 'C', 'Z', 'S', 'R', 'K', 'v', 'G':
		if size > maxNotice {
			return 0, fmt.Errorf("message %q has an invalid length of %d bytes", typ, size)
		}
		return size, nil
	case 'D':
		if r := s.queue.first(); r != nil && r.kind == refreshing {
			return size, nil
		}
	}
	return 0, nil
}

// serverPart handles a message of the server or a piece of one.
func (s *Session) serverPart(part *wire.Part) error {
	if !part.First {
		if s.serverSink == forward {
			s.ToClient.pass(part.Raw, part.Lent)
		}
		return nil
	}
	s.serverSink = forward
	err := s.message(part)
	if err != nil {
		return err
	}
	// At the beginning of a COPY, Syncs that were sent turn out to have ended nothing: what waits may need a Flush now.
	if len(s.in) > 0 && (s.phase == ready && (s.queue.empty() || s.full && (s.roomy() || part.Type == 'G')) || s.phase == logging && s.asked) {
		return s.resume()
	}
	return nil
}

// rows passes on what most bytes from a server are, rows and COPY data that
// the client has asked for, as many messages as p begins with. It returns how
// many bytes that was. serverPart does the same with one, at ten times the cost.
func (s *Session) rows(p []byte) int {
	if typ := p[0]; s.phase != ready || typ != 'D' && typ != 'd' {
		return 0
	}
	if r := s.queue.first(); s.eaten > 0 || r == nil || r.kind != query && r.kind != execute {
		return 0
	}
	n := s.server.Skip(p, p[0])
	if n > 0 {
		s.serverSink = forward
		s.ToClient.pass(p[:n], true)
	}
	return n
}

func (s *Session) message(part *wire.Part) error {
	switch part.Type {
	case 'N':
		return s.notice(part)
	case 'A':
		return s.pass(part)
	case 'S':
		s.parameter(part.Body())
		return s.pass(part)
	}
	if s.phase == logging {
		return s.login(part)
	}
	return s.reply(part)
}

// pass hands a message to the client as it came.
func (s *Session) pass(part *wire.Part) error {
	s.ToClient.pass(part.Raw, part.Lent)
	return nil
}

// swallow keeps a message, with what is still to come of it, from the client.
func (s *Session) swallow() error {
	s.serverSink = discard
	return nil
}

// login passes authentication through, up to the first ReadyForQuery.
func (s *Session) login(part *wire.Part) error {
	switch part.Type {
	case 'Z':
		if s.suits != nil {
			if err := s.suits(s.role); err != nil {
				s.Observer.Login("no server")
				s.fatal("08006", err.Error(), err.hint())
				return ErrEnded
			}
		}
		s.Observer.Login("ok")
		if replication(s.params["replication"]) {
			s.phase = replicates
			if err := s.pass(part); err != nil {
				return err
			}
			return s.resume()
		}
		s.phase = ready
		s.Rules = s.Current.Load()
		if !s.looks() {
			s.status, s.entered = 'I', true
			if err := s.pass(part); err != nil {
				return err
			}
			return s.resume()
		}
		s.heldRFQ = bytes.Clone(part.Raw)
		set, seen, due := s.Snapshots.database(s.database()).current(s.Now())
		s.env.Set, s.seen = set, seen
		s.stale, s.reread = true, set == nil || due
		s.refresh()
		return nil
	case 'R':
		const ok, sasl, saslFinal = 0, 10, 12
		f := wire.Read(part.Body())
		kind := f.Int32()
		s.asked = kind != ok && kind != saslFinal
		if kind == sasl {
			return s.mechanisms(part, &f)
		}
	case 'K':
		s.key = string(part.Body())
	case 'E':
		s.Observer.Login("failed")
		s.doomed = true
		return s.loginFailed(part)
	}
	return s.pass(part)
}

// parameter keeps the settings that say how the server reads text.
func (s *Session) parameter(body []byte) {
	f := wire.Read(body)
	name, value := f.String(), f.String()
	if !f.OK() {
		return
	}
	switch string(name) {
	case "standard_conforming_strings":
		s.backslash = string(value) == "off"
	case "client_encoding":
		s.encoding = string(value)
	case "server_encoding":
		s.serverEncoding = string(value)
	case "in_hot_standby", "default_transaction_read_only":
		s.role.note(string(name), string(value))
	case "search_path": // reported from PostgreSQL 18 on
		s.stale = true
	}
}

// multibyte reports whether the server counts characters rather than bytes in
// error positions.
func (s *Session) multibyte() bool {
	return (s.encoding == "UTF8" || s.encoding == "") && s.serverEncoding != "SQL_ASCII"
}

// reply matches a message with the request that it answers.
func (s *Session) reply(part *wire.Part) error {
	r := s.queue.first()
	if r == nil {
		if part.Type == 'Z' && s.eaten > 0 {
			// The COPY failed before the server read a Sync that came early.
			s.eaten--
			s.skipping = false
			f := wire.Read(part.Body())
			s.settle(f.Byte(), s.batches)
			return s.pass(part)
		}
		if part.Type == 'E' { // nobody asked: the server ends the session
			s.doomed = true
			return s.pass(part)
		}
		return s.unexpected(part, "no request")
	}
	if r.kind == refreshing {
		return s.refreshed(r, part)
	}
	if s.eaten > 0 && pastCopy(r, part.Type) {
		s.eaten = 0
	}
	switch part.Type {
	case 'E':
		return s.failed(r, part)
	case 'Z':
		return s.readyForQuery(r, part)
	case '1':
		switch {
		case r.kind == query && r.plan.Probe:
			return s.swallow()
		case r.kind != parse:
			return s.unexpected(part, "no Parse")
		case !r.own:
			s.accepted(r)
		}
		return s.answered(r, part)
	case '2':
		if r.kind != bind {
			return s.unexpected(part, "no Bind")
		}
		if s.opened {
			delete(s.wishes.outdated, r.port)
		}
		if p := s.statement(r.name); p != nil {
			s.portals.set(r.port, p)
		} else {
			s.portals.remove(r.port)
		}
		return s.answered(r, part)
	case '3':
		switch r.kind {
		case closeStatement:
			s.statements.remove(r.name)
		case closePortal:
			s.portals.remove(r.port)
		default:
			return s.unexpected(part, "no Close")
		}
		return s.answered(r, part)
	case 't':
		if r.kind != describeStatement {
			return s.unexpected(part, "no Describe")
		}
		return s.pass(part)
	case 'T', 'n':
		switch r.kind {
		case describeStatement, describePortal:
			return s.answered(r, part)
		case query:
			return s.pass(part)
		}
		return s.unexpected(part, "no Describe")
	case 'C', 'I', 's':
		return s.completed(r, part)
	case 'G':
		if r.kind != query && r.kind != execute {
			return s.unexpected(part, "no COPY")
		}
		ended, dropped := s.queue.copyIn()
		s.copying = !ended
		if s.copying {
			s.taken = 0 // only this request is left, and it is answered when the data has come
		}
		if dropped > 0 && r.kind == execute {
			s.eaten += dropped
			s.batch = s.batch || !s.queue.syncs() // they ended nothing
		}
		return s.pass(part)
	case 'D', 'H', 'd', 'c':
		if r.kind != query && r.kind != execute {
			return s.unexpected(part, "no query")
		}
		return s.pass(part)
	case 'V':
		if r.kind != functionCall {
			return s.unexpected(part, "no function call")
		}
		return s.pass(part)
	}
	return s.unexpected(part, "unknown type")
}

// pastCopy reports whether a reply shows that the server is past a COPY that
// failed, and past every Sync that was sent before r: it answers in order.
//
// Without it, a Sync that the COPY has read is still awaited when a much later
// pipeline fails, and that ends the session.
func pastCopy(r *request, typ byte) bool {
	switch r.kind {
	case parse, bind, describeStatement, describePortal, closeStatement, closePortal:
		return typ != 'Z'
	case query, functionCall:
		return typ != 'Z' && typ != 'E' && typ != 'G' // those may be about the COPY itself
	}
	return false
}

// answered passes a reply on, unless it is to a request of our own, and turns
// to the next request.
func (s *Session) answered(r *request, part *wire.Part) error {
	own := r.own
	s.queue.pop()
	if own {
		return s.swallow()
	}
	return s.pass(part)
}

// unexpected ends the session: whose reply this is cannot be known, and
// giving it to the wrong request is the one thing that must not happen.
func (s *Session) unexpected(part *wire.Part, why string) error {
	return s.violation(fmt.Errorf("the server sent message %q where %s awaits it", part.Type, why))
}

// readyForQuery ends a query, a batch or a function call.
func (s *Session) readyForQuery(r *request, part *wire.Part) error {
	switch r.kind {
	case query, sync, functionCall:
	default:
		return s.unexpected(part, "no Sync")
	}
	if r.kind == query {
		s.statements.forget() // a Query ends the statement without a name
	}
	f := wire.Read(part.Body())
	batch := r.batch
	s.queue.pop()
	s.settle(f.Byte(), batch)
	if s.renews && s.queue.empty() && !s.client.Streaming() {
		s.renew(part)
		return nil
	}
	s.renews = false
	return s.pass(part)
}

// renew reads the relations anew that this session has changed, before the
// client hears that they are. Another session whose transaction began before
// the change cannot read them: its snapshot is older, and it goes by what was
// read here.
//
// Without it, that session's next statement is refused (40001) until some
// other session happens to read what has changed.
func (s *Session) renew(part *wire.Part) {
	s.renews = false
	s.heldRFQ = bytes.Clone(part.Raw)
	s.stale, s.reread = true, true
	s.refresh()
}

// settle takes in the transaction status that a ReadyForQuery reports at the
// end of a batch.
func (s *Session) settle(status byte, batch uint64) {
	s.status = status
	s.copying = false
	s.flushed = false
	idle := s.queue.empty()
	if idle {
		s.batch, s.lexing = false, false
	}
	if s.ends {
		s.ends = !idle && s.endsIn > batch
		s.leave() // COMMIT AND CHAIN ends one transaction and begins another
	}
	if status != 'I' {
		return
	}
	// Portals end with their transaction.
	s.portals.clear()
	if idle && s.opened {
		s.opened = s.wishes.ended()
	}
	if idle {
		s.effects.clear()
		s.utilities.clear()
		s.bindings.clear()
	}
	s.behind = false
	if s.env.Dirty {
		s.stale = true
		if s.dirtyCatalog {
			s.reread = true
			s.leave()
		}
		if idle { // else what is on its way may be what made it dirty
			s.renews = s.dirtyCatalog
			s.env.Dirty, s.dirtyCatalog = false, false
		}
	}
	if s.private {
		s.private, s.reread = false, true
	}
}
