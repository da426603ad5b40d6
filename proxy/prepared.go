package proxy

import (
	"tombstone/rewrite"
)

// prepared is a prepared statement that the server has accepted.
type prepared struct {
	name   string        // of one made by Parse
	plan   *rewrite.Plan // of a Parse; nil for one made by PREPARE
	whole  *rewrite.Plan // of the text that made it, PREPARE included
	sql    string        // that text, if whole edits it or depends on names
	names  uint64        // Session.names when it was planned
	tag    rewrite.Tag
	buries string
}

// accepted notes that the server has accepted a Parse.
//
// Where what has no name was prepared before, its memory is used again. A portal that was bound to it may still be there:
// hence there are two to choose from, and none if there may be other portals.
func (s *Session) accepted(r *request) {
	var p *prepared
	switch {
	case r.name != "" || len(s.portals.others) > 0:
		p = new(prepared)
	case s.portals.unnamed == &s.unnamed[0]:
		p = &s.unnamed[1]
	default:
		p = &s.unnamed[0]
	}
	*p = prepared{name: r.name, plan: r.plan, whole: r.plan, sql: r.sql, names: r.names}
	if len(r.plan.Stmts) == 1 {
		p.tag, p.buries = r.plan.Stmts[0].Tag, r.plan.Stmts[0].Buries
	}
	s.statements.set(r.name, p)
}

// statement returns what is known of a prepared statement, or nil.
func (s *Session) statement(name string) *prepared {
	p, _ := s.statements.get(name)
	return p
}

// portal returns the prepared statement that a portal was bound to, or nil.
func (s *Session) portal(name string) *prepared {
	p, _ := s.portals.get(name)
	return p
}

// stmt returns what is known of the one statement, or nil.
func (p *prepared) stmt() *rewrite.Stmt {
	if p == nil || p.plan == nil || len(p.plan.Stmts) != 1 {
		return nil
	}
	return &p.plan.Stmts[0]
}

// key is the part of a statement's or portal's name that the server tells
// names apart by (NAMEDATALEN less its NUL).
func key(name []byte) string { return string(name[:min(len(name), 63)]) }

func keyOf(name string) string { return name[:min(len(name), 63)] }

// nameOf returns the key of the name of a prepared statement, without a copy of its
// own if the server has one of that name.
func (s *Session) nameOf(name []byte) string {
	if len(name) == 0 {
		return ""
	}
	name = name[:min(len(name), 63)]
	if p := s.statements.others[string(name)]; p != nil && p.name == string(name) {
		return p.name
	}
	return string(name)
}

// prepares reports whether a text makes a prepared statement.
func prepares(plan *rewrite.Plan) bool {
	for i := range plan.Stmts {
		if plan.Stmts[i].Prepare != "" {
			return true
		}
	}
	return false
}

// runsPrepared reports whether a text runs a prepared statement.
func runsPrepared(plan *rewrite.Plan) bool {
	for i := range plan.Stmts {
		if plan.Stmts[i].Execute != "" {
			return true
		}
	}
	return false
}

// sending is a Parse or PREPARE that is on its way.
type sending struct {
	plan  *rewrite.Plan
	batch uint64 // Session.batches when a Parse was sent, 0 for a PREPARE
}

// sent notes that a plan's statement is on its way to become a prepared
// statement of that name.
func (s *Session) sent(name string, plan *rewrite.Plan, batch uint64) {
	s.sendings.set(name, sending{plan, batch})
}

// sentPrepares notes the PREPAREs of a text that is about to be sent.
func (s *Session) sentPrepares(plan *rewrite.Plan) {
	for i := range plan.Stmts {
		if name := plan.Stmts[i].Prepare; name != "" {
			s.sent(keyOf(name), plan, 0)
		}
	}
}

// doubt has what is on its way looked at once it has arrived.
//
// Without it, the DELETE of a Parse that was sent before the policy changed would run as it is by a Bind that is sent after.
func (s *Session) doubt() {
	s.sendings.unnamed.batch = 0
	for name, p := range s.sendings.others {
		p.batch = 0
		s.sendings.set(name, p)
	}
}

// parsing returns the plan of the last statement of that name that is on its
// way, or nil. sure says that it will be there when what is sent next is run:
// a Parse of an earlier batch, or a PREPARE, may yet fail and leave an older
// statement of that name.
func (s *Session) parsing(name string) (plan *rewrite.Plan, sure bool) {
	if s.sendings.empty() {
		return nil, false
	}
	if s.queue.empty() { // all have arrived, or failed
		s.sendings.clear()
		return nil, false
	}
	p, ok := s.sendings.get(name)
	return p.plan, ok && p.batch == s.batches
}

// utility is what a portal of a utility statement has to be checked for when
// it is run: its own statement, and the one that it executes.
type utility struct{ name, inner, cursor string }

// verdict says whether a prepared statement may be run.
type verdict int

const (
	fine     verdict = iota
	wait             // not known yet: names are being read
	outdated         // its names have come to stand for other tables
)

// check looks at a prepared statement that is about to be run. The server
// resolves its names anew when search_path or a relation has changed, and so
// does the plan made for it.
//
// Without it, a DELETE that was prepared while users meant an unprotected
// table would really delete from the protected one that it means after
// SET search_path.
func (s *Session) check(name string) verdict {
	s.reload()
	if !s.looks() {
		return fine
	}
	s.follow()
	p := s.statement(name)
	changing := (s.stale || s.reread) && !s.aborted()
	if !changing && (p == nil && !s.blind || p != nil && p.names == s.names) {
		return fine
	}
	// A Parse of that name may be on its way: then that is what will run.
	pending, sure := s.parsing(name)
	switch {
	case pending != nil && sure && (!depends(pending) || !changing):
		return fine
	case pending != nil:
		s.drain()
		return wait
	case p == nil && s.blind, p != nil && p.whole == unseen:
		// It was made when nothing was protected, so nobody knows what it does.
		if !s.enforces() {
			return fine
		}
		return outdated
	case p == nil || p.whole == nil || !depends(p.whole):
		return fine
	case changing && !s.queue.empty():
		s.drain()
		return wait
	case changing:
		s.refresh()
		return wait
	}
	return s.same(p)
}

// same looks whether the text that made a prepared statement still leads to the same plan.
func (s *Session) same(p *prepared) verdict {
	s.env.Stale, s.env.Failed = false, s.aborted()
	s.reading()
	plan := s.Plans.Rewrite(p.sql, &s.env, s.scratch)
	switch {
	case plan.Stale: // what the role may is not known
		s.wishes.wants = true
		if s.queue.empty() {
			s.refresh()
		} else {
			s.drain()
		}
		return wait
	case s.behind && s.enforces() || !plan.Same(p.whole):
		return outdated
	}
	p.names = s.names
	p.observed(plan)
	return fine
}

// depends reports whether a plan could be another by the time that its statement is run.
func depends(p *rewrite.Plan) bool { return p.Depends || p.Heeds }

// bound notes what running a portal may change: that of the statement that it
// is bound to, which may still be on its way.
//
// Without it, a prepared SELECT set_config('search_path', $1, false) would
// change what names mean when it is run again, and nobody would ask.
func (s *Session) bound(port, name string) {
	if !s.looks() {
		return
	}
	c := rewrite.Changes(0)
	pending, sure := s.parsing(name)
	plans := [2]*rewrite.Plan{pending}
	if p := s.statement(name); p != nil && !sure {
		plans[1] = p.whole
	}
	s.utilities.remove(port)
	for _, plan := range plans {
		if plan == nil {
			continue
		}
		c |= plan.Changes
		for i := range plan.Stmts {
			st := &plan.Stmts[i]
			c |= s.effectOf(st)
			switch st.Kind {
			case "select", "insert", "update", "delete", "begin", "transaction":
				if st.Cursors != rewrite.Uses {
					continue
				}
			}
			u := utility{name: name, inner: keyOf(st.Execute)}
			if st.Cursors == rewrite.Uses {
				u.cursor = keyOf(st.Cursor)
			}
			if depends(plan) || u.inner != "" || u.cursor != "" {
				s.utilities.set(port, u)
			}
		}
	}
	if c == 0 {
		s.effects.remove(port)
		return
	}
	s.effects.set(port, c)
	if port != "" {
		s.cursors |= c // FETCH knows it too
	}
}

// effectOf says what a statement may change by running something that was
// prepared or declared before: EXECUTE and FETCH.
func (s *Session) effectOf(st *rewrite.Stmt) rewrite.Changes {
	switch {
	case st.Kind == "cursor":
		return s.cursors
	case st.Execute == "":
		return 0
	}
	c := rewrite.Changes(0)
	if plan, _ := s.parsing(keyOf(st.Execute)); plan != nil {
		c = plan.Changes
	}
	if p := s.statement(keyOf(st.Execute)); p != nil && p.whole != nil {
		c |= p.whole.Changes
	}
	return c
}

// moves reports whether a text may change what names mean.
func (s *Session) moves(plan *rewrite.Plan) bool {
	return plan.Changes&^rewrite.EndsWork != 0 || plan.Changes != 0 && s.env.Dirty
}

// executes looks at a query's EXECUTE and FETCH statements: whether what they
// run still means the same, and what it changes. It returns the plan to
// follow, or false if names have to be read first.
func (s *Session) executes(plan *rewrite.Plan, sql string) (*rewrite.Plan, bool) {
	changes := rewrite.Changes(0)
	for i := range plan.Stmts {
		st := &plan.Stmts[i]
		if changes != 0 && plan.Depends && s.enforces() {
			// What follows was planned without knowing of the change.
			return rewrite.RefuseWhole(sql, rewrite.Moved()), true
		}
		if st.Execute != "" {
			if p := s.statement(keyOf(st.Execute)); len(plan.Stmts) > 1 && s.enforces() && s.moves(plan) && p != nil && p.whole != nil && p.whole.Depends {
				// A statement before it may change what it means.
				return rewrite.RefuseWhole(sql, rewrite.Moved()), true
			}
			switch s.check(keyOf(st.Execute)) {
			case wait:
				return nil, false
			case outdated:
				return rewrite.RefuseWhole(sql, rewrite.Outdated()), true
			}
		}
		if s.opened && s.wishes.stale(st) {
			return rewrite.RefuseWhole(sql, rewrite.Outdated()), true
		}
		changes |= s.effectOf(st)
	}
	s.changes(changes)
	return plan, true
}
