package policy

import (
	"fmt"
	"slices"
	"strings"

	"tombstone/policy/catalog"
)

// Warning is something about a database that an operator should know.
type Warning struct {
	Table   string
	Problem string
	Fix     string
}

// Warnings lists what this database lacks for the policy to keep its promise:
// tables that cannot be buried, and ways by which the server itself really
// deletes protected rows.
func (s *Set) Warnings() []Warning {
	var list []Warning
	for _, t := range s.Tables() {
		if t.Problem != "" {
			list = append(list, Warning{t.String(), t.Problem, t.Fix})
		}
	}
	for _, i := range s.indirect {
		if i.Open {
			list = append(list, Warning{
				Table:   i.Over.String(),
				Problem: fmt.Sprintf("view %q shows rows of protected table %q without looking at its marker: deleted rows show through it", i.String(), i.Over.String()),
				Fix:     "Create the view again through the proxy, or let it show the marker column.",
			})
		}
	}
	for i := range s.catalog.Relations {
		r := &s.catalog.Relations[i]
		if s.tables[r.Name] != nil {
			list = append(list, s.halfShown(r)...)
			continue
		}
		for _, oid := range r.CascadesTo {
			child := s.catalog.ByOID(oid)
			if child == nil || s.tables[child.Name] == nil {
				continue
			}
			list = append(list, Warning{
				Table:   child.Name.String(),
				Problem: fmt.Sprintf("a DELETE from %q, which is not protected, really deletes rows of protected table %q by ON DELETE CASCADE", r.Name.String(), child.Name.String()),
				Fix:     "Protect " + r.Name.String() + " as well.",
			})
		}
	}
	slices.SortFunc(list, func(a, b Warning) int { return strings.Compare(a.Table+a.Problem, b.Table+b.Problem) })
	return list
}

// HalfShown lists the protected tables whose rows a view shows without looking at their marker, while it shows that of another of its tables,
// and by that passes for a view of this one.
func (s *Set) HalfShown(view catalog.Name) []*Table {
	var list []*Table
	r := s.catalog.Find(view)
	if r == nil || s.tables[view] == nil || !isView(r.Kind) || len(r.Shows) == 0 {
		return nil
	}
	for _, oid := range r.Reads {
		t := s.over(oid)
		if t == nil || slices.Contains(r.Tests, oid) || slices.Contains(r.Shows, oid) {
			continue
		}
		if i := s.indirect[s.catalog.ByOID(oid).Name]; i != nil && !i.Open {
			continue // a view that tests it
		}
		list = append(list, t)
	}
	return list
}

func (s *Set) halfShown(r *catalog.Relation) []Warning {
	var list []Warning
	for _, t := range s.HalfShown(r.Name) {
		list = append(list, Warning{
			Table:   t.String(),
			Problem: fmt.Sprintf("view %q shows the marker of another of its tables, and rows of protected table %q without looking at its marker: deleted rows show through it", r.Name.String(), t.String()),
			Fix:     "Create the view again through the proxy.",
		})
	}
	return list
}

// Unfollowed lists the foreign keys that point at protected tables: rows that
// refer to a buried row stay as they are, since nothing is deleted that ON
// DELETE could act on. In a database that is prepared there are none.
func (s *Set) Unfollowed() map[string][]catalog.Name {
	if s.catalog.Prepared {
		return nil
	}
	keys := map[string][]catalog.Name{}
	for _, t := range s.tables {
		if len(t.ReferencedBy) > 0 {
			keys[t.String()] = t.ReferencedBy
		}
	}
	return keys
}
