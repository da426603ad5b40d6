package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v5"
)

// meaning is what a column reference in RETURNING of a buried DELETE stands
// for.
type meaning int

const (
	other      meaning = iota
	star               // *
	targetStar         // t.*
	marker             // the target's marker, or another column that burying sets
	wholeRow           // t
)

// means says what a column reference stands for, as far as it is about the
// target.
func (o *oldRow) means(c *pg.ColumnRef) meaning {
	names := make([]string, 0, 4)
	starred := false
	for _, f := range c.Fields {
		switch x := unwrap(f).(type) {
		case *pg.String:
			names = append(names, x.Sval)
		case *pg.A_Star:
			starred = true
		}
	}
	rel := o.x.Relation
	qualified := func(q []string) bool {
		switch {
		case o.shadowed:
			return false
		case len(q) == 1:
			return q[0] == o.targetName() && !o.twice
		case rel.Alias != nil || len(q) == 0:
			return false
		}
		return q[len(q)-1] == rel.Relname && q[len(q)-2] == o.table.Schema
	}
	switch {
	case starred && len(names) == 0:
		return star
	case starred:
		if qualified(names) {
			return targetStar
		}
	case len(names) == 1:
		kind := other
		switch {
		case o.sets(names[0]):
			kind = marker
		case names[0] == o.targetName() && !o.shadowed && !o.twice && !o.column(names[0]):
			kind = wholeRow
		default:
			return other
		}
		switch o.bare(names[0]) {
		case targets:
			return kind
		case unclear:
			o.refuse("returning-unclear", c.Location, names[0], o.table.String())
		}
	case len(names) > 1:
		if o.sets(names[len(names)-1]) && qualified(names[:len(names)-1]) {
			return marker
		}
	}
	return other
}

func (o *oldRow) column(name string) bool {
	for i := range o.table.Columns {
		if o.table.Columns[i].Name == name {
			return true
		}
	}
	return false
}
