package policy

import (
	"strings"

	"tombstone/policy/catalog"
)

// Indirect is a relation that is not protected but shows rows of one that
// is: a view without its marker, or a parent of a protected child.
type Indirect struct {
	catalog.Name
	Kind byte
	Over *Table // one of the protected tables it shows
}

// View reports whether it is a view or a materialized one, rather than a
// parent.
func (i *Indirect) View() bool { return i.Kind == 'v' || i.Kind == 'm' }

// View reports whether the table is a view, or a materialized one, that shows
// the marker of a protected table.
func (t *Table) View() bool { return t.Kind == 'v' || t.Kind == 'm' }

// findIndirect follows views down to what they read, and protected children
// up to their parents. A view that shows the marker of what it reads is as
// good as a protected table.
func (s *Set) findIndirect() {
	for changed := true; changed; {
		changed = false
		for i := range s.catalog.Relations {
			r := &s.catalog.Relations[i]
			for _, oid := range r.Reads {
				changed = s.addView(r, s.over(oid)) || changed
			}
			for _, oid := range r.Parents {
				if parent := s.catalog.ByOID(oid); parent != nil {
					changed = s.addIndirect(parent, s.over(r.OID)) || changed
				}
			}
		}
	}
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
	s.tables[r.Name] = view
	delete(s.indirect, r.Name)
	return true
}

// base returns a type's name without its precision.
func base(typ string) string {
	name, rest, ok := strings.Cut(typ, "(")
	if _, zone, found := strings.Cut(rest, ")"); ok && found {
		return name + zone
	}
	return name
}
