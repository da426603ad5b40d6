package proxy

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/wire"
	"tombstone/rewrite"
)

// lent makes a string of bytes that the client sent, for as long as they are being handled: then others will stand there.
// What is kept of a text must be a copy, see Scratch.Keep.
//
// Without it, each statement would leave garbage of its size.
func lent(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// clientQuery plans and sends the text of a simple Query.
func (s *Session) clientQuery(part *wire.Part) (bool, error) {
	if s.tooLarge(part.Type, part.Size) {
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
	sql := lent(text)
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
	if plan.Probe || plan.Edited() || depends(plan) && prepares(plan) || runsPrepared(plan) {
		sql = s.scratch.Keep(sql)
	} else {
		sql = ""
	}
	s.changes(plan.Changes)
	s.count(plan)
	s.sentPrepares(plan)
	if s.batch {
		s.endBatch()
	}
	s.batches++
	switch {
	case plan.Probe:
		// A Parse asks the server for its opinion without running anything.
		// What follows it runs only if the server had no objection.
		s.ToServer.encode(&pgproto3.Parse{Query: sql})
		s.ToServer.encode(&pgproto3.Parse{Query: sentinel})
		s.ToServer.encode(&pgproto3.Sync{})
		s.queue.push(request{kind: query, plan: plan, sql: sql, batch: s.batches - 1})
	case plan.Edited():
		s.sendQuery(plan, sql)
	default:
		r := s.queue.add(query)
		r.plan, r.sql, r.names, r.batch = plan, sql, s.names, s.batches-1
		s.ToServer.pass(part.Raw, part.Lent)
	}
	return true, nil
}

func (s *Session) sendQuery(plan *rewrite.Plan, sql string) {
	r := s.queue.add(query)
	r.plan, r.sql, r.names, r.batch = plan, sql, s.names, s.batches-1
	start := len(s.ToServer.copied())
	out := append(s.ToServer.own, 'Q', 0, 0, 0, 0)
	out = append(s.scratch.Append(out, plan, sql), 0)
	s.ToServer.own = sized(out, start)
}

// sentinel is a statement that fails when it is analysed.
var sentinel = refused(nil).Apply("")

// refused is the plan of a text that is refused before it is looked at.
func refused(why *rewrite.Refusal) *rewrite.Plan { return rewrite.RefuseWhole("", why) }

// clientParse plans and sends the text of a Parse.
func (s *Session) clientParse(part *wire.Part) (bool, error) {
	f := wire.Read(part.Body())
	name := f.String()
	if s.tooLarge(part.Type, part.Size) {
		if !f.OK() {
			return false, s.violation(fmt.Errorf("the name in a Parse message is too long"))
		}
		s.clientSink = discard
		refusal := rewrite.TooLarge(s.StatementBytes)
		r := s.request(parse)
		r.name, r.plan = key(name), refused(refusal)
		s.ToServer.encode(&pgproto3.Parse{Name: string(name), Query: sentinel})
		s.Log.Warn("statement refused", "rule", refusal.Rule, "reason", refusal.Message)
		return true, nil
	}
	text := f.String()
	if !f.OK() {
		return false, s.violation(fmt.Errorf("invalid string in message"))
	}
	if reserved(name) {
		return false, s.reserved()
	}
	sql := lent(text)
	plan := s.plan(sql)
	if plan == nil {
		return false, s.ended()
	}
	s.note(plan, sql)
	if plan.Probe || plan.Edited() || depends(plan) || runsPrepared(plan) {
		sql = s.scratch.Keep(sql)
	} else {
		sql = ""
	}
	// A transaction ends when the statement runs, see bound: one that has failed
	// answers no question before.
	s.changes(plan.Changes &^ rewrite.EndsWork)
	s.sent(key(name), plan, s.batches)
	s.sentPrepares(plan)
	if plan.Probe {
		s.probe(name, plan, sql)
	}
	r := s.request(parse)
	r.name, r.plan, r.sql, r.names = key(name), plan, sql, s.names
	switch {
	case plan.Probe:
		s.ToServer.encode(&pgproto3.Parse{Name: string(name), Query: sentinel})
	case plan.Edited():
		start := len(s.ToServer.copied())
		out := append(append(append(s.ToServer.own, 'P', 0, 0, 0, 0), name...), 0)
		out = append(s.scratch.Append(out, plan, sql), 0)
		s.ToServer.own = sized(append(out, f.Rest()...), start)
	default:
		s.ToServer.pass(part.Raw, part.Lent)
	}
	if len(plan.Stmts) == 1 && plan.Stmts[0].Refusal != nil {
		s.count(plan) // it will never be executed
	}
	return true, nil
}

// probe asks the server for its opinion of a Parse's text, under our own name.
// What takes the place of the client's Parse runs only if it had no objection.
func (s *Session) probe(name []byte, plan *rewrite.Plan, sql string) {
	if len(name) == 0 {
		// A Parse without a name ends the statement that has none, even if it fails.
		s.ToServer.encode(&pgproto3.Close{ObjectType: 'S'})
		s.request(closeStatement).own = true
	}
	s.ToServer.encode(&pgproto3.Close{ObjectType: 'S', Name: ownName})
	r := s.request(closeStatement)
	r.name, r.own = ownName, true
	s.ToServer.encode(&pgproto3.Parse{Name: ownName, Query: sql})
	r = s.request(parse)
	r.name, r.plan, r.sql, r.own = ownName, plan, sql, true
}

// sized writes the length of the message that starts at that place.
func sized(out []byte, start int) []byte {
	binary.BigEndian.PutUint32(out[start+1:], uint32(len(out)-start-1))
	return out
}
