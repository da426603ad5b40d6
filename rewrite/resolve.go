package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
	"tombstone/policy/catalog"
)

// target resolves the relation that a statement changes. The server looks for
// it among real relations only: a common table expression of the same name
// does not hide it.
//
// Without this rule, WITH users AS (SELECT 1) DELETE FROM users would pass
// for a DELETE from the common table expression, and really delete.
//
// deletes says that rows are to be deleted from it.
//
// Without the refusals, a DELETE through a view really deletes, and an UPDATE
// changes rows that are gone.
func (r *rewriter) target(rv *pg.RangeVar, deletes bool) *policy.Table {
	table, indirect := r.find(rv, nil)
	if indirect != nil && indirect.View() && indirect.Open && !deletes {
		r.refuse("view-update", rv.Location, indirect.String(), indirect.Over.String())
		return nil
	}
	if deletes {
		switch {
		case indirect != nil && indirect.View():
			r.refuse("view-delete", rv.Location, indirect.String(), indirect.Over.String())
			return nil
		case table != nil && table.Mixed != nil:
			r.refuse("view-delete", rv.Location, table.String(), table.Mixed.String())
			return nil
		case table != nil && table.Instead:
			r.refuse("view-instead", rv.Location, table.String())
			return nil
		case table != nil && table.Checked:
			r.refuse("view-check", rv.Location, table.String())
			return nil
		}
	}
	return r.found(rv, table, indirect)
}

// lookup resolves a name as the server does. It returns the protected table
// that the name stands for, or nil.
func (r *rewriter) lookup(rv *pg.RangeVar, sc *scope) *policy.Table {
	table, indirect := r.find(rv, sc)
	return r.found(rv, table, indirect)
}

func (r *rewriter) found(rv *pg.RangeVar, table *policy.Table, indirect *policy.Indirect) *policy.Table {
	if (table != nil || indirect != nil) && !r.answers(rv, table, indirect) {
		return nil
	}
	switch {
	case indirect != nil && indirect.View():
		// Its tombstones cannot be told here. If it was created through the
		// proxy it shows none.
		if indirect.Open {
			r.touch(indirect.Over, ViewOpen, rv.Location, Passed)
		}
	case indirect != nil && rv.Inh: // ONLY a parent shows none of its protected children
		r.refuse("parent", rv.Location, indirect.String(), indirect.Over.String())
	case table != nil && r.forbid != "":
		r.refuse(r.forbid, rv.Location, table.String())
	case table != nil && table.Unreadable:
		r.unmarkable(table, rv.Location)
	default:
		return table
	}
	return nil
}

func (r *rewriter) find(rv *pg.RangeVar, sc *scope) (*policy.Table, *policy.Indirect) {
	set, name := r.env.Set, rv.Relname
	if rv.Schemaname != "" {
		if rv.Schemaname == "pg_temp" || strings.HasPrefix(rv.Schemaname, "pg_temp_") {
			return nil, nil
		}
		if r.uncertain(name, false) || r.schemas && set.Covers(name) {
			r.refuse("moved-names", rv.Location, name)
			return nil, nil
		}
		return set.Find(rv.Schemaname, name)
	}
	if sc.has(name) {
		return nil, nil
	}
	if r.uncertain(name, r.moved) {
		r.refuse("moved-names", rv.Location, name)
		return nil, nil
	}
	if r.path != nil {
		return r.searchSet(rv)
	}
	for _, schema := range r.env.Path {
		if strings.HasPrefix(schema, "pg_temp_") {
			for _, t := range r.env.Temp {
				if t == name {
					if r.reveals && set.Named(name) {
						r.refuse("moved-names", rv.Location, name)
					}
					return nil, nil
				}
			}
			continue
		}
		if set.Exists(schema, name) {
			return r.unlessHidden(rv, schema)
		}
	}
	return nil, nil
}

// unlessHidden returns what a name found in a schema stands for. If it is
// nothing protected, it may be all that hides something that is, and an
// earlier DROP of the same text may have taken it away.
//
// Without this rule, DROP TABLE a.parent; DELETE FROM users deletes for real
// from public.users where a.users was a partition of a.parent.
func (r *rewriter) unlessHidden(rv *pg.RangeVar, schema string) (*policy.Table, *policy.Indirect) {
	table, indirect := r.env.Set.Find(schema, rv.Relname)
	if table == nil && indirect == nil && r.reveals && r.env.Set.Named(rv.Relname) {
		r.refuse("moved-names", rv.Location, rv.Relname)
	}
	return table, indirect
}

// uncertain reports whether what a name stands for may have changed since
// the names in scope were read.
func (r *rewriter) uncertain(name string, moved bool) bool {
	if r.env.Stale {
		r.stale = true
	}
	r.plan.Depends = true
	if moved && r.env.Set.Named(name) || r.tainted[name] || r.anything {
		return true
	}
	return (r.unknown || r.defined[name]) && r.env.Set.Covers(name)
}

// unmarkable refuses a statement that cannot do without the table's marker.
func (r *rewriter) unmarkable(table *policy.Table, offset int32) {
	r.refuse("no-marker", offset, table.Problem)
	if f := r.stmt.Refusal; f.Rule == "no-marker" {
		f.Hint = table.Fix
	}
}

// columnsOf returns the columns of the relation that a name stands for.
// Relations whose columns were not read have no column that is some policy's
// marker; known says that there is such a relation.
func (r *rewriter) columnsOf(rv *pg.RangeVar) (columns []catalog.Column, known bool) {
	if rv.Schemaname != "" {
		return r.env.Set.Columns(rv.Schemaname, rv.Relname)
	}
	for _, schema := range r.searched() {
		if columns, known = r.env.Set.Columns(schema, rv.Relname); known {
			return columns, true
		}
	}
	return nil, false
}
