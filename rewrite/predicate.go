package rewrite

import (
	"slices"
	"strings"

	"tombstone/policy"
)

// LiveOnly reports whether an index with that predicate, as pg_get_expr writes it, keeps tombstones out.
func LiveOnly(t *policy.Table, where string) bool { return liveOnly(t, where) != "" }

// liveOnly returns the part of an index's predicate that keeps tombstones out
// of it, or "". It errs towards "": then the statement is guarded.
func liveOnly(t *policy.Table, where string) string {
	column := quote(t.Marker)
	var means []string
	switch t.Live.Value {
	case policy.Null:
		means = []string{column + " IS NULL"}
	case policy.False:
		means = []string{"NOT " + column, column + " = false", column + " IS FALSE", column + " IS NOT TRUE"}
	case policy.Zero:
		means = []string{column + " = 0", column + " = '0'::bigint"}
		if t.Live.Nullable {
			means = append(means, "("+column+" = 0) OR ("+column+" IS NULL)", "("+column+" = '0'::bigint) OR ("+column+" IS NULL)")
		}
	case policy.Infinity:
		means = []string{column + " = 'infinity'::" + t.MarkerType}
		if t.Live.Nullable {
			means = append(means, "("+column+" = 'infinity'::"+t.MarkerType+") OR ("+column+" IS NULL)")
		}
	}
	if whole := bare(where); slices.Contains(means, whole) {
		return whole
	}
	for _, part := range conjuncts(where) {
		if slices.Contains(means, part) {
			return part
		}
	}
	return ""
}

// conjuncts splits a condition as pg_get_expr writes it, ((a) AND (b)), into
// its parts.
func conjuncts(where string) []string {
	where = bare(where)
	var parts []string
	depth, start, quoted := 0, 0, byte(0)
	for i := 0; i < len(where); i++ {
		switch c := where[i]; {
		case quoted != 0:
			if c == quoted {
				quoted = 0 // a doubled quote begins the next part of the literal
			}
		case c == '\'', c == '"':
			quoted = c
		case c == '(', c == '[':
			depth++
		case c == ')', c == ']':
			depth--
		case depth == 0 && strings.HasPrefix(where[i:], " OR "):
			return nil
		case depth == 0 && strings.HasPrefix(where[i:], " AND "):
			parts = append(parts, bare(where[start:i]))
			start = i + len(" AND ")
		}
	}
	return append(parts, bare(where[start:]))
}

// bare takes the parentheses off that enclose the whole of an expression.
func bare(s string) string {
	if !strings.HasPrefix(s, "(") || !strings.HasSuffix(s, ")") {
		return s
	}
	depth := 0
	for i := range len(s) - 1 {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 { // (a) AND (b)
			return s
		}
	}
	return bare(s[1 : len(s)-1])
}
