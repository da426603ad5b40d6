package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// returning makes RETURNING of a buried DELETE show the row as it was. An
// UPDATE returns the new row; all that differs in it is the marker, which was
// NULL, or the row would not have been live.
//
// Without this rule, DELETE FROM users .. RETURNING * shows a deleted_at that
// the row never had for the client.
func (r *rewriter) returning(x *pg.DeleteStmt, table *policy.Table, sc *scope, twice bool) {
	if len(x.ReturningList) == 0 {
		return
	}
	budget := maxLooks
	o := &oldRow{
		rewriter: r, x: x, table: table, scope: sc, qualifier: qualifier(x.Relation, table, twice), twice: twice,
		done: new(bool), budget: &budget, beliefs: map[string]belief{},
	}
	o.list(x.ReturningList)
	if budget < 0 {
		r.refuse("too-complex", x.Relation.Location)
	}
}

// maxLooks bounds the work on queries inside RETURNING, in nodes looked at.
const maxLooks = 1_000_000

// list replaces what has to be in a list of results: RETURNING's own, or that
// of a query inside it.
func (o *oldRow) list(targets []*pg.Node) {
	for _, n := range targets {
		t, ok := unwrap(n).(*pg.ResTarget)
		if !ok {
			o.inside(unwrap(n), false)
			continue
		}
		if c, ok := unwrap(t.Val).(*pg.ColumnRef); ok {
			o.item(c, t.Name != "")
			continue
		}
		edits := len(o.plan.changes)
		o.inside(unwrap(t.Val), false)
		if t.Name == "" && len(o.plan.changes) > edits {
			o.keepName(t)
		}
	}
}

// keepName gives an item whose name comes from inside it the name that it had
// before something there was replaced: deleted_at::text is called deleted_at,
// NULL::text is not.
func (o *oldRow) keepName(t *pg.ResTarget) {
	switch unwrap(t.Val).(type) {
	case *pg.TypeCast, *pg.CollateClause, *pg.CaseExpr, *pg.SubLink, *pg.A_Indirection:
	default:
		return
	}
	name, strength := figureName(unwrap(t.Val))
	if strength == 0 {
		return // ?column?, before and after
	}
	i := o.at(t.Location)
	if i < 0 {
		o.refuse("internal", t.Location)
		return
	}
	for ; i < len(o.toks) && !o.is(i, ',') && !o.is(i, ')') && !o.is(i, ';'); i++ {
		if o.is(i, '(') {
			i = o.closing(i)
		}
	}
	o.putAfter(i-1, " AS "+quote(name))
}

// oldRow replaces references to a deleted row's marker.
type oldRow struct {
	*rewriter
	x         *pg.DeleteStmt
	table     *policy.Table
	scope     *scope
	qualifier string
	twice     bool  // the target's bare name is that of another relation too: on its own it is ambiguous
	done      *bool // the rule has been noted
	budget    *int

	within   []*pg.SelectStmt // the queries inside RETURNING around this place, outermost first
	shadowed bool             // one of them has the target's name for itself
	beliefs  map[string]belief
}

// item replaces a column reference that is a whole RETURNING item.
func (o *oldRow) item(c *pg.ColumnRef, named bool) {
	switch kind := o.means(c); kind {
	case star, targetStar:
		if len(o.table.Columns) == 0 || kind == star && len(o.within) > 0 {
			return // nothing known to expand to; another query's columns
		}
		o.needsColumns(o.table, c.Location)
		list := o.columns(true)
		if kind == star {
			rest, ok := o.others()
			if !ok {
				o.refuse("returning-merged", c.Location, o.table.String())
				return
			}
			list = append(list, rest...)
		}
		o.put(c, strings.Join(list, ", "), true, named) // the server ignores a name for several columns
	case marker:
		value := o.was(c)
		if len(o.within) > 0 {
			value = o.live(c) // its ORDER BY may name the same column, and must have the same words
		}
		o.replaceItem(c, value+as(named, lastField(c)))
	case wholeRow:
		o.needsColumns(o.table, c.Location)
		if len(o.table.Columns) > 0 {
			o.replaceItem(c, o.row()+as(named, lastField(c)))
		}
	}
}

// as names an item that lost its name by being replaced.
func as(named bool, name string) string {
	if named {
		return ""
	}
	return " AS " + quote(name)
}

// inside replaces references in an expression. In a row constructor t.*
// stands for the columns, elsewhere for the row.
func (o *oldRow) inside(m any, inRow bool) {
	switch x := m.(type) {
	case nil, *pg.TypeName:
		return
	case *pg.ColumnRef:
		switch o.means(x) {
		case marker:
			o.replace(x, "("+o.live(x)+")")
		case wholeRow:
			o.needsColumns(o.table, x.Location)
			if len(o.table.Columns) > 0 {
				o.replace(x, o.row())
			}
		case targetStar:
			o.needsColumns(o.table, x.Location)
			if len(o.table.Columns) > 0 {
				if inRow {
					o.replace(x, strings.Join(o.columns(false), ", "))
				} else {
					o.replace(x, o.row())
				}
			}
		}
		return
	case *pg.SelectStmt:
		sub := *o
		sub.within = append(slices.Clip(o.within), x)
		sub.shadowed = o.shadowed || o.hides(x)
		sub.beliefs = map[string]belief{}
		sub.list(x.TargetList)
		targets := x.TargetList
		children(m, func(c any) {
			if len(targets) > 0 && c == unwrap(targets[0]) { // done above
				targets = targets[1:]
				return
			}
			sub.inside(c, false)
		})
		return
	}
	_, row := m.(*pg.RowExpr)
	children(m, func(c any) { o.inside(c, row) })
}

// hides reports whether some FROM clause in m has the target's name.
func (o *oldRow) hides(m any) bool {
	name := o.targetName()
	found := false
	var look func(any)
	look = func(m any) {
		if *o.budget--; *o.budget < 0 {
			found = true
			return
		}
		switch x := m.(type) {
		case nil:
			return
		case *pg.RangeVar:
			found = found || x.Alias == nil && x.Relname == name
		case *pg.Alias:
			found = found || x.Aliasname == name
		}
		if !found {
			children(m, look)
		}
	}
	look(m)
	return found
}

func (o *oldRow) targetName() string {
	if a := o.x.Relation.Alias; a != nil {
		return a.Aliasname
	}
	return o.x.Relation.Relname
}

// sets reports whether burying sets a column.
func (o *oldRow) sets(column string) bool {
	_, sets := was(o.table, column)
	return sets
}

// was writes what the column referred to held before.
func (o *oldRow) was(c *pg.ColumnRef) string {
	value, _ := was(o.table, lastField(c))
	return value
}

// live writes the same as part of an expression.
func (o *oldRow) live(c *pg.ColumnRef) string {
	names := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		names[i] = quote(f.GetString_().GetSval())
	}
	return unfolded(o.table, lastField(c), strings.Join(names, "."), o.was(c))
}

func lastField(c *pg.ColumnRef) string {
	return c.Fields[len(c.Fields)-1].GetString_().GetSval()
}

// columns lists the target's columns as they were. With named those that
// burying sets carry their names, as an item of a list of results must.
func (o *oldRow) columns(named bool) []string {
	list := make([]string, len(o.table.Columns))
	for i, c := range o.table.Columns {
		list[i] = o.qualifier + "." + quote(c.Name)
		value, sets := was(o.table, c.Name)
		if !sets {
			continue
		}
		if !named || len(o.within) > 0 {
			value = unfolded(o.table, c.Name, list[i], value)
		}
		list[i] = value
		if named {
			list[i] += " AS " + quote(c.Name)
		}
	}
	return list
}

// row writes the whole row as it was, of the table's own row type.
func (o *oldRow) row() string {
	return "ROW(" + strings.Join(o.columns(false), ", ") + ")::" + quote(o.table.Schema) + "." + quote(o.table.Relation)
}

// others lists what * means for the USING list. Joins that merge columns
// have no such list.
func (o *oldRow) others() ([]string, bool) {
	var list []string
	var add func(m any) bool
	add = func(m any) bool {
		name := ""
		switch x := m.(type) {
		case *pg.RangeVar:
			name = quote(x.Relname)
			if x.Alias != nil {
				name = quote(x.Alias.Aliasname)
			} else if x.Schemaname != "" {
				name = quote(x.Schemaname) + "." + name
			}
		case *pg.RangeTableSample:
			return add(unwrap(x.Relation))
		case *pg.RangeSubselect:
			name = quote(x.Alias.GetAliasname())
		case *pg.RangeFunction:
			if x.Alias == nil {
				return false
			}
			name = quote(x.Alias.Aliasname)
		case *pg.JoinExpr:
			if x.Alias == nil {
				if x.IsNatural || len(x.UsingClause) > 0 {
					return false
				}
				return add(unwrap(x.Larg)) && add(unwrap(x.Rarg))
			}
			name = quote(x.Alias.Aliasname)
		default:
			return false
		}
		list = append(list, name+".*")
		return true
	}
	for _, n := range o.x.UsingClause {
		if !add(unwrap(n)) {
			return nil, false
		}
	}
	return list, true
}

// replace puts words where a column reference stands.
func (o *oldRow) replace(c *pg.ColumnRef, words string) { o.put(c, words, false, false) }

// replaceItem puts words where an item stands that is nothing but a column
// reference. Parentheses around it go too: they cannot hold AS, and would make
// one row of several columns.
func (o *oldRow) replaceItem(c *pg.ColumnRef, words string) { o.put(c, words, true, false) }

// put replaces a column reference; with item the parentheses around it too,
// and with label the name behind it.
func (o *oldRow) put(c *pg.ColumnRef, words string, item, label bool) {
	i := o.at(c.Location)
	if i < 0 {
		o.refuse("internal", c.Location)
		return
	}
	end := i + 1
	if !o.is(i, '*') {
		end = o.nameEnd(i)
	}
	from := i
	for item && o.is(from-1, '(') && o.is(end, ')') {
		from, end = from-1, end+1
	}
	if label {
		if o.word(end, "as") {
			end++
		}
		end = min(o.identEnd(end), len(o.toks))
	}
	o.rewriter.replace(from, end-1, words)
	if !*o.done {
		*o.done = true
		o.touch(o.table, ReturnOld, c.Location, Buried)
	}
}
