package proxy

import (
	"tombstone/rewrite"
)

// prepared is a prepared statement that the server has accepted.
type prepared struct {
	plan   *rewrite.Plan // of a Parse; nil for one made by PREPARE
	whole  *rewrite.Plan // of the text that made it, PREPARE included
	sql    string        // that text, if whole edits it or depends on names
	names  uint64        // Session.names when it was planned
	tag    rewrite.Tag
	buries string
}

func newPrepared(r *request) *prepared {
	p := &prepared{plan: r.plan, whole: r.plan, sql: r.sql, names: r.names}
	if len(r.plan.Stmts) == 1 {
		p.tag, p.buries = r.plan.Stmts[0].Tag, r.plan.Stmts[0].Buries
	}
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

// prepares reports whether a text makes a prepared statement.
func prepares(plan *rewrite.Plan) bool {
	for i := range plan.Stmts {
		if plan.Stmts[i].Prepare != "" {
			return true
		}
	}
	return false
}

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
	if s.skipping || s.Policy.Empty() {
		return fine
	}
	p := s.statements[name]
	changing := (s.stale || s.reread) && (s.status != 'E' || s.batch)
	if !changing && (p == nil || p.names == s.names) {
		return fine
	}
	// A Parse of that name may be on its way: then that is what will run.
	pending := s.queue.parsing(name)
	switch {
	case pending != nil && (!pending.Depends || !changing):
		return fine
	case pending != nil:
		s.drain()
		return wait
	case p == nil || p.whole == nil || !p.whole.Depends:
		return fine
	case changing && !s.queue.empty():
		s.drain()
		return wait
	case changing:
		s.refresh()
		return wait
	}
	s.env.Stale = false
	s.env.Encoding = s.encoding
	if !rewrite.Rewrite(p.sql, &s.env).Same(p.whole) {
		return outdated
	}
	p.names = s.names
	return fine
}

// bound notes what running a portal may change: that of the statement that it
// is bound to, which may still be on its way.
//
// Without it, a prepared SELECT set_config('search_path', $1, false) would
// change what names mean when it is run again, and nobody would ask.
func (s *Session) bound(port, name string) {
	if s.skipping {
		return
	}
	plan := s.queue.parsing(name)
	if p := s.statements[name]; plan == nil && p != nil {
		plan = p.whole
	}
	c := rewrite.Changes(0)
	if plan != nil {
		c = plan.Changes
		for i := range plan.Stmts {
			c |= s.effectOf(&plan.Stmts[i])
		}
	}
	if c == 0 {
		delete(s.effects, port)
		return
	}
	s.effects[port] = c
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
	if plan := s.queue.parsing(keyOf(st.Execute)); plan != nil {
		return plan.Changes
	}
	if p := s.statements[keyOf(st.Execute)]; p != nil && p.whole != nil {
		return p.whole.Changes
	}
	return 0
}

// executes looks at a query's EXECUTE and FETCH statements: whether what they
// run still means the same, and what it changes. It returns the plan to
// follow, or false if names have to be read first.
func (s *Session) executes(plan *rewrite.Plan, sql string) (*rewrite.Plan, bool) {
	changes := rewrite.Changes(0)
	for i := range plan.Stmts {
		st := &plan.Stmts[i]
		if changes != 0 && plan.Depends {
			// What follows was planned without knowing of the change.
			return rewrite.RefuseWhole(sql, rewrite.Moved()), true
		}
		if st.Execute != "" {
			switch s.check(keyOf(st.Execute)) {
			case wait:
				return nil, false
			case outdated:
				return rewrite.RefuseWhole(sql, rewrite.Outdated()), true
			}
		}
		changes |= s.effectOf(st)
	}
	s.changes(changes)
	return plan, true
}
