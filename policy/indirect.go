package policy

import (
	"slices"
	"strings"

	"tombstone/policy/catalog"
)

// Indirect is a relation that is not protected but shows rows of one that
// is: a view without its marker, or a parent of a protected child.
type Indirect struct {
	catalog.Name
	Kind byte
	Over *Table // one of the protected tables it shows

	// Open: a view whose query does not look at the marker of something it
	// reads, so that tombstones show through it.
	Open bool
}

// View reports whether it is a view or a materialized one, rather than a
// parent.
func (i *Indirect) View() bool { return isView(i.Kind) }

// View reports whether the table is a view, or a materialized one, that shows
// the marker of a protected table.
func (t *Table) View() bool { return isView(t.Kind) }

func isView(kind byte) bool { return kind == 'v' || kind == 'm' }

// findIndirect follows protected children up to their parents, then views down
// to what they read. A view that shows the marker of what it reads is as good
// as a protected table, but not one of a parent that is not protected itself: a
// DELETE through it would mark other children's rows too.
func (s *Set) findIndirect() {
	s.untilSettled(func(r *catalog.Relation) (changed bool) {
		for _, oid := range r.Parents {
			if parent := s.catalog.ByOID(oid); parent != nil {
				changed = s.addIndirect(parent, s.over(r.OID)) || changed
			}
		}
		return changed
	})
	s.untilSettled(func(r *catalog.Relation) (changed bool) {
		add := s.addView
		if slices.ContainsFunc(r.Reads, s.mixed) || s.foreign(r) {
			add = s.addIndirect
		}
		for _, oid := range r.Reads {
			changed = add(r, s.over(oid)) || changed
		}
		return changed
	})
}

func (s *Set) untilSettled(look func(*catalog.Relation) bool) {
	for changed := true; changed; {
		changed = false
		for i := range s.catalog.Relations {
			changed = look(&s.catalog.Relations[i]) || changed
		}
	}
}

// mixed reports whether a relation is a parent that is not protected but has a
// protected child.
func (s *Set) mixed(oid uint32) bool {
	r := s.catalog.ByOID(oid)
	if r == nil {
		return false
	}
	i := s.indirect[r.Name]
	return i != nil && !i.View()
}

// findOpen tells the views that show tombstones from those that test the
// marker without showing it, as those do that were created through the proxy.
func (s *Set) findOpen() {
	hides := map[uint32]bool{}
	var look func(r *catalog.Relation) bool
	look = func(r *catalog.Relation) bool {
		if known, seen := hides[r.OID]; seen {
			return known
		}
		hides[r.OID] = true
		for _, oid := range r.Reads {
			from := s.catalog.ByOID(oid)
			if from == nil || s.over(oid) == nil || slices.Contains(r.Tests, oid) {
				continue
			}
			if s.tables[from.Name] != nil && !isView(from.Kind) || !look(from) {
				hides[r.OID] = false
			}
		}
		return hides[r.OID]
	}
	for _, i := range s.indirect {
		if r := s.catalog.Find(i.Name); isView(i.Kind) && r != nil {
			i.Open = !look(r)
		}
	}
}

// foreign reports whether a view's column that is called like a marker is that
// of a table that is not protected.
func (s *Set) foreign(r *catalog.Relation) bool {
	return len(r.Shows) > 0 && !slices.ContainsFunc(r.Shows, func(oid uint32) bool { return s.over(oid) != nil })
}

// over returns the protected table that a relation is or shows.
func (s *Set) over(oid uint32) *Table {
	r := s.catalog.ByOID(oid)
	if r == nil {
		return nil
	}
	if t := s.tables[r.Name]; t != nil {
		return t
	}
	if i := s.indirect[r.Name]; i != nil {
		return i.Over
	}
	return nil
}

func (s *Set) addIndirect(r *catalog.Relation, t *Table) bool {
	if t == nil || s.tables[r.Name] != nil || s.indirect[r.Name] != nil {
		return false
	}
	s.indirect[r.Name] = &Indirect{Name: r.Name, Kind: r.Kind, Over: t}
	return true
}

func (s *Set) addView(r *catalog.Relation, t *Table) bool {
	if t == nil || s.tables[r.Name] != nil {
		return false
	}
	i := r.Column(t.Marker)
	if i < 0 || t.Unmarked || t.Unreadable || base(r.Columns[i].Type) != base(t.MarkerType) {
		return s.addIndirect(r, t)
	}
	rule := s.policy.childRule(t)
	view := newTable(r.Name, rule)
	view.Kind, view.Columns, view.Ordinal, view.Instead = r.Kind, r.Columns, i, r.Instead
	view.mark(rule)
	// No column of a view is declared NOT NULL, and under an outer join any
	// may be NULL.
	view.Live = Live{Value: t.Live.Value, Nullable: true}
	checked, tests := s.checks(r)
	view.Checked = checked && tests
	if slices.ContainsFunc(r.Shows, func(oid uint32) bool { return s.over(oid) == nil }) {
		view.Mixed = t
	}
	s.tables[r.Name] = view
	delete(s.indirect, r.Name)
	return true
}

// checks reports whether a view, or one that it reads, has a check option, and
// whether one of them looks at the marker.
func (s *Set) checks(r *catalog.Relation) (checked, tests bool) {
	checked, tests = r.Checked, len(r.Tests) > 0
	for _, oid := range r.Reads {
		if from := s.catalog.ByOID(oid); from != nil && isView(from.Kind) && from != r {
			c, t := s.checks(from)
			checked, tests = checked || c, tests || t
		}
	}
	return checked, tests
}

// base returns a type's name without its precision.
func base(typ string) string {
	name, rest, ok := strings.Cut(typ, "(")
	if _, zone, found := strings.Cut(rest, ")"); ok && found {
		return name + zone
	}
	return name
}
