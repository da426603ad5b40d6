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
