package rewrite

import (
	"strings"

	"tombstone/policy"
)

// live writes the condition that a row is live, of its marker's column.
func (r *rewriter) live(column string, l policy.Live) string { return r.spelling().Live(l, column) }

// stamp writes what burying sets.
func (r *rewriter) stamp(t *policy.Table) string { return r.spelling().Stamp(t) }

func (r *rewriter) spelling() *policy.Spelling {
	return &policy.Spelling{Column: quote, Operator: r.operator, Function: r.function, Role: "current_user"}
}

// was writes what a live row has in a column that burying sets, and reports
// whether burying sets it. Where NULL and another value both mean live, it
// may have been either.
func was(t *policy.Table, column string) (value string, sets bool) {
	if column == t.Marker {
		switch t.Live.Value {
		case policy.False:
			return "false", true
		case policy.Zero:
			return "0::" + t.MarkerType, true
		case policy.Infinity:
			return "'infinity'::" + t.MarkerType, true
		}
		return "NULL::" + t.MarkerType, true
	}
	for _, a := range t.Audit {
		if a.Column == column {
			typ := a.Type
			if typ == "" {
				typ = "text"
			}
			return "NULL::" + typ, true
		}
	}
	return "", false
}

// unfolded writes what [was] says of a column, by its name, as an expression that the
// planner cannot compute beforehand. It needs a row that was just buried, and
// neither function nor operator that the search_path could mean otherwise.
//
// With a constant, CASE WHEN deleted_at IS NULL THEN b ELSE v END is folded to
// b, which has another type modifier than the CASE; and max(deleted_at) in a
// subquery is no longer an aggregate of the row's own level, and no error.
func unfolded(t *policy.Table, name, column, was string) string {
	if name == t.Marker {
		switch t.Live.Value {
		case policy.False:
			return "NOT " + column
		case policy.Zero:
			return "LEAST(" + column + ", " + was + ")"
		case policy.Infinity:
			return "GREATEST(" + column + ", " + was + ")"
		}
	}
	return "CASE WHEN " + column + " IS NULL THEN " + column + " ELSE " + was + " END"
}

// function writes the name of a function or type of pg_catalog. A schema that stands
// before it in the search_path could have one of that name.
func (r *rewriter) function(name string) string {
	if r.shadowed() {
		return "pg_catalog." + name
	}
	return name
}

// operator writes an operator of pg_catalog.
func (r *rewriter) operator(op string) string {
	if r.shadowed() {
		return "OPERATOR(pg_catalog." + op + ")"
	}
	return op
}

// shadowed reports whether a schema is searched before pg_catalog.
func (r *rewriter) shadowed() bool {
	for _, schema := range r.searched() {
		switch {
		case schema == "pg_catalog":
			return false
		case !strings.HasPrefix(schema, "pg_temp_"): // never searched for functions
			return true
		}
	}
	return true
}
