package rewrite

import "tombstone/policy"

// Env is what a text means beyond its own words: the names in scope where it
// is to run, and how the server will read it. The caller owns it and does not
// change it during a call.
type Env struct {
	Set  *policy.Set
	Path []string // effective search_path: existing schemas, pg_catalog and the temporary one included
	Temp []string // the session's temporary relations

	// Key names Set, Path, Temp and Asks: two environments with one Key mean the same.
	// Without it plans are not kept by shape.
	Key string

	// Asks is what the session asks for by the settings tombstone.*, nil for what everybody gets, and Rights what it may ask for. Key names
	// Asks too; Rights decide only about texts that change the settings, which no plan is kept of.
	Asks   *Asks
	Rights Rights

	// Stale says that Set, Path, Temp, Asks or Rights may be out of date. A plan
	// that depends on them comes back as Plan.Stale.
	Stale bool

	// Failed says that the transaction has failed: the server runs nothing, and answers no question.
	Failed bool

	// Dirty says that the open transaction changed Path or the catalog, so
	// that its end may change them back.
	Dirty bool

	// Backslash says that standard_conforming_strings is off: '\' escapes in
	// plain literals.
	Backslash bool

	// Encoding is client_encoding as the server reports it; "" means UTF8.
	Encoding string
}

// scope is the common table expressions visible at some place, innermost
// first.
type scope struct {
	outer *scope
	names map[string]bool
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if s.names[name] {
			return true
		}
	}
	return false
}
