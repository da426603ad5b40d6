package proxy

import (
	"tombstone/policy"
	"tombstone/rewrite"
)

// Rules is what sessions go by and a reload can change. It does not change itself; another takes its place, and each
// session follows at its next statement.
type Rules struct {
	Policy         *policy.Policy
	Snapshots      *Snapshots
	StatementBytes int // largest text of a Query or Parse that is read
	MessageBytes   int // largest message that a client may send
	Literals       bool
	Rights         string // how to ask what a role may, see catalog.Rights
}

// reload goes over to the newest rules. It is called before a statement is planned, or a prepared one is run.
//
// Without it, a table that the operator has just protected would be deleted from for as long as sessions stay open.
func (s *Session) reload() {
	now := s.Current.Load()
	if now == s.Rules {
		return
	}
	before, looked := s.Rules, s.looks()
	s.Rules = now
	if now.Rights != before.Rights {
		s.names++
		s.stale, s.wishes.wants = true, s.wishes.wants || s.env.Asks != nil
		s.env.Rights = rewrite.Rights{}
	}
	if now.Snapshots == before.Snapshots {
		return
	}
	s.names++
	s.reloads++
	s.stale, s.reread, s.digest = true, true, digest{}
	s.blind = s.blind || !looked
	s.wary = now.Policy.Empty() && (!before.Policy.Empty() || s.wary)
	s.unable = false
	set, seen, _ := now.Snapshots.database(s.databaseNow()).current(s.Now())
	switch {
	case set != nil && !s.private && s.status == 'I':
		s.env.Set, s.seen = set, seen
	case s.env.Set != nil: // until the server has been asked, which a text that names anything waits for
		s.env.Set = s.env.Set.Under(now.Policy)
	default:
		s.env.Set = now.Policy.Unknown(s.database())
	}
	s.begun, s.own = now.Snapshots.changes(s.databaseNow()), 0
	if s.status != 'I' {
		// What others changed since the transaction began is not known here. It may not see it, so it is taken for behind.
		s.begun--
	}
	s.env.Dirty = s.env.Dirty || s.status != 'I' // what ends a transaction that has failed comes before the server can be asked
	s.named()
	s.doubt()
}

// looks reports whether statements have to be looked at. Where nothing is protected they need not be, unless some were
// prepared when something was, or something is observed.
func (s *Session) looks() bool { return s.enforces() || s.Policy.Observes() && !s.unable }

// enforces reports whether a statement may have to be refused: something is protected, or was when some were prepared. What is
// only observed is no reason.
func (s *Session) enforces() bool { return s.wary || !s.Policy.Empty() }
