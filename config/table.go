package config

import (
	"strings"
	"time"
)

// Table is one entry of the policy: a table, or with wildcards many tables, whose deletes are buried.
type Table struct {
	Name string // as written

	// Schema and Relation are the two parts of Name, folded as PostgreSQL folds names. In a part that was not quoted,
	// * stands for any characters and ? for one.
	Schema, Relation string

	Mode      string        // "enforce" (default), "observe": statements go on as they are and what would be done is counted, or "off"
	Marker    string        // the marker column, folded; default deleted_at
	Live      string        // what the marker holds in a live row: "auto" (default), by its type and default, or "infinity"
	Retention time.Duration // how long tombstones are kept; 0, the default, is forever
	Truncate  string        // what TRUNCATE does: "bury" (default), "deny" or "allow"

	// Columns that a deletion sets besides the marker, "" for none: the role that deleted, and the id of the deletion.
	DeletedBy, DeletionID string

	Created string // the column that says since when a row exists, for tombstone.as_of; "" if there is none
	Hold    string // an SQL condition on a row that exempts it from purge; "" for none
	MaxRows int    // a DELETE or UPDATE of more rows than this is refused; 0, the default, is no limit

	Indexed bool // prepare makes an index of deleted rows: index: true

	Line int // where the entry starts in Config.File

	schemaQuoted, relationQuoted bool
}

// Matches reports whether the entry names the relation. Both arguments are names as the catalog has them, already folded.
//
// A wildcard in the schema does not match the schemas that PostgreSQL keeps for itself (pg_* and information_schema).
// Otherwise *.users would also mean a temporary table of that name, whose rows would be hidden or buried.
func (t *Table) Matches(schema, relation string) bool {
	return t.MatchesSchema(schema) && t.MatchesRelation(relation)
}

// MatchesSchema reports whether the entry names a relation of some name in that schema.
func (t *Table) MatchesSchema(schema string) bool {
	if active(t.Schema, t.schemaQuoted) {
		return !reserved(schema) && globMatch(t.Schema, schema)
	}
	return t.Schema == schema
}

// MatchesRelation reports whether the entry names a relation of that name in some schema.
func (t *Table) MatchesRelation(relation string) bool {
	if active(t.Relation, t.relationQuoted) {
		return globMatch(t.Relation, relation)
	}
	return t.Relation == relation
}

// Glob reports whether a part of the name has a wildcard. Inside quotes * and ? are ordinary characters.
func (t *Table) Glob() bool {
	return active(t.Schema, t.schemaQuoted) || active(t.Relation, t.relationQuoted)
}

func active(part string, quoted bool) bool { return !quoted && strings.ContainsAny(part, "*?") }

func reserved(schema string) bool {
	return strings.HasPrefix(schema, "pg_") || schema == "information_schema"
}

// tableKey is equal for two entries that mean the same tables: public.users and PUBLIC."users", but not public.* and public."*".
type tableKey struct {
	schema, relation         string
	schemaGlob, relationGlob bool
}

func (t *Table) key() tableKey {
	return tableKey{t.Schema, t.Relation, active(t.Schema, t.schemaQuoted), active(t.Relation, t.relationQuoted)}
}

// globMatch reports whether the whole of s matches pattern. It never goes back further than the last *, so its time is
// bounded by the product of the lengths.
func globMatch(pattern, s string) bool {
	p, text := []rune(pattern), []rune(s)
	i, j := 0, 0
	star, mark := -1, 0
	for j < len(text) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == text[j]):
			i++
			j++
		case star >= 0: // let the last * take one more
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
