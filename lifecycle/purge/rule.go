package purge

import (
	"fmt"
	"strings"
	"time"

	"tombstone/lifecycle"
	"tombstone/policy"
	"tombstone/policy/catalog"
)

// rule says in SQL which rows of a table are past their retention.
type rule struct {
	*policy.Table
	root     catalog.Name // what tombstone.keyed and its kin call the table
	identity []string
	cutoff   time.Time // tombstones from before it have had their time; zero if they have no end
	has      map[string]bool
}

// texts writes columns of a row as tombstone.keyed has them.
func (r *rule) texts(alias string, columns []string) string {
	return lifecycle.Texts(alias, columns, func(name string) string {
		for _, c := range r.Columns {
			if c.Name == name {
				return c.Type
			}
		}
		return ""
	})
}

// clock is what a marker says of when its row was deleted.
func (r *rule) clock() string {
	switch {
	case r.MarkerType == "date", r.MarkerType == "boolean":
		return r.MarkerType
	case strings.HasSuffix(r.MarkerType, "with time zone"):
		return "timestamptz"
	case strings.HasPrefix(r.MarkerType, "timestamp"):
		return "timestamp"
	}
	return "epoch"
}

// relation is the table as the tables of the house name it.
func (r *rule) relation() string { return literal(full(r.root)) + "::pg_catalog.regclass" }

// moment writes when a row was deleted, NULL if nobody knows.
func (r *rule) moment(alias string) string {
	m := alias + ident(r.Marker)
	switch r.clock() {
	case "boolean":
		return r.recorded(alias)
	case "epoch":
		return "pg_catalog.to_timestamp(" + m + ")"
	}
	return "CASE WHEN pg_catalog.isfinite(" + m + ") THEN " + m + "::pg_catalog.timestamptz END"
}

// recorded writes when a row was deleted according to what was written down, NULL if nothing was.
func (r *rule) recorded(alias string) string {
	var known []string
	if r.has["keyed"] {
		known = append(known, fmt.Sprintf("(SELECT pg_catalog.max(k.at) FROM tombstone.keyed k WHERE k.relation = %s AND k.key = %s)", r.relation(), r.texts(alias, r.identity)))
	}
	for _, a := range r.Audit {
		if a.What != policy.Deletion || a.Type == "" || !r.has["deletions"] {
			continue
		}
		id := alias + ident(a.Column)
		if a.Type != "xid8" { // it may hold anything
			id = fmt.Sprintf("CASE WHEN %s::pg_catalog.text ~ '^[0-9]{1,19}$' THEN %s::pg_catalog.text::pg_catalog.xid8 END", id, id)
		}
		known = append(known, "(SELECT pg_catalog.max(d.at) FROM tombstone.deletions d WHERE d.id = "+id+")")
	}
	switch len(known) {
	case 0:
		return "NULL::pg_catalog.timestamptz"
	case 1:
		return known[0]
	}
	return "GREATEST(" + strings.Join(known, ", ") + ")"
}

// instantOf writes a moment as SQL.
func instantOf(t time.Time) string {
	return "'" + t.UTC().Format("2006-01-02 15:04:05.999999") + "+00'::pg_catalog.timestamptz"
}

// expired writes the condition that a row is a tombstone whose time is over. An index of the marker can serve it.
//
// A marker that is no timestamptz has lost the time zone of the session that deleted. What was written down of the deletion has not: a row goes
// when both are past, so that it never goes early.
func (r *rule) expired(alias string) string {
	if r.cutoff.IsZero() {
		return "false"
	}
	m, cutoff := alias+ident(r.Marker), instantOf(r.cutoff)
	past := ""
	switch r.clock() {
	case "timestamptz":
		past = m + " < " + cutoff
	case "timestamp":
		past = m + " < " + cutoff + "::pg_catalog.timestamp"
	case "date": // the day has to be over
		past = m + " < " + cutoff + "::pg_catalog.date"
	case "epoch":
		past = fmt.Sprintf("%s < %d", m, r.cutoff.Unix())
	case "boolean":
		return dead(r.Table, alias) + " AND COALESCE(" + r.recorded(alias) + " < " + cutoff + ", false)"
	}
	past += " AND " + dead(r.Table, alias)
	if r.has["keyed"] && !lifecycle.Tells(r.Table) {
		past += fmt.Sprintf(" AND NOT EXISTS (SELECT FROM tombstone.keyed k WHERE k.relation = %s AND k.key = %s AND k.at >= %s)", r.relation(), r.texts(alias, r.identity), cutoff)
	}
	return past
}

// candidate writes the condition that a row is expired, or may be for all that is known.
func (r *rule) candidate(alias string) string {
	if r.clock() == "boolean" && !r.cutoff.IsZero() {
		return dead(r.Table, alias) + " AND COALESCE(" + r.recorded(alias) + " < " + instantOf(r.cutoff) + ", true)"
	}
	return r.expired(alias)
}

// free writes the condition that no hold is on a row. It is for statements in which nothing but the row has columns by the names in it. A hold that
// cannot be decided, since it is NULL, holds.
func (r *rule) free() string {
	if r.Hold == "" {
		return "true"
	}
	return "(" + r.Hold + ") IS FALSE"
}
