package purge

import (
	"fmt"
	"slices"
	"strings"

	"tombstone/lifecycle"
)

// The names of what stands beside a row in a statement. A row itself has the name of its table, since a hold may say users.id.
const (
	referrer = `"tombstone referrer".`
	referred = `"tombstone referred".`
)

// Names and values are written as lifecycle writes them, and a row is live or not by the same conditions.
var (
	ident   = lifecycle.Ident
	idents  = lifecycle.Idents
	full    = lifecycle.Full
	literal = lifecycle.Literal
	live    = lifecycle.Live
	dead    = lifecycle.Dead
	shape   = lifecycle.Shape
)

// as ends a FROM item.
func as(alias string) string { return " AS " + strings.TrimSuffix(alias, ".") }

// alias is what a row of the leaf is called in a statement about it, with the point.
func (l *leaf) alias() string { return ident(l.of.Relation) + "." }

// from writes the leaf and no other table.
func (l *leaf) from(alias string) string { return "ONLY " + full(l.name) + as(alias) }

// rows writes the rows that a foreign key is about, as the server does.
func (k *reference) rows(alias string) string { return k.Child.Only() + as(alias) }

// alias is what a row of the child is called where its rule is asked.
func (k *reference) alias() string { return ident(k.Child.Relation) + "." }

// refer writes that a row of the child refers to a row of the leaf, and is another.
func (l *leaf) refer(k *reference, row, child string) string {
	text := k.Matches(row, child)
	if slices.Contains(l.above, k.child) {
		text += fmt.Sprintf(" AND NOT (%stableoid = %stableoid AND %sctid = %sctid)", child, row, child, row)
	}
	return text
}

// there writes that a row has not gone yet. Only a dry run has to say so.
func (g *graph) there(alias string) string {
	if !g.dry {
		return ""
	}
	return fmt.Sprintf(" AND NOT EXISTS (SELECT FROM pg_temp.tombstone_going g WHERE g.leaf = %stableoid AND g.place = %sctid)", alias, alias)
}

// unreferred writes that nothing refers to a row, in front of which there is AND.
//
// Without it, ON DELETE CASCADE would take live rows along, and SET NULL would cut their references.
func (g *graph) unreferred(l *leaf, row string) string {
	var b strings.Builder
	for _, k := range l.refs {
		fmt.Fprintf(&b, " AND NOT EXISTS (SELECT FROM %s WHERE %s%s)", k.rows(referrer), l.refer(k, row, referrer), g.there(referrer))
		if archived := g.remembered(l, k, row); archived != "" {
			b.WriteString(" AND NOT (" + archived + ")")
		}
	}
	return b.String()
}

// going writes that a row of the child is past its retention, and not held.
func (k *reference) going() string {
	if k.rule == nil || k.rule.cutoff.IsZero() {
		return "false"
	}
	return "(" + k.rule.expired(k.alias()) + ") AND " + k.rule.free()
}
