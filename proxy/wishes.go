package proxy

import (
	"slices"
	"strings"

	"tombstone/policy/catalog"
	"tombstone/rewrite"
)

// wishes is what a session keeps of the settings tombstone.*. The server holds them; they are read back with the names in scope,
// whenever they may have become others, and what the role may is looked at then: so no way to set one is a way around the policy.
//
// A function that sets one unseen is noticed at the next such occasion. Until then the session sees what it saw before, which its role
// may, and deletes as before.
type wishes struct {
	from  string // the client's address as host:port, which the server is told
	said  catalog.Asked
	wants bool // what the role may has to be read, though nothing is asked for yet

	// Cursors that show something protected: whether each is WITH HOLD. And the portals and cursors, by name, that were opened when the
	// session asked for something else.
	cursors  map[string]bool
	outdated map[string]bool
}

// asking is the question for the names in scope.
func (s *Session) asking(rights bool) string {
	a := catalog.Asking{First: s.env.Path == nil, Client: s.wishes.from}
	if rights {
		a.Rights = s.Rights
	}
	return a.SQL()
}

// rights is what an answer says that the role may. Where the policy lets nobody do anything, the server need not be asked.
func (s *Session) rights(q *refresh) rewrite.Rights {
	if may := q.names.May; s.Rights != "" && may != nil {
		return rewrite.Rights{Known: true, See: may[0], Restore: may[1], Purge: may[2]}
	}
	return rewrite.Rights{Known: s.Rights == "" || q.rights}
}

// heed takes in what an answer says of the settings. It reports false if it has to be asked what the role may.
func (s *Session) heed(q *refresh) bool {
	n, rights := q.names, s.rights(q)
	asks := rewrite.Ask(n.Asked, rights)
	if !rights.Known && (asks != nil || s.wishes.wants) {
		s.wishes.wants = true
		return false
	}
	for _, set := range rewrite.Settings(s.wishes.said, n.Asked, rights) {
		s.logSetting(set, n.Role, n.Database)
	}
	s.wishes.said, s.wishes.wants, s.forgotten = n.Asked, false, false
	s.env.Rights = rights
	if s.env.Asks.Key() != asks.Key() {
		s.names++
		s.outdate()
	}
	s.env.Asks = asks
	return true
}

// logSetting tells of a setting that has changed, or was not allowed to. role is the current one, "" if it is not known.
func (s *Session) logSetting(set rewrite.Setting, role, database string) {
	value := set.Value
	if len(value) > 100 {
		value = value[:100] + ".."
	}
	s.Log.Info("a setting of a session", "user", s.params["user"], "role", role, "database", database, "setting", set.Name, "value", strings.Clone(value), "allowed", set.Allowed)
}

// outdate notes that what is open was opened under other settings.
//
// Without it, a cursor shows deleted rows to whoever has the connection after the one who might see them.
func (s *Session) outdate() {
	note := func(name string) {
		if s.wishes.outdated == nil {
			s.wishes.outdated = map[string]bool{}
		}
		s.wishes.outdated[name] = true
		s.opened = true
	}
	for name := range s.wishes.cursors {
		note(name)
	}
	for name, p := range s.portals.others {
		if p.shows() {
			note(name)
		}
	}
	if s.portals.there && s.portals.unnamed.shows() {
		note("")
	}
}

// shows reports whether a statement names something protected.
func (p *prepared) shows() bool {
	return p != nil && p.whole != nil && slices.ContainsFunc(p.whole.Stmts, func(st rewrite.Stmt) bool { return len(st.Touched) > 0 || st.Execute != "" })
}

// stale reports whether a statement reads from a cursor that was opened under other settings.
func (w *wishes) stale(st *rewrite.Stmt) bool {
	return st.Cursors == rewrite.Uses && w.outdated[keyOf(st.Cursor)]
}

// portal reports whether a portal was opened under other settings, or reads from a cursor that was.
func (w *wishes) portal(s *Session, port []byte) bool {
	name := key(port)
	u, _ := s.utilities.get(name)
	return w.outdated[name] || u.cursor != "" && w.outdated[u.cursor]
}

// cursor takes in what a statement that has succeeded did to cursors, and reports whether there is one now to keep in mind.
func (w *wishes) cursor(st *rewrite.Stmt) bool {
	name := keyOf(st.Cursor)
	switch st.Cursors {
	case rewrite.Declares, rewrite.Keeps:
		if w.cursors == nil {
			w.cursors = map[string]bool{}
		}
		w.cursors[name] = st.Cursors == rewrite.Keeps
		delete(w.outdated, name)
		return true
	case rewrite.Closes:
		delete(w.cursors, name)
		delete(w.outdated, name)
	case rewrite.ClosesAll:
		clear(w.cursors)
		clear(w.outdated)
	}
	return false
}

// ended forgets portals and cursors that have ended with their transaction, and reports whether any are left.
func (w *wishes) ended() bool {
	for name, holds := range w.cursors {
		if !holds {
			delete(w.cursors, name)
		}
	}
	for name := range w.outdated {
		if !w.cursors[name] {
			delete(w.outdated, name)
		}
	}
	return len(w.cursors) > 0
}

// backsUp returns why a program that writes backups is not let in, nil if it is.
//
// Without it, a backup through the proxy lacks every deleted row, and nobody knows until it is needed.
func (s *Session) backsUp() *rewrite.Refusal {
	program := s.params["application_name"]
	if program != "pg_dump" && program != "pg_dumpall" || s.env.Asks.Whole() || !s.env.Set.Protects() {
		return nil
	}
	why := s.env.Asks.Denied()
	if why == nil {
		why = rewrite.Dump(program)
	}
	s.Log.Warn("a backup is refused", "user", s.params["user"], "database", s.databaseNow(), "reason", why.Message)
	return why
}
