package lifecycle

import (
	"tombstone/policy"
	"tombstone/policy/catalog"
)

// What follows writes SQL for others as it is written here, so that what tombstone doctor proposes looks like what prepare does.

// Ident writes a name as SQL.
func Ident(name string) string { return ident(name) }

// Full writes the name of a relation, with its schema, as SQL.
func Full(n catalog.Name) string { return full(n) }

// Literal writes a string as SQL.
func Literal(s string) string { return literal(s) }

// Named joins parts to a name that is not too long.
func Named(parts ...string) string { return named(parts...) }

// Live writes the condition that a row is live. alias is "" or ends in a point.
func Live(t *policy.Table, alias string) string { return live(t, alias) }

// Dead writes the condition that a row is a tombstone.
func Dead(t *policy.Table, alias string) string { return dead(t, alias) }
