package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/wire"
	"tombstone/rewrite"
	"tombstone/rewrite/lex"
)

// Limits on a client's messages in bytes. The server has the same for small
// messages (PQ_SMALL_MESSAGE_LIMIT in libpq.h).
const (
	smallMessage = 10000
	bindHead     = 16 << 10 // must hold the names at the front of a Bind
	parseHead    = 16 << 10 // the same for a Parse that is too large to read
)

// clientHead says how much of a client's message must be seen together.
func (s *Session) clientHead(typ byte, size int) (int, error) {
	switch typ {
	case 'Q':
		if size > s.StatementBytes {
			return 0, nil
		}
		return size, nil
	case 'P':
		if size > s.StatementBytes {
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
	case 'd', 'f', 'p', 'F':
		return 0, nil
	}
	return 0, fmt.Errorf("invalid frontend message type %d", typ)
}

// holding reports whether the message that starts with typ has to wait.
func (s *Session) holding(typ byte) bool {
	if s.client.Partial() {
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

// clientPart handles a message or a piece of one. It reports false if the
// message has to wait for what the server says.
func (s *Session) clientPart(part *wire.Part) (bool, error) {
	if !part.First {
		if s.clientSink == forward {
			s.ToServer = append(s.ToServer, part.Raw...)
		}
		return true, nil
	}
	s.clientSink = forward
	if s.phase == logging && s.asked && part.Type != 'X' {
		if part.Type != 'p' {
			return false, s.violation(fmt.Errorf("expected password response, got message type %d", part.Type))
		}
		s.asked = false
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
		switch s.check(key(name)) {
		case wait:
			return false, s.ended()
		case outdated:
			s.refuseOutdated()
			return true, nil
		}
		s.bound(key(port), key(name))
		s.request(request{kind: bind, port: key(port), name: key(name)})
	case 'D', 'C':
		what, name := f.Byte(), f.String()
		if !f.OK() {
			return false, s.violation(fmt.Errorf("invalid message format of %q", part.Type))
		}
		r := request{kind: describePortal, port: key(name)}
		switch {
		case part.Type == 'D' && what == 'S':
			r = request{kind: describeStatement, name: key(name)}
		case part.Type == 'C' && what == 'S':
			r = request{kind: closeStatement, name: key(name)}
		case part.Type == 'C':
			r = request{kind: closePortal, port: key(name)}
		}
		s.request(r)
	case 'E':
		port := f.String()
		if !f.OK() {
			return false, s.violation(fmt.Errorf("invalid message format of %q", part.Type))
		}
		if u, ok := s.utilities[key(port)]; ok {
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
		s.changes(s.effects[key(port)])
		s.request(request{kind: execute, port: key(port)})
	case 'F':
		s.queue.push(request{kind: functionCall})
		s.changes(rewrite.ChangesNames | rewrite.ChangesLexing) // it may be set_config
	case 'S':
		if s.copying {
			s.eaten++
		} else {
			s.queue.push(request{kind: sync})
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
	s.ToServer = append(s.ToServer, part.Raw...)
	return true, nil
}

// refuseOutdated answers a Bind or Execute of a statement whose names have
// come to stand for other tables.
func (s *Session) refuseOutdated() {
	s.clientSink = discard
	s.request(request{kind: parse, plan: refused(rewrite.Outdated()), own: true})
	s.ToServer = encode(s.ToServer, &pgproto3.Parse{Name: ownName, Query: sentinel})
}

// request notes an extended-protocol message that asks for a reply.
func (s *Session) request(r request) {
	s.batch = true
	s.queue.push(r)
}

// clientQuery plans and sends the text of a simple Query.
func (s *Session) clientQuery(part *wire.Part) (bool, error) {
	if part.Size > s.StatementBytes {
		s.clientSink = discard
		refusal := rewrite.TooLarge(s.StatementBytes)
		s.sendQuery(refused(refusal), "")
		s.Log.Warn("statement refused", "rule", refusal.Rule, "reason", refusal.Message)
		return true, nil
	}
	f := wire.Read(part.Body())
	text := f.String()
	if !f.OK() || len(f.Rest()) > 0 {
		return false, s.violation(fmt.Errorf("invalid string in message"))
	}
	sql := string(text)
	plan := s.plan(sql)
	if plan == nil {
		return false, s.ended()
	}
	plan, ok := s.executes(plan, sql)
	if !ok {
		return false, s.ended()
	}
	if plan.Probe && s.batch {
		// The Sync of a probe would end the client's batch.
		plan = rewrite.RefuseWhole(sql, plan.Refusal)
	}
	s.note(plan, sql)
	s.count(plan)
	s.sentPrepares(plan)
	s.batches++
	switch {
	case plan.Probe:
		// A Parse asks the server for its opinion without running anything.
		// What follows it runs only if the server had no objection.
		s.ToServer = encode(s.ToServer, &pgproto3.Parse{Query: sql})
		s.ToServer = encode(s.ToServer, &pgproto3.Parse{Query: sentinel})
		s.ToServer = encode(s.ToServer, &pgproto3.Sync{})
		s.queue.push(request{kind: query, plan: plan, sql: sql})
	case plan.Edited():
		s.sendQuery(plan, sql)
	default:
		r := request{kind: query, plan: plan, names: s.names}
		if plan.Depends && prepares(plan) {
			r.sql = sql
		}
		s.queue.push(r)
		s.ToServer = append(s.ToServer, part.Raw...)
	}
	return true, nil
}

func (s *Session) sendQuery(plan *rewrite.Plan, sql string) {
	s.queue.push(request{kind: query, plan: plan, sql: sql, names: s.names})
	out := append(s.ToServer, 'Q', 0, 0, 0, 0)
	out = append(plan.Append(out, sql, s.tokens(sql)), 0)
	s.ToServer = sized(out, len(s.ToServer))
}

// sentinel is a statement that fails when it is analysed.
var sentinel = refused(nil).Apply("")

// refused is the plan of a text that is refused before it is looked at.
func refused(why *rewrite.Refusal) *rewrite.Plan { return rewrite.RefuseWhole("", why) }

// clientParse plans and sends the text of a Parse.
func (s *Session) clientParse(part *wire.Part) (bool, error) {
	f := wire.Read(part.Body())
	name := f.String()
	if part.Size > s.StatementBytes {
		if !f.OK() {
			return false, s.violation(fmt.Errorf("the name in a Parse message is too long"))
		}
		s.clientSink = discard
		refusal := rewrite.TooLarge(s.StatementBytes)
		s.request(request{kind: parse, name: key(name), plan: refused(refusal)})
		s.ToServer = encode(s.ToServer, &pgproto3.Parse{Name: string(name), Query: sentinel})
		s.Log.Warn("statement refused", "rule", refusal.Rule, "reason", refusal.Message)
		return true, nil
	}
	text := f.String()
	if !f.OK() {
		return false, s.violation(fmt.Errorf("invalid string in message"))
	}
	sql := string(text)
	plan := s.plan(sql)
	if plan == nil {
		return false, s.ended()
	}
	s.note(plan, sql)
	s.sent(key(name), plan, s.batches)
	s.sentPrepares(plan)
	r := request{kind: parse, name: key(name), plan: plan, names: s.names}
	if plan.Depends {
		r.sql = sql
	}
	switch {
	case plan.Probe:
		r.sql = sql
		s.ToServer = encode(s.ToServer, &pgproto3.Close{ObjectType: 'S', Name: ownName})
		s.request(request{kind: closeStatement, name: ownName, own: true})
		s.ToServer = encode(s.ToServer, &pgproto3.Parse{Name: ownName, Query: sql})
		s.request(request{kind: parse, name: ownName, plan: plan, sql: sql, own: true})
		s.ToServer = encode(s.ToServer, &pgproto3.Parse{Name: string(name), Query: sentinel})
		s.request(r)
	case plan.Edited():
		r.sql = sql
		s.request(r)
		out := append(append(append(s.ToServer, 'P', 0, 0, 0, 0), name...), 0)
		out = append(plan.Append(out, sql, s.tokens(sql)), 0)
		s.ToServer = sized(append(out, f.Rest()...), len(s.ToServer))
	default:
		s.request(r)
		s.ToServer = append(s.ToServer, part.Raw...)
	}
	if len(plan.Stmts) == 1 && plan.Stmts[0].Refusal != nil {
		s.count(plan) // it will never be executed
	}
	return true, nil
}

// sized writes the length of the message that starts at that place.
func sized(out []byte, start int) []byte {
	binary.BigEndian.PutUint32(out[start+1:], uint32(len(out)-start-1))
	return out
}

// tokens returns the tokens of the text that was planned last if it is sql,
// which is not so for the empty text of a refusal.
func (s *Session) tokens(sql string) []lex.Token {
	if sql == "" {
		return nil
	}
	return s.scratch.Tokens()
}

// plan decides what becomes of a text. It returns nil if that depends on
// names that have to be read first; their reading has then begun, or begins
// when the replies that are on their way have come.
func (s *Session) plan(sql string) *rewrite.Plan {
	if s.Policy.Empty() {
		return &rewrite.Plan{}
	}
	now := s.Now()
	s.follow(now)
	idle := s.queue.empty()
	// In a transaction that has failed nothing is looked up, and nothing runs.
	s.env.Stale = (s.stale || s.reread) && (s.status != 'E' || s.batch)
	s.reading()
	plan := s.Plans.Rewrite(sql, &s.env, &s.scratch)
	if plan.Stale {
		if !idle {
			s.drain()
		} else {
			s.refresh()
		}
		return nil
	}
	s.Observer.Rewrite(s.Now().Sub(now))
	return plan
}

// follow takes in what other sessions have changed of the relations.
func (s *Session) follow(now time.Time) {
	database := s.env.Set.Database
	if s.private || s.status != 'I' || !s.queue.empty() {
		// Here another Set cannot just be taken: it is read anew.
		s.reread = s.reread || s.Snapshots.changes(database) != s.seen
		return
	}
	set, seen, due := s.Snapshots.current(database, now)
	if set != nil && set != s.env.Set {
		s.env.Set, s.seen = set, seen
		s.names++
		s.named()
	}
	s.reread = s.reread || due
}

// reading sets how the server will read text, as far as is known: it reports
// a change only with the next ReadyForQuery.
func (s *Session) reading() {
	s.env.Backslash, s.env.Encoding = s.backslash || s.lexing, s.encoding
	if s.lexing {
		s.env.Encoding = rewrite.Changing
	}
}

// drain makes the server answer what has been sent, so that nothing is on its
// way any more.
func (s *Session) drain() {
	if s.batch && !s.flushed {
		s.flushed = true
		s.ToServer = encode(s.ToServer, &pgproto3.Flush{})
	}
}

// note keeps what later statements must know of this one, which is about to
// be sent.
func (s *Session) note(plan *rewrite.Plan, sql string) {
	if plan.Unparsed {
		s.Observer.ParseFailure()
	}
	s.changes(plan.Changes)
	for i := range plan.Stmts {
		if plan.Stmts[i].Kind == "declare" {
			s.cursors |= plan.Changes
		}
	}
	if s.Log.Enabled(context.Background(), slog.LevelDebug) {
		s.logPlan(plan, sql)
	}
	for i := range plan.Stmts {
		if r := plan.Stmts[i].Refusal; r != nil {
			s.Log.Warn("statement refused", "rule", r.Rule, "sqlstate", r.Code, "reason", r.Message, "sql", s.loggable(sql))
		}
	}
}

// changes notes what a statement that is about to run may change.
func (s *Session) changes(c rewrite.Changes) {
	if c == 0 {
		return
	}
	if c&rewrite.ChangesLexing != 0 {
		s.lexing = true
	}
	if c&rewrite.EndsWork != 0 {
		s.ends = true
	}
	if c&rewrite.EndsWork != 0 && s.env.Dirty {
		s.stale, s.reread = true, s.reread || s.dirtyCatalog
	}
	if c&(rewrite.ChangesNames|rewrite.ChangesCatalog) != 0 {
		s.stale, s.env.Dirty = true, true
		if c&rewrite.ChangesCatalog != 0 {
			s.reread, s.dirtyCatalog = true, true
			s.Snapshots.changed(s.databaseNow())
		}
	}
}

func (s *Session) logPlan(plan *rewrite.Plan, sql string) {
	attrs := []any{"sql", s.loggable(sql)}
	if plan.Edited() {
		attrs = append(attrs, "sent", s.loggable(plan.Apply(sql)))
	}
	for i := range plan.Stmts {
		attrs = append(attrs, "action", plan.Stmts[i].Action.String())
	}
	s.Log.Debug("statement", attrs...)
}

// loggable returns a text as it may be logged.
func (s *Session) loggable(sql string) string {
	if s.Literals {
		return sql
	}
	return rewrite.Redact(sql)
}

// count tells the observer of a text's statements.
func (s *Session) count(plan *rewrite.Plan) {
	if len(plan.Stmts) == 0 { // not parsed, or empty
		action := rewrite.Passed
		if plan.Probe {
			action = rewrite.Refused
		}
		s.Observer.Statement("unknown", action.String())
	}
	for i := range plan.Stmts {
		s.countOne(&plan.Stmts[i])
	}
}

func (s *Session) countOne(st *rewrite.Stmt) {
	s.Observer.Statement(st.Kind, st.Action.String())
	for i := range st.Touched {
		t := &st.Touched[i]
		same := func(o rewrite.Touch) bool { return o.Table == t.Table && o.Action == t.Action }
		if !slices.ContainsFunc(st.Touched[:i], same) {
			s.Observer.Table(t.Table, t.Action.String())
		}
	}
}
