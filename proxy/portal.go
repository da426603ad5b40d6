package proxy

import "tombstone/rewrite"

// checkPortal looks at a portal that is about to be run and was bound before the policy became another. A read may go on: it
// sees what was there when it was bound.
//
// Without it, the DELETE of a portal that was bound while its table was only observed would really delete when it is
// run after the table is enforced.
func (s *Session) checkPortal(port string) verdict {
	s.reload()
	if s.reloads == 0 || !s.enforces() {
		return fine
	}
	if at, ok := s.bindings.get(port); ok && at == s.reloads {
		return fine
	}
	if !s.queue.empty() { // its Bind may be on its way
		s.drain()
		return wait
	}
	p := s.portal(port)
	switch {
	case p == nil && s.blind, p != nil && p.whole == unseen:
		return outdated
	case p == nil || p.whole == nil || !depends(p.whole):
		return fine
	case (s.stale || s.reread) && !s.aborted():
		s.refresh()
		return wait
	}
	s.env.Stale, s.env.Failed = false, s.aborted()
	s.reading()
	switch plan := s.Plans.Rewrite(p.sql, &s.env, s.scratch); {
	case plan.Stale: // what the role may is not known
		s.wishes.wants = true
		s.refresh()
		return wait
	case !plan.Same(p.whole) && changesRows(plan):
		return outdated
	}
	s.looked(port)
	return fine
}

// looked notes that what a portal runs has been looked at under the policy as it is.
func (s *Session) looked(port string) {
	if s.reloads > 0 {
		s.bindings.set(port, s.reloads)
	}
}

// changesRows reports whether a plan edits or refuses a statement that does more than read.
func changesRows(plan *rewrite.Plan) bool {
	if !plan.Edited() && !plan.Probe {
		return false
	}
	for i := range plan.Stmts {
		if st := &plan.Stmts[i]; st.Kind == "select" && st.Action <= rewrite.Hidden {
			return false
		}
	}
	return true
}
