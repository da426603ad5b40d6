package policy

import (
	"slices"
	"strings"
)

// Observing is the Set as it would be if the tables that are only observed were
// protected, and those are marked so; nil if there are none. It serves to tell
// what would be done, and nothing is ever done by it.
func (s *Set) Observing() *Set { return s.observing }

// Enforces reports whether the policy protects anything, here or in another
// database. If not, no statement is edited or refused.
func (s *Set) Enforces() bool { return !s.policy.Empty() }

// observe resolves what is only observed. Of a table that is protected all the
// same, as a child of one that is, nothing is left to observe.
func (s *Set) observe() {
	if s.policy.observed == nil {
		return
	}
	s.observing = s.policy.observed.Resolve(s.catalog)
	for n, t := range s.observing.tables {
		t.Observed = t.Observed && s.tables[n] == nil
	}
}

// lacks notes that a table that is only observed does not have a column yet.
// What would be done to its rows is told as if it had.
//
// Without it, nothing could be learned of a table before its marker is there: of
// every DELETE it would only be said that it would be refused for want of one.
func (s *Set) lacks(t *Table) {
	if t.Observed && !t.Unreadable && t.Problem != "" {
		s.lacking = append(s.lacking, Warning{t.String(), t.Problem, t.Fix})
		t.Problem, t.Fix = "", ""
	}
}

// Missing lists what this database lacks for the tables that are only observed
// to be enforced, beyond what Warnings says of those that are.
func (s *Set) Missing() []Warning {
	if s.observing == nil {
		return nil
	}
	known := s.Warnings()
	list := slices.Clone(s.observing.lacking)
	for _, w := range s.observing.Warnings() {
		if !slices.Contains(known, w) {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b Warning) int { return strings.Compare(a.Table+a.Problem, b.Table+b.Problem) })
	return list
}
