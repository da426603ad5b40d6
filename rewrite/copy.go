package rewrite

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
)

// copy makes COPY t TO send live rows only, by copying a query that has the
// same columns.
//
//	COPY users (id, name) TO STDOUT
//	COPY (SELECT id, name FROM ONLY users WHERE users.deleted_at IS NULL) TO STDOUT
//
// Without this rule, every dump by COPY holds the deleted rows.
func (r *rewriter) copy(x *pg.CopyStmt) {
	if x.Query != nil {
		switch q := unwrap(x.Query).(type) {
		case *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt:
			r.modify(q, nil, true)
			r.stmt.Kind, r.stmt.Tag, r.stmt.Buries = "copy", TagAsSent, ""
		default:
			r.expr(q, nil)
		}
		return
	}
	if x.Relation == nil {
		return
	}
	if x.IsFrom {
		r.adds(x.Relation, "COPY FROM")
		r.expr(unwrap(x.WhereClause), nil)
		return
	}
	table, indirect := r.find(x.Relation, nil)
	switch {
	case table != nil && table.Kind != 'v' && !r.answers(x.Relation, table, nil):
		return
	case indirect != nil:
		return // COPY reads no children, and the server refuses views
	case table == nil:
		return
	case table.Kind == 'm':
		// PostgreSQL 18 copies them, tombstones and all.
		r.serverSays("42809", fmt.Sprintf("cannot copy from materialized view %q", table.Relation), "", "Try the COPY (SELECT ...) TO variant.")
		return
	case table.Kind == 'v':
		return // as below
	case table.Unreadable:
		r.unmarkable(table, x.Relation.Location)
		return
	}
	if table.Kind == 'p' || table.Kind == 'f' {
		return // the server refuses to copy those, in its own words
	}
	if table.Unmarked {
		r.touch(table, Unmarked, x.Relation.Location, Passed)
		return
	}
	test := r.test(x.Relation, table, false)
	if test == "" {
		r.seen(table, HideCopy, x.Relation.Location)
		return
	}
	i := r.at(x.Relation.Location)
	if i < 0 {
		r.refuse("internal", x.Relation.Location)
		return
	}
	columns := r.copied(x, table)
	if r.stmt.Refusal != nil {
		return
	}
	end := r.nameEnd(i)
	behind := end
	if len(x.Attlist) > 0 && r.is(end, '(') {
		behind = r.closing(end) + 1
	}
	if !r.oldOptions(i, behind) {
		r.refuse("copy-syntax", x.Relation.Location, table.String())
		return
	}
	r.putBefore(i, "(SELECT "+columns+" FROM ONLY ")
	r.putAfter(end-1, " WHERE "+test+")")
	if len(x.Attlist) > 0 && r.is(end, '(') {
		r.drop(end, r.closing(end))
	}
	r.seen(table, HideCopy, x.Relation.Location)
}

// copied lists the columns that COPY sends: those named, else all that are
// not generated. What is wrong with a list is said as the server says it.
func (r *rewriter) copied(x *pg.CopyStmt, table *policy.Table) string {
	r.needsColumns(table, x.Relation.Location)
	var list []string
	seen := map[string]bool{}
	generated := map[string]bool{}
	known := map[string]bool{}
	for _, c := range table.Columns {
		known[c.Name], generated[c.Name] = true, c.Generated
		if len(x.Attlist) == 0 && !c.Generated {
			list = append(list, quote(c.Name))
		}
	}
	for _, n := range x.Attlist {
		name := n.GetString_().GetSval()
		switch {
		case len(known) > 0 && !known[name]:
			r.serverSays("42703", fmt.Sprintf("column %q of relation %q does not exist", name, table.Relation), "", "")
		case generated[name]:
			r.serverSays("42P10", fmt.Sprintf("column %q is a generated column", name), "Generated columns cannot be used in COPY.", "")
		case seen[name]:
			r.serverSays("42701", fmt.Sprintf("column %q specified more than once", name), "", "")
		}
		seen[name] = true
		list = append(list, quote(name))
	}
	if len(table.Columns) == 0 && len(x.Attlist) == 0 {
		return "*"
	}
	return strings.Join(list, ", ")
}

// oldOptions brings the syntax from before PostgreSQL 7.3, which a query cannot
// take, into that of 7.3 to 8.4, which it can:
//
//	COPY BINARY users TO STDOUT                      COPY (..) TO STDOUT BINARY
//	COPY users TO STDOUT USING DELIMITERS ';' WITH NULL ''   COPY (..) TO STDOUT DELIMITER ';' NULL ''
//
// i is the relation's name and end the token behind its columns. It reports
// false for a mixture with the syntax of today.
func (r *rewriter) oldOptions(i, end int) bool {
	binary := r.word(i-1, "binary")
	at := end + 1 // behind TO
	if r.word(at, "program") {
		at++
	}
	at++ // behind the target
	delimiters := at
	if r.word(at, "using") {
		delimiters++
	}
	old := r.word(delimiters, "delimiters")
	if !binary && !old {
		return true
	}
	options := at
	if old {
		options = delimiters + 2
	}
	with := r.word(options, "with")
	if r.is(options, '(') || with && r.is(options+1, '(') || !r.word(end, "to") {
		return false
	}
	if old {
		r.replace(at, delimiters, "DELIMITER")
		if with {
			r.drop(options, options)
		}
	}
	if binary {
		r.drop(i-1, i-1)
		if with && !old {
			at++
		}
		r.putAfter(at-1, " BINARY")
	}
	return true
}
