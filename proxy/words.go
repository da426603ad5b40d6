package proxy

import (
	"strings"

	"tombstone/proxy/wire"
	"tombstone/rewrite"
)

// updateWords are what the server says of an UPDATE that it would have said
// of the client's DELETE in other words.
var updateWords = []struct{ code, update, delete string }{
	{"25006", "cannot execute UPDATE in ", "cannot execute DELETE in "},
	{"55000", "cannot update view ", "cannot delete from view "},
	{"55000", "To enable updating the view, provide an INSTEAD OF UPDATE trigger or an unconditional ON UPDATE DO INSTEAD rule.",
		"To enable deleting from the view, provide an INSTEAD OF DELETE trigger or an unconditional ON DELETE DO INSTEAD rule."},
	{"55000", "cannot update table ", "cannot delete from table "}, // that has no replica identity
	{"42P10", "cannot update table ", "cannot delete from table "}, // whose replica identity lacks columns that its publication looks at
	{"0A000", "cannot update foreign table ", "cannot delete from foreign table "},
	{"55000", "does not allow updates", "does not allow deletes"}, // a foreign table, by its server's options
	{"55000", "and publishes updates", "and publishes deletes"},
	{"55000", "To enable updating the table, set REPLICA IDENTITY using ALTER TABLE.", "To enable deleting from the table, set REPLICA IDENTITY using ALTER TABLE."},
}

// reword makes an error about the UPDATE that a statement became one about
// the statement itself. It reports whether it changed anything.
func (s *Session) reword(r *request, notice wire.Notice) bool {
	verb, top := s.verb(r)
	if verb == "" {
		return false
	}
	changed := false
	for _, w := range updateWords {
		if w.code != notice.Get('C') || w.code == "25006" && !top {
			continue // in a read-only transaction the statement as a whole is named
		}
		for _, field := range []byte{'M', 'H'} {
			old := notice.Get(field)
			words := strings.Replace(old, w.update, w.delete, 1)
			if verb == "TRUNCATE" {
				words = strings.Replace(words, "execute DELETE", "execute TRUNCATE TABLE", 1)
			}
			if words != old {
				notice.Set(field, words)
				changed = true
			}
		}
	}
	return changed
}

// verb returns what an UPDATE of the server's was for the client: DELETE,
// TRUNCATE, or "" if it was an UPDATE. top says that it was not in a WITH.
func (s *Session) verb(r *request) (verb string, top bool) {
	plan, _ := s.planned(r)
	tag := rewrite.TagAsSent
	buried, deletes := false, false
	if plan != nil && r.stmt < len(plan.Stmts) {
		st := &plan.Stmts[r.stmt]
		tag, buried, deletes = st.Tag, st.Action == rewrite.Buried, st.Deletes
		if p := s.statement(keyOf(st.Execute)); st.Execute != "" && p != nil {
			tag = p.tag
		}
	}
	switch {
	case tag == rewrite.TagTruncate:
		return "TRUNCATE", true
	case tag == rewrite.TagDelete:
		return "DELETE", true
	case buried:
		return "DELETE", deletes
	}
	return "", false
}
